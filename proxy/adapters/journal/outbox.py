"""Events on their way out: pending rows leave when acknowledged, refused ones rest among the dead.

Every method runs inside the file's transaction. Which rows are being sent is remembered in memory alone: after a
crash they are sent again, with the same uuid and the same bytes.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import apsw

from proxy.adapters.journal.schema import fetch
from proxy.adapters.journal.settings import JournalSettings
from proxy.adapters.journal.tally import Certainty, Count, Drop, Tally
from proxy.domain.journal_rows import JournalEvent

EVENT_MAX_BYTES = 900 * 1024
"""PostHog's own SDK refuses a larger event; ours goes to the dead at once."""
ROW_OVERHEAD_BYTES = 256
"""What a row costs beside its body: columns, the index on uuid, and unused ends of pages."""
HISTORICAL_S = 48 * 3600
MAX_DELAY_S = 3600
"""A row is never held back longer, whatever a clock that was set back makes of its `next_unix_us`."""
SWEEP_ROWS = 500
"""Rows that one piece of housekeeping touches."""
DEAD_SHARE = 8
"""The dead may take one part in so many of the outbox's bytes; the oldest make room, counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRow:
    """One event that is due."""

    uuid: str
    name: str
    body: bytes = field(repr=False)
    attempts: int
    created_unix_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows in the order in which they were written; all historical or none. Empty: nothing is due."""

    rows: tuple[OutboxRow, ...] = ()
    is_historical: bool = False
    """Older than `HISTORICAL_S`: PostHog wants these apart from live events."""

    @property
    def uuids(self) -> tuple[str, ...]:
        """Of all rows, in order."""
        return tuple(row.uuid for row in self.rows)


class PendingRow(NamedTuple):
    """What pending and dead rows share, in the order of the statements; `size_bytes` includes the overhead."""

    uuid: str
    exchange_id: str
    name: str
    size_bytes: int
    created_unix_us: int
    attempts: int
    body: bytes


_DUE = {
    "oldest": "SELECT uuid, name, body, attempts, created_unix_us FROM outbox"
    " WHERE next_unix_us <= ?1 OR next_unix_us > ?2 ORDER BY seq",
    "newest": "SELECT uuid, name, body, attempts, created_unix_us FROM outbox"
    " WHERE next_unix_us <= ?1 OR next_unix_us > ?2 ORDER BY seq DESC",
}
_PENDING_ROW = "SELECT uuid, exchange_id, name, bytes, created_unix_us, attempts, body FROM outbox WHERE uuid = ?"
_OLDEST_ROWS = "SELECT uuid, exchange_id, name, bytes, created_unix_us, attempts, body FROM outbox ORDER BY seq LIMIT ?"
_DEAD_ROWS = (
    "SELECT reason, uuid, exchange_id, name, bytes, created_unix_us, attempts, body FROM dead"
    " WHERE (?1 IS NULL OR reason = ?1) AND (?2 IS NULL OR uuid = ?2) AND first_unix_us < ?3 ORDER BY seq LIMIT ?4"
)
_INSERT_PENDING = (
    "INSERT INTO outbox(uuid, exchange_id, name, bytes, created_unix_us, attempts, body)"
    " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (uuid) DO NOTHING"
)
_INSERT_DEAD = (
    "INSERT INTO dead(uuid, exchange_id, name, bytes, created_unix_us, attempts, body, reason, first_unix_us)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (uuid) DO NOTHING"
)
_END_OF_TIME_US = (1 << 63) - 1


