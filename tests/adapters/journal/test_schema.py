from pathlib import Path

import apsw
import pytest

from proxy.adapters.journal import outbox_sql, schema


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "journal-0.db"
    schema.connect(path).close()
    return path


@pytest.mark.parametrize("version", ["3.7.0", "3.40.1", "3.51.2"])
def test_a_library_that_may_lose_rows_is_refused(version: str) -> None:
    with pytest.raises(RuntimeError, match="may lose committed rows"):
        schema.require_fixed_sqlite(version)


def test_the_library_at_hand_is_fixed() -> None:
    schema.require_fixed_sqlite(apsw.sqlite_lib_version())
    schema.require_fixed_sqlite("3.51.3")


def test_a_commit_is_synced_and_the_file_is_its_owners(path: Path) -> None:
    connection = schema.connect(path)
    assert connection.pragma("journal_mode") == "wal"
    assert connection.pragma("synchronous") == 2
    assert connection.pragma("auto_vacuum") == 2
    assert connection.pragma("trusted_schema") == 0
    assert connection.pragma("cell_size_check") == 1
    assert path.stat().st_mode & 0o777 == 0o600
    connection.close()


def ruin(path: Path, statement: str) -> None:
    connection = apsw.Connection(str(path))
    connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("PRAGMA user_version = 2", "has schema 2, this release knows 1"),
        ("PRAGMA user_version = 0", "has schema 0, this release knows 1"),
        ("PRAGMA application_id = 1", "is not a journal"),
        ("DROP TABLE dead", "lacks a table or column"),
        ("ALTER TABLE outbox DROP COLUMN attempts", "lacks a table or column"),
    ],
)
def test_another_layout_is_unusable_for_writer_and_reader(path: Path, statement: str, why: str) -> None:
    ruin(path, statement)
    with pytest.raises(schema.Unusable) as of_writer:
        schema.connect(path)
    with pytest.raises(schema.Unusable) as of_reader:
        schema.connect_reader(path)
    assert of_writer.value.why == of_reader.value.why == why


def test_an_empty_file_has_lost_something(tmp_path: Path) -> None:
    (tmp_path / "j.db").touch()
    with pytest.raises(schema.Unusable, match="is empty"):
        schema.connect(tmp_path / "j.db")


def test_what_is_no_database_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "j.db").write_bytes(b"?" * 8192)
    with pytest.raises(schema.Unusable, match="is damaged"):
        schema.connect(tmp_path / "j.db")


def test_damage_within_is_found_at_start(path: Path) -> None:
    connection = schema.connect(path)
    with connection:
        for number in range(200):
            connection.execute(
                "INSERT INTO exchange(exchange_id, trace_id, ended_unix_us, record) VALUES (?, 't', 1, zeroblob(1000))",
                (str(number),),
            )
    connection.close()
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 4096] = b"\xff" * 4096
    path.write_bytes(content)
    with pytest.raises(schema.Unusable, match="is damaged"):
        schema.connect(path)


def test_memory_is_bounded() -> None:
    connection = schema.connect_memory(1 << 20)
    with pytest.raises(apsw.FullError):
        connection.execute(
            "INSERT INTO exchange(exchange_id, trace_id, ended_unix_us, record) VALUES ('x', 't', 1, zeroblob(2000000))"
        )
    connection.close()


def test_a_reader_cannot_write(path: Path) -> None:
    reader = schema.connect_reader(path)
    with pytest.raises(apsw.ReadOnlyError):
        reader.execute("DELETE FROM outbox")
    reader.close()


OLD_OUTBOX = schema._OUTBOX.replace("uuid TEXT NOT NULL,", "uuid TEXT NOT NULL UNIQUE,").replace(
    ", UNIQUE (exchange_id, uuid)", ""
)
A_ROW = "INSERT INTO outbox(uuid, exchange_id, name, bytes, created_unix_us, body) VALUES ('u', 'x', 'e', 1, 1, x'61')"


def indexed_first(connection: apsw.Connection) -> str:
    """The column by which the outbox's unique index is sorted."""
    query = (
        "SELECT part.name FROM pragma_index_list('outbox') AS list JOIN pragma_index_info(list.name) AS part"
        " WHERE part.seqno = 0"
    )
    ((name,),) = connection.execute(query).fetchall()
    return str(name)


@pytest.mark.parametrize(("rows", "expected"), [((), "exchange_id"), ((A_ROW,), "uuid")])
def test_an_empty_outbox_of_the_first_release_gets_the_new_index(
    path: Path, rows: tuple[str, ...], expected: str
) -> None:
    ruin(path, f"DROP TABLE outbox; {OLD_OUTBOX}")
    for row in rows:
        ruin(path, row)
    connection = schema.connect(path)
    assert indexed_first(connection) == expected
    assert connection.execute("SELECT count(*) FROM outbox").fetchall() == [(len(rows),)]
    connection.close()


@pytest.mark.parametrize("layout", [schema._OUTBOX, OLD_OUTBOX])
def test_no_look_up_reads_the_whole_outbox(path: Path, layout: str) -> None:
    ruin(path, f"DROP TABLE outbox; {layout}")
    connection = schema.connect_reader(path)
    statements = {
        name: text
        for name, text in vars(outbox_sql).items()
        if name.isupper() and isinstance(text, str) and "json_each" in text and "outbox" in text
    }
    assert len(statements) >= 7
    for name, statement in statements.items():
        bindings = (None,) * max(number for number in (1, 2, 3) if f"?{number}" in statement)
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", bindings)]
        assert not [step for step in plan if step.startswith("SCAN outbox")], name
    connection.close()


def test_rows_that_are_due_are_not_sorted_whole(path: Path) -> None:
    connection = schema.connect_reader(path)
    plan = connection.execute(f"EXPLAIN QUERY PLAN {outbox_sql.ROWS}", (None,)).fetchall()
    assert not [step for *_, step in plan if "TEMP B-TREE" in str(step)]
    connection.close()
