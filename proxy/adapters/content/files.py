"""One SQLite file per worker with sealed content, `content-<worker>.db`.

What is deleted is gone: SQLite overwrites it, free pages are given back to the disk, and the log is cut to nothing.
One process at a time writes a file; others may delete, for which all wait a little for one another.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import apsw

PATIENCE_MS = 5_000
_TABLES = """
CREATE TABLE IF NOT EXISTS content(
    exchange_id TEXT PRIMARY KEY, trace_id TEXT NOT NULL, distinct_id TEXT NOT NULL, ended_unix_us INTEGER NOT NULL,
    level TEXT NOT NULL, key_id TEXT NOT NULL, bytes INTEGER NOT NULL, body BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS content_user ON content(distinct_id);
CREATE INDEX IF NOT EXISTS content_age ON content(ended_unix_us, bytes);
"""
_OVERHEAD_BYTES = 512
_KEPT = "SELECT exchange_id, trace_id, distinct_id, ended_unix_us, level, key_id, body FROM content"


@dataclass(frozen=True, slots=True)
class Sealed:
    """Encrypted content. `key_id` tells with which key, and nothing of the key."""

    key_id: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The sealed content of one call."""

    exchange_id: str
    trace_id: str
    distinct_id: str
    ended_unix_us: int
    level: str
    sealed: Sealed


def content_files(directory: Path) -> list[Path]:
    """Those of all workers in a data folder, by name."""
    return sorted(directory.glob("content-[0-9]*.db"))


def path_of(directory: Path, worker: int) -> Path:
    """The file of one worker."""
    return directory / f"content-{worker}.db"


class ContentFile:
    """`with ContentFile(path) as file:`. Raises `apsw.Error`."""

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600)
        self._connection = apsw.Connection(str(path))
        self._connection.set_busy_timeout(PATIENCE_MS)
        self._connection.pragma("trusted_schema", False)
        self._connection.pragma("auto_vacuum", 2)
        self._connection.pragma("journal_mode", "wal")
        self._connection.pragma("synchronous", 1)
        self._connection.pragma("secure_delete", True)
        self._connection.execute(_TABLES)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._connection.close()

    def add(self, rows: Iterable[Row]) -> None:
        """Keep them; a call that is kept already stays as it is."""
        with self._connection:
            self._connection.executemany(
                "INSERT OR IGNORE INTO content VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    (
                        row.exchange_id,
                        row.trace_id,
                        row.distinct_id,
                        row.ended_unix_us,
                        row.level,
                        row.sealed.key_id,
                        len(row.sealed.body) + _OVERHEAD_BYTES,
                        row.sealed.body,
                    )
                    for row in rows
                ),
            )

    def find(self, exchange_id: str) -> Row | None:
        """The content of one call."""
        for found in self._connection.execute(f"{_KEPT} WHERE exchange_id = ?", (exchange_id,)):
            *plain, key_id, body = found
            names = ("exchange_id", "trace_id", "distinct_id", "ended_unix_us", "level")
            return Row(**dict(zip(names, plain, strict=True)), sealed=Sealed(key_id, body))
        return None

    def expire(self, before_unix_us: int, max_bytes: int) -> int:
        """Delete what is older, then the oldest until the rest fits; returns how many rows that were."""
        return self._delete(
            "DELETE FROM content WHERE ended_unix_us < ?1 OR exchange_id IN (SELECT exchange_id FROM"
            " (SELECT exchange_id, sum(bytes) OVER (ORDER BY ended_unix_us DESC, exchange_id) AS total FROM content)"
            " WHERE total > ?2)",
            (before_unix_us, max_bytes),
        )

    def forget(self, distinct_id: str) -> int:
        """Delete what is of one user; returns how many rows that were."""
        return self._delete("DELETE FROM content WHERE distinct_id = ?", (distinct_id,))

    def _delete(self, statement: str, bindings: tuple[str | int, ...]) -> int:
        with self._connection:
            self._connection.execute(statement, bindings)
            deleted = self._connection.changes()
        if deleted:
            self._connection.execute("PRAGMA incremental_vacuum").fetchall()
        with suppress(apsw.BusyError):  # somebody reads: the next time
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        return deleted


def in_each(directory: Path, action: Callable[[ContentFile], int]) -> int:
    """The sum over all files of a data folder. Raises `apsw.Error`."""
    total = 0
    for path in content_files(directory):
        with ContentFile(path) as file:
            total += action(file)
    return total
