"""One journal file behind its one connection: running calls, ended calls, and the outbox.

All changes happen inside `transaction`; either the rows, the counters and the leases change together, or nothing
does. A call's opening is deleted in the transaction that writes its end, and an exchange id has room for one end
only, so that whatever crash falls in between, the next start finds either an opening or an end and never both.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import apsw

from proxy.adapters.journal.bulk import fetch, heads, insert, listed
from proxy.adapters.journal.outbox import Outbox
from proxy.adapters.journal.settings import JournalSettings
from proxy.adapters.journal.tally import Count, Drop, Tally
from proxy.domain.journal_rows import Closing, JournalEvent, Opening

RECORD_OVERHEAD_BYTES = 256
SWEEP_ROWS = 500
RECOVER_ROWS = 256
"""Leftover calls that one transaction closes."""
VACUUM_PAGES = 1024

_LEFTOVERS = "SELECT exchange_id, trace_id, facts FROM open_exchange ORDER BY rowid LIMIT ?"
_OLDEST_ENDS = (
    "SELECT json_group_array(json_array(seq, ended_unix_us, length(record))) FROM"
    " (SELECT seq, ended_unix_us, record FROM exchange ORDER BY seq LIMIT ?)"
)
_ENDED_AMONG = (
    "SELECT json_group_array(exchange_id) FROM exchange WHERE exchange_id IN (SELECT value FROM json_each(?))"
)
_FORGET = "DELETE FROM open_exchange WHERE exchange_id IN (SELECT value FROM json_each(?))"
_INSERT_OPEN = "INSERT OR REPLACE INTO open_exchange(exchange_id, trace_id, facts) VALUES"
_INSERT_END = "INSERT INTO exchange(exchange_id, trace_id, ended_unix_us, record) VALUES"

Interrupted = Callable[[bytes], Sequence[JournalEvent]]
"""From an opening's facts to the events of the end that it never had."""


@dataclass(frozen=True, slots=True)
class Extra:
    """Events that are neither a start nor an end."""

    exchange_id: str
    events: tuple[JournalEvent, ...]


Row = Opening | Closing | Extra


