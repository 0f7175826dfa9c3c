"""Many rows in one statement.

Around each step of a statement SQLite gives the interpreter's lock away, and in a busy process the thread waits up to
a switch interval (5 ms) to get it back: a hundred rows written or read one by one would take half a second. So a
transaction must have few statements, however many its rows: rows go in as `VALUES` lists, lists of ids as one JSON
text, and rows come out as one JSON text.

A `VALUES` list takes as long to prepare as to run. So there are lists of a few lengths only, which SQLite finds
prepared.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

import apsw
import orjson

SHARES = 64, 16, 4, 1
"""Rows of one statement; longer ones cost more for each row."""

Value = str | int | bytes | None


def fetch(connection: apsw.Connection, query: str, bindings: Sequence[Value] = ()) -> list[Any]:
    """All rows of a query; the tables are STRICT, so that each column has the type it was declared with."""
    return connection.execute(query, bindings).fetchall()


def insert(connection: apsw.Connection, statement: str, rows: Sequence[Sequence[Value]]) -> None:
    """Run `statement`, which ends with `VALUES`, for all rows, in order; they are of one width."""
    start = 0
    for share in SHARES:
        while len(rows) - start >= share:
            part = rows[start : start + share]
            connection.execute(f"{statement} {_places(len(part[0]), share)}", tuple(chain.from_iterable(part)))
            start += share


def insert_all_or_none(
    connection: apsw.Connection, table_and_columns: str, rows: Sequence[Sequence[Value]], undo: str
) -> bool:
    """Insert rows that are new to the table, as nearly all are: to look first would cost each of them. False when one
    of them is there already: then none has gone in. `undo` deletes so many of the last rows.
    """
    before = connection.total_changes()
    insert(connection, f"INSERT OR IGNORE INTO {table_and_columns} VALUES", rows)
    count = connection.total_changes() - before
    if count < len(rows):
        connection.execute(undo, (count,))
    return count == len(rows)


@lru_cache(maxsize=64)
def _places(width: int, rows: int) -> str:
    return ", ".join(["(" + ", ".join("?" * width) + ")"] * rows)


def heads(connection: apsw.Connection, query: str, bindings: Sequence[Value] = ()) -> list[Any]:
    """The rows of a query that makes one JSON array of them all (`json_group_array`), as Python values."""
    found: list[Any] = orjson.loads(fetch(connection, query, bindings)[0][0])
    return found


def listed(items: Iterable[str | int | tuple[str, str]]) -> str:
    """Ids, or pairs of them, for `json_each(?)`."""
    return orjson.dumps(list(items)).decode()
