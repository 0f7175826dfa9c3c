"""`open_analysis`: the tables that pages and reports ask.

`calls` has one row for each ended call, `attempts` one for each request to a provider, `outcomes` one for each event
that is not of a call. Times are UTC; results carry it, and parameters with another zone are converted.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from proxy.adapters.analysis import database, journals, segments
from proxy.adapters.analysis.columns import ATTEMPT, CALLS, TABLES, Table
from proxy.adapters.analysis.segments import Manifest, Segments, folder_of

LOOKS = 3
"""Looks at the list of files until none that it names was replaced meanwhile."""

Row = dict[str, Any]
Parameters = Sequence[object] | Mapping[str, object]


class Analysis:
    """Made by `open_analysis`. For one thread."""

    def __init__(self, directory: Path, connection: duckdb.DuckDBPyConnection) -> None:
        self._directory = directory
        self._connection = connection
        self._segments = Segments(directory, connection)
        self._manifest = Manifest()
        self._marks: journals.Marks = {}
        self._newest_rows = 0
        self.unreadable: tuple[str, ...] = ()
        """Journals that could not be read at the last refresh, by name; what they hold is missing."""
        for table in TABLES:
            connection.execute(table.create)
        self._begin(Manifest())
        self.refresh()

    def query(self, sql: str, params: Parameters = ()) -> list[Row]:
        """The rows of a query, each by its columns' names. Values belong into `params` (`?` or `$name`), never into
        the text. Sees what there was at the last refresh. Raises `duckdb.Error`.
        """
        bound = (
            {name: _plain(value) for name, value in params.items()}
            if isinstance(params, Mapping)
            else [_plain(value) for value in params]
        )
        for looks_left in reversed(range(LOOKS)):
            try:
                found = self._connection.execute(sql, bound)
                names = [column[0] for column in found.description]
                return [dict(zip(names, map(_aware, row), strict=True)) for row in found.fetchall()]
            except duckdb.IOException:  # a file was merged into another one
                if not looks_left:
                    raise
                self.refresh()
        raise AssertionError

    def refresh(self) -> None:
        """See what has come since. Raises OSError where the folder cannot be written and there is much to write."""
        manifest = self._segments.manifest()
        if manifest.generation != self._manifest.generation:
            self._begin(manifest)
        news = journals.read(self._directory, self._marks, segments.BATCH_ROWS)
        if self._newest_rows + len(news) >= segments.BATCH_ROWS:
            try:
                self._segments.catch_up()
            finally:
                self._begin(self._segments.manifest())
            news = journals.read(self._directory, self._marks, segments.BATCH_ROWS)
        for table in TABLES:
            self._segments.fill(table, news.rows[table.name], self._manifest)
        self._newest_rows += len(news)
        self._marks = news.marks
        self.unreadable = news.unreadable

    def _begin(self, manifest: Manifest) -> None:
        """Look at these files, with nothing in memory yet."""
        self._manifest, self._marks, self._newest_rows = manifest, manifest.marks, 0
        for table in TABLES:
            self._connection.execute(f"TRUNCATE {table.memory}")
            self._connection.execute(f"CREATE OR REPLACE VIEW all_{table.name} AS {self._rows(table)}")
        own = ", ".join(column.name for column in CALLS.columns if column.name != "attempts")
        self._connection.execute(f"CREATE OR REPLACE VIEW calls AS SELECT {own} FROM all_calls{_PRODUCT}")
        self._connection.execute("CREATE OR REPLACE VIEW outcomes AS SELECT * FROM all_outcomes")
        self._connection.execute(f"CREATE OR REPLACE VIEW attempts AS {_ATTEMPTS}")

    def _rows(self, table: Table) -> str:
        source = self._segments.source(table, self._manifest)
        newest = f"SELECT {table.names} FROM {table.memory}"
        if source is None:
            return newest
        return f"SELECT {table.names} FROM ({newest} UNION ALL BY NAME SELECT * FROM {source})"


_PRODUCT = " WHERE call_purpose IS NULL"
"""Not what the proxy asked by itself, as judges do."""
_ATTEMPTS = (
    "SELECT exchange_id, trace_id, started_at AS call_started_at, "
    + ", ".join(f"one.{name} AS {name}" for name in ATTEMPT)
    + " FROM (SELECT exchange_id, trace_id, started_at, unnest(attempts) AS one FROM all_calls"
    + _PRODUCT
    + ")"
)


@contextmanager
def open_analysis(directory: Path) -> Iterator[Analysis]:
    """The records of a data folder. The first look at a large one takes a while: some 20,000 rows a second.

    Raises OSError where the data folder cannot be written.
    """
    connection = database.connect(folder_of(directory))
    try:
        yield Analysis(directory, connection)
    finally:
        connection.close()


def forget(directory: Path, distinct_id: str) -> int:
    """Delete a user's rows from the files; returns how many. The journals must have forgotten the user before.

    Raises OSError where the folder cannot be written.
    """
    return _drop(directory, dict.fromkeys(("calls", "outcomes"), "distinct_id = ?"), distinct_id)


def expire(directory: Path, before: datetime) -> int:
    """Delete what is older from the files; returns how many rows. Raises OSError."""
    return _drop(directory, {table.name: f"{database.named(table.at)} < ?" for table in TABLES}, _plain(before))


def _drop(directory: Path, conditions: Mapping[str, str], value: object) -> int:
    connection = database.connect(folder_of(directory))
    try:
        for table in TABLES:
            connection.execute(table.create)
        return Segments(directory, connection).drop(conditions, value)
    finally:
        connection.close()


def _plain(value: object) -> object:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).replace(tzinfo=None)
    return value


def _aware(value: object) -> object:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value