class JournalFile:
    """Not thread-safe: it belongs to whoever holds the file's lock."""

    def __init__(self, connection: apsw.Connection, settings: JournalSettings, wall_unix_us: Callable[[], int]) -> None:
        self._connection = connection
        self._settings = settings
        self._now_us = wall_unix_us
        counters = fetch(connection, "SELECT name, reason, value FROM counters")
        self.tally = Tally({(name, reason): value for name, reason, value in counters})
        self.outbox = Outbox(connection, self.tally, settings, wall_unix_us)
        self.written: list[JournalEvent] = []
        """Events that the last transaction made durable, in order."""
        self.oldest_pending_unix_us = self.outbox.oldest_unix_us()
        """As of the last sweep."""

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Raises `apsw.Error` as SQLite did, with nothing changed."""
        self._connection.execute("BEGIN IMMEDIATE")
        self.outbox.begin()
        self.written = []
        try:
            yield
            insert(
                self._connection, "INSERT OR REPLACE INTO counters(name, reason, value) VALUES", self.tally.changed()
            )
            self._connection.execute("COMMIT")
        except BaseException:
            self.tally.rollback()
            self.outbox.rollback()
            self.written = []
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        self.tally.commit()

    def write(self, rows: Sequence[Row]) -> None:
        """Write starts, ends and events. A second end of a call is counted and changes nothing, and a start that
        comes after its end opens nothing.
        """
        openings = [row for row in rows if isinstance(row, Opening)]
        closings = [row for row in rows if isinstance(row, Closing)]
        known = [row.exchange_id for row in openings] + [row.exchange_id for row in closings]
        ended = set(heads(self._connection, _ENDED_AMONG, (listed(known),))) if known else set()
        events: list[tuple[str, JournalEvent]] = []
        new_ends: list[Closing] = []
        for row in rows:
            if isinstance(row, Closing):
                if row.exchange_id in ended:
                    self.outbox.refuse(len(row.events), Drop.DUPLICATE_END)
                    continue
                ended.add(row.exchange_id)
                new_ends.append(row)
            events += [(row.exchange_id, event) for event in row.events]
        self._write_ends(new_ends)
        self.forget([closing.exchange_id for closing in new_ends])
        insert(
            self._connection,
            _INSERT_OPEN,
            [(row.exchange_id, row.trace_id, row.facts) for row in openings if row.exchange_id not in ended],
        )
        if events:
            self.written += self.outbox.admit(events)

    def forget(self, exchange_ids: Sequence[str]) -> None:
        """The calls are not running any more, whether or not their ends could be kept."""
        if exchange_ids:
            self._connection.execute(_FORGET, (listed(exchange_ids),))

    def refuse(self, row: Row, reason: Drop) -> None:
        """Count what is lost with a row that cannot be kept; a call whose end it is runs no more."""
        self.outbox.refuse(len(row.events), reason)
        if isinstance(row, Closing):
            self.tally.add(Count.RECORDS_DROPPED, 1, reason)
            self.forget([row.exchange_id])

    def recover(self, interrupted: Interrupted) -> int:
        """Close some of the calls that an earlier process left open; returns how many, 0 when none was left.

        An end and the removal of its opening are one transaction, so stopping in between loses and repeats nothing.
        """
        leftovers = fetch(self._connection, _LEFTOVERS, (RECOVER_ROWS,))
        self.write([self._missing_end(*leftover, interrupted=interrupted) for leftover in leftovers])
        self.forget([exchange_id for exchange_id, _, _ in leftovers])
        return len(leftovers)

    def sweep(self) -> int:
        """One step of keeping the store and the outbox within their bounds; returns how many rows it touched."""
        self.oldest_pending_unix_us = self.outbox.oldest_unix_us()
        expired_us = self._now_us() - int(self._settings.store_max_age_s * 1e6)
        over_bytes = self.tally.get(Count.STORE_BYTES) - self._settings.store_max_bytes
        last_seq, evicted, evicted_bytes = 0, 0, 0
        for seq, ended_unix_us, record_bytes in heads(self._connection, _OLDEST_ENDS, (SWEEP_ROWS,)):
            if evicted_bytes >= over_bytes and ended_unix_us >= expired_us:
                break
            last_seq, evicted = seq, evicted + 1
            evicted_bytes += record_bytes + RECORD_OVERHEAD_BYTES
        if evicted:
            self._connection.execute("DELETE FROM exchange WHERE seq <= ?", (last_seq,))
            self.tally.add(Count.EXCHANGES, -evicted)
            self.tally.add(Count.STORE_BYTES, -evicted_bytes)
        return evicted + self.outbox.sweep()

    def vacuum(self) -> None:
        """Give some free pages back to the disk. Outside of a transaction."""
        if self._connection.pragma("freelist_count") > VACUUM_PAGES:
            self._connection.execute(f"PRAGMA incremental_vacuum({VACUUM_PAGES})").fetchall()

    def finish(self) -> None:
        """Move the log into the file and close."""
        try:
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        finally:
            self._connection.close()

    def abandon(self) -> None:
        """Close without trusting anything that closing may report."""
        try:
            self._connection.close(True)
        except apsw.Error:
            return

    def _write_ends(self, closings: Sequence[Closing]) -> None:
        insert(
            self._connection,
            _INSERT_END,
            [(row.exchange_id, row.trace_id, row.ended_unix_us, row.record) for row in closings],
        )
        self.tally.add(Count.EXCHANGES, len(closings))
        self.tally.add(Count.STORE_BYTES, sum(len(row.record) + RECORD_OVERHEAD_BYTES for row in closings))

    def _missing_end(self, exchange_id: str, trace_id: str, facts: bytes, *, interrupted: Interrupted) -> Closing:
        try:
            events = tuple(interrupted(facts))
        except Exception:  # noqa: BLE001 - facts of an older release must not keep the proxy from starting
            events = ()
            self.outbox.refuse(1, Drop.UNREADABLE_FACTS)
        return Closing(
            exchange_id=exchange_id, trace_id=trace_id, ended_unix_us=self._now_us(), events=events, record=facts
        )
