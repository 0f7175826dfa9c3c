"""One journal file behind its one connection: running calls, ended calls, and the outbox.

All changes happen inside `transaction`; either the rows, the counters and the leases change together, or nothing
does. A call's opening is deleted in the transaction that writes its end, and an exchange id has room for one end
only, so that whatever crash falls in between, the next start finds either an opening or an end and never both.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import apsw

from proxy.adapters.journal.outbox import Outbox
from proxy.adapters.journal.schema import fetch
from proxy.adapters.journal.settings import JournalSettings
from proxy.adapters.journal.tally import Count, Drop, Tally
from proxy.domain.journal_rows import Closing, JournalEvent, Opening

RECORD_OVERHEAD_BYTES = 256
SWEEP_ROWS = 500
RECOVER_ROWS = 256
"""Leftover calls that one transaction closes."""
VACUUM_PAGES = 1024

_LEFTOVERS = "SELECT exchange_id, trace_id, facts FROM open_exchange ORDER BY rowid LIMIT ?"
_OLDEST_ENDS = "SELECT seq, ended_unix_us, length(record) FROM exchange ORDER BY seq LIMIT ?"

Interrupted = Callable[[bytes], Sequence[JournalEvent]]
"""From an opening's facts to the events of the end that it never had."""


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

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Raises `apsw.Error` as SQLite did, with nothing changed."""
        self._connection.execute("BEGIN IMMEDIATE")
        self.outbox.begin()
        self.written = []
        try:
            yield
            self._connection.executemany("INSERT OR REPLACE INTO counters VALUES (?, ?, ?)", self.tally.changed())
            oldest_unix_us = self.outbox.oldest_unix_us()
            self._connection.execute("COMMIT")
        except BaseException:
            self.tally.rollback()
            self.outbox.rollback()
            self.written = []
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        self.tally.commit()
        self.oldest_pending_unix_us = oldest_unix_us

    def open(self, opening: Opening) -> None:
        """Note a running call, unless its end is here already."""
        self._connection.execute(
            "INSERT INTO open_exchange(exchange_id, trace_id, facts) SELECT ?1, ?2, ?3"
            " WHERE NOT EXISTS (SELECT 1 FROM exchange WHERE exchange_id = ?1) ON CONFLICT (exchange_id) DO NOTHING",
            (opening.exchange_id, opening.trace_id, opening.facts),
        )
        self.append(opening.exchange_id, opening.events)

    def close(self, closing: Closing) -> None:
        """Write the end of a call; a second one is counted and changes nothing."""
        self._connection.execute(
            "INSERT INTO exchange(exchange_id, trace_id, ended_unix_us, record) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (exchange_id) DO NOTHING",
            (closing.exchange_id, closing.trace_id, closing.ended_unix_us, closing.record),
        )
        if self._connection.changes() == 0:
            self.outbox.refuse(len(closing.events), Drop.DUPLICATE_END)
            return
        self.tally.add(Count.EXCHANGES)
        self.tally.add(Count.STORE_BYTES, len(closing.record) + RECORD_OVERHEAD_BYTES)
        self.forget(closing.exchange_id)
        self.append(closing.exchange_id, closing.events)

    def append(self, exchange_id: str, events: Sequence[JournalEvent]) -> None:
        """Write events that are neither a start nor an end."""
        self.written += self.outbox.admit(exchange_id, events)

    def forget(self, exchange_id: str) -> None:
        """The call is not running any more, whether or not its end could be kept."""
        self._connection.execute("DELETE FROM open_exchange WHERE exchange_id = ?", (exchange_id,))

    def refuse(self, events: int, reason: Drop, ended: str | None = None) -> None:
        """Count events that cannot be kept; `ended` is the call whose end is among them."""
        self.outbox.refuse(events, reason)
        if ended is not None:
            self.tally.add(Count.RECORDS_DROPPED, 1, reason)
            self.forget(ended)

    def recover(self, interrupted: Interrupted) -> int:
        """Close some of the calls that an earlier process left open; returns how many, 0 when none was left.

        An end and the removal of its opening are one transaction, so stopping in between loses and repeats nothing.
        """
        rows = fetch(self._connection, _LEFTOVERS, (RECOVER_ROWS,))
        for exchange_id, trace_id, facts in rows:
            self._recover(exchange_id, trace_id, facts, interrupted)
        return len(rows)

    def sweep(self) -> int:
        """One step of keeping the store and the outbox within their bounds; returns how many rows it touched."""
        oldest_us = self._now_us() - int(self._settings.store_max_age_s * 1e6)
        over_bytes = self.tally.get(Count.STORE_BYTES) - self._settings.store_max_bytes
        touched = 0
        for seq, ended_unix_us, record_bytes in fetch(self._connection, _OLDEST_ENDS, (SWEEP_ROWS,)):
            if over_bytes <= 0 and ended_unix_us >= oldest_us:
                break
            self._connection.execute("DELETE FROM exchange WHERE seq = ?", (seq,))
            self.tally.add(Count.EXCHANGES, -1)
            self.tally.add(Count.STORE_BYTES, -record_bytes - RECORD_OVERHEAD_BYTES)
            over_bytes -= record_bytes + RECORD_OVERHEAD_BYTES
            touched += 1
        return touched + self.outbox.sweep()

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

    def _recover(self, exchange_id: str, trace_id: str, facts: bytes, interrupted: Interrupted) -> None:
        try:
            events = tuple(interrupted(facts))
        except Exception:  # noqa: BLE001 - facts of an older release must not keep the proxy from starting
            events = ()
            self.outbox.refuse(1, Drop.UNREADABLE_FACTS)
        self.close(
            Closing(
                exchange_id=exchange_id, trace_id=trace_id, ended_unix_us=self._now_us(), events=events, record=facts
            )
        )
        self.forget(exchange_id)
