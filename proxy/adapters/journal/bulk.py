"""Many rows in one statement.

Around each step of a statement SQLite gives the interpreter's lock away, and in a busy process the thread waits up to
a switch interval (5 ms) to get it back: a hundred rows written or read one by one would take half a second. So the
number of statements of a transaction must not grow with its rows: rows go in as one `VALUES` list, lists of ids as
one JSON text, and rows come out as one JSON text.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import apsw
import orjson

MAX_VARIABLES = 20_000
"""SQLite takes 32,766 in one statement."""

Value = str | int | bytes | None


def fetch(connection: apsw.Connection, query: str, bindings: Sequence[Value] = ()) -> list[Any]:
    """All rows of a query; the tables are STRICT, so that each column has the type it was declared with."""
    return connection.execute(query, bindings).fetchall()


def insert(connection: apsw.Connection, statement: str, rows: Sequence[Sequence[Value]]) -> None:
    """Run `statement`, which ends with `VALUES`, for all rows; they are of one width."""
    if not rows:
        return
    width = len(rows[0])
    share = MAX_VARIABLES // width
    for start in range(0, len(rows), share):
        part = rows[start : start + share]
        places = ", ".join(["(" + ", ".join("?" * width) + ")"] * len(part))
        connection.execute(f"{statement} {places}", [value for row in part for value in row], can_cache=False)


def heads(connection: apsw.Connection, query: str, bindings: Sequence[Value] = ()) -> list[Any]:
    """The rows of a query that makes one JSON array of them all (`json_group_array`), as Python values."""
    found: list[Any] = orjson.loads(fetch(connection, query, bindings)[0][0])
    return found


def listed(items: Iterable[str | int | tuple[str, str]]) -> str:
    """Ids, or pairs of them, for `json_each(?)`."""
    return orjson.dumps(list(items)).decode()