class Outbox:
    """Pending and dead events of one file."""

    def __init__(
        self, connection: apsw.Connection, tally: Tally, settings: JournalSettings, wall_unix_us: Callable[[], int]
    ) -> None:
        self._connection = connection
        self._tally = tally
        self._settings = settings
        self._now_us = wall_unix_us
        self._leased: set[str] = set()
        self._leased_before: set[str] = set()
        self._newest_first = False

    def begin(self) -> None:
        """A transaction starts."""
        self._leased_before = set(self._leased)

    def rollback(self) -> None:
        """The transaction did not happen."""
        self._leased = self._leased_before

    def admit(self, exchange_id: str, events: Iterable[JournalEvent]) -> list[JournalEvent]:
        """Write events that are new to the file, within the bounds; returns those that were kept."""
        return [event for event in events if self._admit(exchange_id, event)]

    def refuse(self, count: int, reason: Drop) -> None:
        """Count events that are not even tried."""
        self._tally.add(Count.ADMITTED, count)
        self._tally.add(Count.DROPPED, count, reason)

    def lease(self, max_events: int, max_bytes: int) -> Batch:
        """Due rows that nobody is sending: by turns the oldest and the newest, so that after an outage fresh
        events do not wait behind the backlog. At least one row, however large, when any is due.
        """
        end = "newest" if self._newest_first else "oldest"
        self._newest_first = not self._newest_first
        now_us = self._now_us()
        rows: list[OutboxRow] = []
        total_bytes = 0
        due: Iterable[Any] = self._connection.execute(_DUE[end], (now_us, now_us + MAX_DELAY_S * 1_000_000))
        for uuid, name, body, attempts, created_unix_us in due:
            if uuid in self._leased:
                continue
            row = OutboxRow(uuid=uuid, name=name, body=body, attempts=attempts, created_unix_us=created_unix_us)
            total_bytes += len(body)
            if rows and (total_bytes > max_bytes or _is_historical(row, now_us) != _is_historical(rows[0], now_us)):
                break
            rows.append(row)
            if len(rows) == max_events:
                break
        self._leased.update(row.uuid for row in rows)
        if end == "newest":
            rows.reverse()
        return Batch(rows=tuple(rows), is_historical=bool(rows) and _is_historical(rows[0], now_us))

    def release(self, uuids: Sequence[str]) -> None:
        """Nobody is sending these any more; they are due as before."""
        self._leased.difference_update(uuids)

    def release_all(self) -> None:
        """Nobody is sending anything."""
        self._leased = set()

    def ack(self, uuids: Sequence[str], certainty: Certainty) -> int:
        """Delivered rows leave; returns how many were still there."""
        left = sum(self._remove(uuid) for uuid in uuids)
        self._tally.add(Count.DELIVERED, left, certainty)
        self.release(uuids)
        return left

    def retry(self, uuids: Sequence[str], not_before_unix_us: int) -> None:
        """An attempt failed; the rows are due again at that time."""
        self._connection.executemany(
            "UPDATE outbox SET attempts = attempts + 1, next_unix_us = ? WHERE uuid = ?",
            [(not_before_unix_us, uuid) for uuid in uuids],
        )
        self.release(uuids)

    def bury(self, uuids: Sequence[str], reason: str) -> int:
        """Move pending rows to the dead; returns how many there were."""
        moved = 0
        for uuid in uuids:
            for row in fetch(self._connection, _PENDING_ROW, (uuid,)):
                self._remove(uuid)
                self._lay_to_rest(PendingRow(*row), reason)
                moved += 1
        self.release(uuids)
        return moved

    def replay(self, before_unix_us: int, *, reason: str | None = None, uuid: str | None = None) -> int:
        """Make some of the rows that died before that time due again, the oldest first; returns how many."""
        rows = fetch(self._connection, _DEAD_ROWS, (reason, uuid, before_unix_us, SWEEP_ROWS))
        for why, *columns in rows:
            row = PendingRow(*columns)
            self._forget_dead(row.uuid, row.size_bytes, why)
            # created now: an expired event that is replayed must not expire again at once
            self._insert(row._replace(created_unix_us=self._now_us()))
        return len(rows)

    def purge(self, before_unix_us: int) -> int:
        """Throw away some of what died before that time, the oldest first; returns how many."""
        return self._evict_dead(before_unix_us, Drop.PURGED)

    def oldest(self, limit: int) -> list[PendingRow]:
        """Pending rows as they are, whoever may be sending them."""
        return [PendingRow(*row) for row in fetch(self._connection, _OLDEST_ROWS, (limit,))]

    def take_over(self, rows: Sequence[PendingRow]) -> None:
        """Admit pending rows of another file, with the age that they have."""
        for row in rows:
            self._tally.add(Count.ADMITTED)
            self._tally.add(Count.ADMITTED_BYTES, row.size_bytes)
            self._insert(row)

    def hand_over(self, uuids: Sequence[str]) -> None:
        """These rows are another file's now, and were never admitted here."""
        self._tally.add(Count.ADMITTED, -sum(self._remove(uuid) for uuid in uuids))

    def sweep(self) -> int:
        """One step of keeping within age and bytes; returns how many rows it touched."""
        self._tally.add(
            Count.OUTBOX_MAX_BYTES, self._settings.outbox_max_bytes - self._tally.get(Count.OUTBOX_MAX_BYTES)
        )
        oldest_us = self._now_us() - int(self._settings.outbox_max_age_s * 1e6)
        expired = fetch(
            self._connection,
            "SELECT uuid FROM outbox WHERE created_unix_us < ? ORDER BY seq LIMIT ?",
            (oldest_us, SWEEP_ROWS),
        )
        uuids = [uuid for (uuid,) in expired if uuid not in self._leased]
        if self._settings.has_destination:
            touched = self.bury(uuids, "expired")
        else:
            touched = sum(self._remove(uuid) for uuid in uuids)
            self._tally.add(Count.DROPPED, touched, Drop.LOCAL_RETENTION)
        over_bytes = self._tally.get(Count.DEAD_BYTES) - self._settings.outbox_max_bytes // DEAD_SHARE
        if over_bytes > 0:
            touched += self._evict_dead(_END_OF_TIME_US, Drop.DEAD_FULL, over_bytes)
        return touched

    def oldest_unix_us(self) -> int | None:
        """When the oldest pending row was written."""
        rows = fetch(self._connection, "SELECT created_unix_us FROM outbox ORDER BY seq LIMIT 1")
        return int(rows[0][0]) if rows else None

    def _admit(self, exchange_id: str, event: JournalEvent) -> bool:
        size_bytes = len(event.body) + ROW_OVERHEAD_BYTES
        self._tally.add(Count.ADMITTED)
        self._tally.add(Count.ADMITTED_BYTES, size_bytes)
        row = PendingRow(event.uuid, exchange_id, event.name, size_bytes, self._now_us(), 0, event.body)
        if len(event.body) > EVENT_MAX_BYTES:
            self._lay_to_rest(row, "too_large")
            return True
        if not self._has_room(size_bytes):
            self._tally.add(Count.DROPPED, 1, Drop.OUTBOX_FULL)
            return False
        return self._insert(row)

    def _has_room(self, size_bytes: int) -> bool:
        max_bytes = self._settings.outbox_max_bytes
        if self._settings.has_destination:
            return self._tally.get(Count.PENDING_BYTES) + size_bytes <= max_bytes
        while self._tally.get(Count.PENDING_BYTES) + size_bytes > max_bytes:
            oldest = fetch(self._connection, "SELECT uuid FROM outbox ORDER BY seq LIMIT 1")
            if not oldest:
                return False
            self._remove(oldest[0][0])
            self._tally.add(Count.DROPPED, 1, Drop.LOCAL_RETENTION)
        return True

    def _insert(self, row: PendingRow) -> bool:
        self._connection.execute(_INSERT_PENDING, row)
        if self._connection.changes() == 0:
            self._tally.add(Count.DROPPED, 1, Drop.DUPLICATE_UUID)
            return False
        self._tally.add(Count.PENDING)
        self._tally.add(Count.PENDING_BYTES, row.size_bytes)
        return True

    def _remove(self, uuid: str) -> int:
        gone = fetch(self._connection, "DELETE FROM outbox WHERE uuid = ? RETURNING bytes", (uuid,))
        for (size_bytes,) in gone:
            self._tally.add(Count.PENDING, -1)
            self._tally.add(Count.PENDING_BYTES, -size_bytes)
        return len(gone)

    def _lay_to_rest(self, row: PendingRow, reason: str) -> None:
        self._connection.execute(_INSERT_DEAD, (*row, reason, self._now_us()))
        if self._connection.changes() == 0:
            self._tally.add(Count.DROPPED, 1, Drop.DUPLICATE_UUID)
            return
        self._tally.add(Count.DEAD, 1, reason)
        self._tally.add(Count.DEAD_BYTES, row.size_bytes)

    def _forget_dead(self, uuid: str, size_bytes: int, reason: str) -> None:
        self._connection.execute("DELETE FROM dead WHERE uuid = ?", (uuid,))
        self._tally.add(Count.DEAD, -1, reason)
        self._tally.add(Count.DEAD_BYTES, -size_bytes)

    def _evict_dead(self, before_unix_us: int, drop: Drop, enough_bytes: int | None = None) -> int:
        rows = fetch(
            self._connection,
            "SELECT uuid, bytes, reason FROM dead WHERE first_unix_us < ? ORDER BY seq LIMIT ?",
            (before_unix_us, SWEEP_ROWS),
        )
        evicted = freed_bytes = 0
        for uuid, size_bytes, reason in rows:
            if enough_bytes is not None and freed_bytes >= enough_bytes:
                break
            self._forget_dead(uuid, size_bytes, reason)
            self._tally.add(Count.DROPPED, 1, drop)
            freed_bytes += size_bytes
            evicted += 1
        return evicted


def _is_historical(row: OutboxRow, now_us: int) -> bool:
    return now_us - row.created_unix_us > HISTORICAL_S * 1_000_000
