"""What is new in the journals since a mark.

A mark says how far a file was read: the `seq` and the id of the last row. Files are known by their inode, which a new
file may inherit: so a mark holds only where its row is still the one that it names, or where all rows up to it have
been deleted since, as the oldest are. Anything else is read from the beginning again; whoever keeps the rows leaves
out those that it has.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import apsw

from proxy.adapters.analysis.columns import CALLS, OUTCOMES, TABLES, Table
from proxy.adapters.journal import JournalReader, journal_files
from proxy.adapters.journal.reader import StoredExchange, StoredOutcome
from proxy.adapters.journal.schema import Unusable


@dataclass(frozen=True, slots=True)
class Raw:
    """One row as the journal has it. `id` is that of the call, or the uuid of an outcome's event."""

    seq: int
    id: str
    exchange_id: str
    trace_id: str
    name: str
    at_us: int
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Mark:
    """The last row that was read of a table of a file."""

    seq: int = 0
    id: str = ""


Marks = dict[str, Mark]
"""By file and table, see `_key`."""


@dataclass(frozen=True, slots=True)
class News:
    """Rows by table's name, and the marks after them."""

    rows: dict[str, list[Raw]]
    marks: Marks
    unreadable: tuple[str, ...]
    """Names of files that could not be read; they may be just being made, or damaged."""

    def __len__(self) -> int:
        return sum(map(len, self.rows.values()))


def read(directory: Path, marks: Marks, limit: int) -> News:
    """Up to `limit` rows that lie after the marks. Files that are gone have no mark afterwards."""
    news = News({table.name: [] for table in TABLES}, {}, ())
    unreadable = []
    for path, inode in _files(directory):
        old = {table.name: marks.get(f"{inode}:{table.name}", Mark()) for table in TABLES}
        try:
            with JournalReader(path) as reader:
                for table in TABLES:
                    rows = _after(reader, table, old[table.name], limit - len(news))
                    news.rows[table.name] += rows
                    if rows:
                        old[table.name] = Mark(rows[-1].seq, rows[-1].id)
        except (Unusable, apsw.Error):
            unreadable.append(path.name)
        news.marks.update({f"{inode}:{name}": mark for name, mark in old.items() if mark.seq})
    return News(news.rows, news.marks, tuple(unreadable))


def _files(directory: Path) -> Iterator[tuple[Path, str]]:
    for path in journal_files(directory):
        with suppress(FileNotFoundError):  # put aside this moment
            stat = path.stat()
            yield path, f"{stat.st_dev}:{stat.st_ino}"


def _after(reader: JournalReader, table: Table, mark: Mark, limit: int) -> list[Raw]:
    """The mark's own row is read too, to see whether it is still the one."""
    if mark.seq:
        rows = _rows(reader, table, mark.seq - 1, limit + 1)
        if rows and (rows[0].seq, rows[0].id) == (mark.seq, mark.id):
            return rows[1:]
        oldest = _rows(reader, table, 0, 1)
        if not oldest or oldest[0].seq > mark.seq:
            return rows[:limit]
    return _rows(reader, table, 0, limit)


def _rows(reader: JournalReader, table: Table, after_seq: int, limit: int) -> list[Raw]:
    if table is CALLS:
        return [_call(call) for call in reader.exchanges(after_seq, limit)]
    assert table is OUTCOMES
    return [_outcome(outcome) for outcome in reader.outcomes(after_seq, limit)]


def _call(call: StoredExchange) -> Raw:
    return Raw(call.seq, call.exchange_id, call.exchange_id, call.trace_id, "", call.ended_unix_us, call.record)


def _outcome(outcome: StoredOutcome) -> Raw:
    return Raw(
        outcome.seq,
        outcome.uuid,
        outcome.exchange_id,
        outcome.trace_id,
        outcome.name,
        outcome.at_unix_us,
        outcome.body,
    )
