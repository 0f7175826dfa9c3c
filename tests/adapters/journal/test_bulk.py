from collections.abc import Iterator

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.adapters.journal import bulk


@pytest.fixture
def connection() -> Iterator[apsw.Connection]:
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE TABLE t(a INTEGER, b BLOB) STRICT")
    yield connection
    connection.close()


@pytest.mark.parametrize("count", [0, 1, 3, 64, 150])
def test_all_rows_go_in_in_order(connection: apsw.Connection, count: int) -> None:
    rows = [(number, b"x\x00%d" % number) for number in range(count)]
    bulk.insert(connection, "INSERT INTO t(a, b) VALUES", rows)
    assert bulk.fetch(connection, "SELECT a, b FROM t ORDER BY rowid") == rows


def test_a_thousand_rows_are_few_statements_and_of_few_texts(connection: apsw.Connection) -> None:
    statements: list[str] = []

    def note(_cursor: object, sql: str, _bindings: object) -> bool:
        statements.append(sql)
        return True

    connection.exec_trace = note
    bulk.insert(connection, "INSERT INTO t(a, b) VALUES", [(number, b"") for number in range(1000)])
    assert len(statements) == 1_000 // 64 + 4
    assert len(set(statements)) == 3


@pytest.mark.parametrize("known", [(), (0,), (69,), (5, 66), tuple(range(70))])
def test_rows_of_which_one_is_there_already_all_stay_out(connection: apsw.Connection, known: tuple[int, ...]) -> None:
    connection.execute("CREATE UNIQUE INDEX once ON t(a)")
    before = [(-1, b""), *((number, b"old") for number in known)]
    bulk.insert(connection, "INSERT INTO t(a, b) VALUES", before)
    rows = [(number, b"new") for number in range(70)]
    undo = "DELETE FROM t WHERE rowid IN (SELECT rowid FROM t ORDER BY rowid DESC LIMIT ?)"
    assert bulk.insert_all_or_none(connection, "t(a, b)", rows, undo) is not bool(known)
    assert bulk.fetch(connection, "SELECT a, b FROM t ORDER BY rowid") == (before if known else before + rows)


def test_heads_come_out_as_values(connection: apsw.Connection) -> None:
    query = "SELECT json_group_array(json_array(a, length(b))) FROM (SELECT a, b FROM t ORDER BY a LIMIT ?)"
    assert bulk.heads(connection, query, (5,)) == []
    bulk.insert(connection, "INSERT INTO t(a, b) VALUES", [(2, b"xy"), (1, b"x")])
    assert bulk.heads(connection, query, (5,)) == [[1, 1], [2, 2]]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_ids_of_any_text_are_found(ids: list[str]) -> None:
    connection = apsw.Connection(":memory:")
    found = bulk.fetch(connection, "SELECT value FROM json_each(?)", (bulk.listed(ids),))
    assert [value for (value,) in found] == ids
    connection.close()
