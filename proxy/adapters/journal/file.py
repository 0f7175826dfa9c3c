"""One journal file behind its one connection: running calls, ended calls, and the outbox.

All changes happen inside `transaction`; either the rows, the counters and the leases change together, or nothing
does. A call's opening is deleted in the transaction that writes its end, and an exchange id has room for one end
only, so that whatever crash falls in between, the next start finds either an opening or an end and never both.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import apsw

from proxy.adapters.journal.bulk import fetch, heads, insert, insert_all_or_none, listed
from proxy.adapters.journal.forgetting import Forgetting
from proxy.adapters.journal.outbox import Outbox
from proxy.adapters.journal.settings import JournalSettings
from proxy.adapters.journal.tally import Count, Drop, Tally
from proxy.domain.journal_rows import Closing, JournalEvent, Opening, Outcome

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
_OLDEST_OUTCOMES = (
    "SELECT json_group_array(json_array(seq, at_unix_us, length(body))) FROM"
    " (SELECT seq, at_unix_us, body FROM outcome ORDER BY seq LIMIT ?)"
)
_KEPT_AMONG = "SELECT json_group_array(uuid) FROM outcome WHERE uuid IN (SELECT value FROM json_each(?))"
_FORGET = "DELETE FROM open_exchange WHERE exchange_id IN (SELECT value FROM json_each(?))"
_INSERT_OPEN = "INSERT OR REPLACE INTO open_exchange(exchange_id, trace_id, facts) VALUES"
_END_COLUMNS = "exchange(exchange_id, trace_id, ended_unix_us, record)"
_DELETE_LAST_ENDS = "DELETE FROM exchange WHERE seq IN (SELECT seq FROM exchange ORDER BY seq DESC LIMIT ?)"
_NAME_ENDS = "INSERT INTO request(seq, request_id) VALUES"
_FORGET_NAMES = "DELETE FROM request WHERE seq < coalesce((SELECT min(seq) FROM exchange), 9223372036854775807)"
_INSERT_OUTCOME = "INSERT INTO outcome(uuid, exchange_id, trace_id, name, at_unix_us, body) VALUES"

Interrupted = Callable[[bytes], Sequence[JournalEvent]]
"""From an opening's facts to the events of the end that it never had."""


Row = Opening | Closing | Outcome


class JournalFile:
    """Not thread-safe: it belongs to whoever holds the file's lock."""

    def __init__(self, connection: apsw.Connection, settings: JournalSettings, wall_unix_us: Callable[[], int]) -> None:
        self._connection = connection
        self._settings = settings
        self._now_us = wall_unix_us
        counters = fetch(connection, "SELECT name, reason, value FROM counters")
        self.tally = Tally({(name, reason): value for name, reason, value in counters})
        self.outbox = Outbox(connection, self.tally, settings, wall_unix_us)
        self.forgetting = Forgetting(connection, self.tally, self.outbox, RECORD_OVERHEAD_BYTES)
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
        """Write starts, ends and outcomes. A second end of a call, and an event of an outcome that is kept already,
        is counted and changes nothing; a start that comes after its end opens nothing.
        """
        openings: list[Opening] = []
        ends: dict[str, Closing] = {}
        for row in rows:
            if isinstance(row, Opening):
                openings.append(row)
            elif isinstance(row, Closing):
                ends.setdefault(row.exchange_id, row)
        new_ends = self._write_ends(list(ends.values()))
        self.forget(new_ends)
        self._write_openings([row for row in openings if row.exchange_id not in ends])
        untold = set(new_ends)
        events = [(row.exchange_id, event) for row in rows for event in self._new_events(row, untold)]
        if events:
            self.written += self.outbox.admit(events)

    def keeps(self, uuids: Sequence[str]) -> bool:
        """All these events of outcomes are kept."""
        return len(heads(self._connection, _KEPT_AMONG, (listed(uuids),))) == len(set(uuids))

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
        ends, evicted_us = self._evict("exchange", _OLDEST_ENDS, over_bytes, expired_us)
        self.tally.add(Count.EXCHANGES, -ends)
        if ends:
            self._connection.execute(_FORGET_NAMES)
        outcomes, _ = self._evict("outcome", _OLDEST_OUTCOMES, 0, max(expired_us, evicted_us))
        return ends + outcomes + self.outbox.sweep()

    def vacuum(self) -> None:
        """Give some free pages back to the disk. Outside of a transaction."""
        if self._connection.pragma("freelist_count") > VACUUM_PAGES:
            self._connection.execute(f"PRAGMA incremental_vacuum({VACUUM_PAGES})").fetchall()

    def scrub(self) -> None:
        """Leave nothing of what was deleted in free pages or in the log. Outside of a transaction."""
        self._connection.execute("PRAGMA incremental_vacuum").fetchall()
        with suppress(apsw.BusyError):  # somebody reads: the log is cut the next time that it begins anew
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)

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

    def _write_ends(self, closings: Sequence[Closing]) -> list[str]:
        """Write ends of different calls; returns the ids of those that had none yet."""
        if closings and not self._insert_ends(closings):
            ended = self._ended_among([row.exchange_id for row in closings])
            closings = [row for row in closings if row.exchange_id not in ended]
            insert(self._connection, f"INSERT OR FAIL INTO {_END_COLUMNS} VALUES", _end_rows(closings))
        last_seq = self._connection.last_insert_rowid()
        seqs = range(last_seq - len(closings) + 1, last_seq + 1)
        named = [(seq, row.request_id) for seq, row in zip(seqs, closings, strict=True) if row.request_id]
        insert(self._connection, _NAME_ENDS, named)
        self.tally.add(Count.EXCHANGES, len(closings))
        self.tally.add(Count.STORE_BYTES, sum(len(row.record) + RECORD_OVERHEAD_BYTES for row in closings))
        return [row.exchange_id for row in closings]

    def _insert_ends(self, closings: Sequence[Closing]) -> bool:
        """False when one of these calls has ended already: then none has been inserted."""
        return insert_all_or_none(self._connection, _END_COLUMNS, _end_rows(closings), _DELETE_LAST_ENDS)

    def _write_openings(self, openings: Sequence[Opening]) -> None:
        """Those of calls that have not ended."""
        ended = self._ended_among([row.exchange_id for row in openings])
        running = [(row.exchange_id, row.trace_id, row.facts) for row in openings if row.exchange_id not in ended]
        insert(self._connection, _INSERT_OPEN, running)

    def _ended_among(self, exchange_ids: Sequence[str]) -> set[str]:
        return set(heads(self._connection, _ENDED_AMONG, (listed(exchange_ids),))) if exchange_ids else set()

    def _new_events(self, row: Row, untold: set[str]) -> Sequence[JournalEvent]:
        """`untold` are the calls whose one end is still to come among the rows."""
        if isinstance(row, Outcome):
            return self._keep(row)
        if isinstance(row, Closing):
            if row.exchange_id not in untold:
                self.outbox.refuse(len(row.events), Drop.DUPLICATE_END)
                return ()
            untold.remove(row.exchange_id)
        return row.events

    def _keep(self, row: Outcome) -> list[JournalEvent]:
        """Keep those of its events that are new to the file, and return these."""
        known = set(heads(self._connection, _KEPT_AMONG, (listed([event.uuid for event in row.events]),)))
        fresh = list({event.uuid: event for event in row.events if event.uuid not in known}.values())
        if len(fresh) < len(row.events):
            self.outbox.refuse(len(row.events) - len(fresh), Drop.DUPLICATE_UUID)
        insert(
            self._connection,
            _INSERT_OUTCOME,
            [(event.uuid, row.exchange_id, row.trace_id, event.name, row.at_unix_us, event.body) for event in fresh],
        )
        self.tally.add(Count.STORE_BYTES, sum(len(event.body) + RECORD_OVERHEAD_BYTES for event in fresh))
        return fresh

    def _evict(self, table: str, oldest: str, over_bytes: int, expired_us: int) -> tuple[int, int]:
        """Delete the oldest rows while they are too many or too old; how many they were, and the last one's time."""
        last_seq, evicted, evicted_bytes, last_us = 0, 0, 0, 0
        for seq, at_unix_us, row_bytes in heads(self._connection, oldest, (SWEEP_ROWS,)):
            if evicted_bytes >= over_bytes and at_unix_us >= expired_us:
                break
            last_seq, evicted, last_us = seq, evicted + 1, at_unix_us
            evicted_bytes += row_bytes + RECORD_OVERHEAD_BYTES
        if evicted:
            self._connection.execute(f"DELETE FROM {table} WHERE seq <= ?", (last_seq,))  # noqa: S608 - our own names
            self.tally.add(Count.STORE_BYTES, -evicted_bytes)
        return evicted, last_us

    def _missing_end(self, exchange_id: str, trace_id: str, facts: bytes, *, interrupted: Interrupted) -> Closing:
        try:
            events = tuple(interrupted(facts))
        except Exception:  # noqa: BLE001 - facts of an older release must not keep the proxy from starting
            events = ()
            self.outbox.refuse(1, Drop.UNREADABLE_FACTS)
        return Closing(
            exchange_id=exchange_id, trace_id=trace_id, ended_unix_us=self._now_us(), events=events, record=facts
        )


def _end_rows(closings: Sequence[Closing]) -> list[tuple[str, str, int, bytes]]:
    return [(row.exchange_id, row.trace_id, row.ended_unix_us, row.record) for row in closings]
