"""Events on their way out: pending rows leave when acknowledged, refused ones rest among the dead.

Every method runs inside the file's transaction. Which rows are being sent is remembered in memory alone: after a
crash they are sent again, with the same uuid and the same bytes.

A uuid is looked for together with its exchange, whose ids grow with time: an index of uuids alone would be written to
all over, and each call would cost more the more is pending.
"""

import math
from collections import Counter
from collections.abc import Callable, Collection, Sequence, Set
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import apsw
import orjson

from proxy.adapters.journal import outbox_sql as sql
from proxy.adapters.journal.bulk import Value, fetch, heads, insert, insert_all_or_none, listed
from proxy.adapters.journal.settings import JournalSettings
from proxy.adapters.journal.tally import Certainty, Count, Drop, Tally
from proxy.domain.journal_rows import JournalEvent

EVENT_MAX_BYTES = 900 * 1024
"""PostHog's own SDK refuses a larger event; ours goes to the dead at once."""
ROW_OVERHEAD_BYTES = 256
"""What a row costs beside its body: columns, the index, and unused ends of pages."""
HISTORICAL_S = 48 * 3600
MAX_DELAY_S = 3600
"""A row is never held back longer, whatever a clock that was set back makes of its `next_unix_us`."""
SWEEP_ROWS = 500
"""Rows that one piece of housekeeping touches."""
DEAD_SHARE = 8
"""The dead may take one part in so many of the outbox's bytes; the oldest make room, counted."""


class OutboxRow(NamedTuple):
    """What pending and dead rows share, in the order of the statements; `size_bytes` includes the overhead."""

    uuid: str
    exchange_id: str
    name: str
    size_bytes: int
    created_unix_us: int
    attempts: int
    body: bytes

    def __repr__(self) -> str:
        return f"OutboxRow({self.name} {self.uuid})"


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


@dataclass(slots=True)
class _Sifted:
    """New events by their fate."""

    pending: list[Sequence[Value]] = field(default_factory=list)
    pending_bytes: int = 0
    kept: list[JournalEvent] = field(default_factory=list)
    """Those of `pending`."""
    too_large: list[OutboxRow] = field(default_factory=list)
    lost: Counter[Drop] = field(default_factory=Counter)


_END_OF_TIME_US = (1 << 63) - 1

Name = TypeVar("Name", str, int)


class Outbox:
    """Pending and dead events of one file."""

    def __init__(
        self, connection: apsw.Connection, tally: Tally, settings: JournalSettings, wall_unix_us: Callable[[], int]
    ) -> None:
        self._connection = connection
        self._tally = tally
        self._settings = settings
        self._now_us = wall_unix_us
        self._leased: dict[str, int] = {}
        """By uuid, where the row is."""
        self._leased_before: dict[str, int] = {}
        self._newest_first = False

    def begin(self) -> None:
        """A transaction starts."""
        self._leased_before = dict(self._leased)

    def rollback(self) -> None:
        """The transaction did not happen."""
        self._leased = self._leased_before

    def admit(self, events: Sequence[tuple[str, JournalEvent]]) -> list[JournalEvent]:
        """Write events, each with its exchange's id, that are new to the file and within the bounds; returns those
        that were kept.
        """
        sifted = self._sift(events, set())
        if len(sifted.kept) < len(events) or not self._insert_new(sifted.pending):
            known = self._pending_among([(exchange_id, event.uuid) for exchange_id, event in events])
            sifted = self._sift(events, known)
            insert(self._connection, sql.INSERT_PENDING, sifted.pending)
        self._tally.add(Count.ADMITTED, len(events))
        self._tally.add(Count.ADMITTED_BYTES, sum(len(event.body) + ROW_OVERHEAD_BYTES for _, event in events))
        for drop, count in sifted.lost.items():
            self._tally.add(Count.DROPPED, count, drop)
        self._count_pending(len(sifted.pending), sifted.pending_bytes)
        self._bury_new(sifted.too_large)
        if not self._settings.has_destination:
            self._make_room()
        return sifted.kept

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
        due = heads(
            self._connection, sql.DUE[end], (now_us, now_us + MAX_DELAY_S * 1_000_000, max_events + len(self._leased))
        )
        chosen: dict[str, int] = {}
        total_bytes, is_historical = 0, False
        for seq, uuid, size_bytes, created_us in due:
            if uuid in self._leased:
                continue
            is_old = now_us - created_us > HISTORICAL_S * 1_000_000
            total_bytes += size_bytes
            if chosen and (total_bytes > max_bytes or is_old != is_historical or len(chosen) == max_events):
                break
            is_historical = is_old
            chosen[uuid] = seq
        self._leased.update(chosen)
        return Batch(rows=tuple(self._read(sorted(chosen.values()))), is_historical=is_historical)

    def release(self, uuids: Sequence[str]) -> None:
        """Nobody is sending these any more; they are due as before."""
        for uuid in uuids:
            self._leased.pop(uuid, None)

    def release_all(self) -> None:
        """Nobody is sending anything."""
        self._leased = {}

    def ack(self, uuids: Sequence[str], certainty: Certainty) -> int:
        """Delivered rows leave; returns how many of them were leased."""
        left = self._remove(self._places(uuids))
        self._tally.add(Count.DELIVERED, left, certainty)
        self.release(uuids)
        return left

    def retry(self, uuids: Sequence[str], not_before_unix_us: int) -> None:
        """An attempt failed; leased rows are due again at that time."""
        self._connection.execute(sql.RETRY, (listed(self._places(uuids)), not_before_unix_us))
        self.release(uuids)

    def bury(self, uuids: Sequence[str], reason: str) -> int:
        """Move leased rows to the dead; returns how many there were."""
        count = self._bury(self._places(uuids), reason)
        self.release(uuids)
        return count

    def replay(self, before_unix_us: int, *, reason: str | None = None, uuid: str | None = None) -> int:
        """Make some of the rows that died before that time due again, the oldest first; returns how many."""
        chosen = heads(self._connection, sql.DEAD, (reason, uuid, before_unix_us, SWEEP_ROWS))
        if not chosen:
            return 0
        twins = self._pending_among([(exchange_id, uuid) for uuid, _, exchange_id in chosen])
        self._tally.add(Count.DROPPED, len(twins), Drop.DUPLICATE_UUID)
        due = {uuid: size_bytes for uuid, size_bytes, _ in chosen if uuid not in twins}
        # created now: an expired event that is replayed must not expire again at once
        self._connection.execute(sql.DEAD_TO_PENDING, (listed(due), self._now_us()))
        self._count_pending(len(due), sum(due.values()))
        self._forget_dead([uuid for uuid, _, _ in chosen])
        return len(chosen)

    def purge(self, before_unix_us: int) -> int:
        """Throw away some of what died before that time, the oldest first; returns how many."""
        return self._evict_dead(before_unix_us, Drop.PURGED)

    def forget_pending(self, places: Collection[int]) -> None:
        """Rows of a user who is to be forgotten are not sent; one that is just being sent may still arrive."""
        self._tally.add(Count.DROPPED, self._remove(places), Drop.FORGOTTEN)

    def forget_dead(self, uuids: Collection[str]) -> None:
        """The same of the dead."""
        self._tally.add(Count.DROPPED, self._forget_dead(uuids), Drop.FORGOTTEN)

    def oldest(self, limit: int) -> dict[int, OutboxRow]:
        """Pending rows as they are, by place, whoever may be sending them."""
        places = [seq for seq, _, _ in heads(self._connection, sql.OLDEST, (limit,))]
        return dict(zip(places, self._read(places), strict=True))

    def take_over(self, rows: Sequence[OutboxRow]) -> None:
        """Admit pending rows of another file, with the age that they have."""
        twins = self._pending_among([(row.exchange_id, row.uuid) for row in rows])
        new = [row for row in rows if row.uuid not in twins]
        size_bytes = sum(row.size_bytes for row in new)
        self._tally.add(Count.ADMITTED, len(rows))
        self._tally.add(Count.ADMITTED_BYTES, size_bytes)
        self._tally.add(Count.DROPPED, len(twins), Drop.DUPLICATE_UUID)
        self._count_pending(len(new), size_bytes)
        insert(self._connection, sql.INSERT_PENDING, new)

    def hand_over(self, places: Collection[int]) -> None:
        """These rows are another file's now, and were never admitted here."""
        self._tally.add(Count.ADMITTED, -self._remove(places))

    def sweep(self) -> int:
        """One step of keeping within age and bytes; returns how many rows it touched."""
        self._tally.add(
            Count.OUTBOX_MAX_BYTES, self._settings.outbox_max_bytes - self._tally.get(Count.OUTBOX_MAX_BYTES)
        )
        expired_us = self._now_us() - int(self._settings.outbox_max_age_s * 1e6)
        leased = set(self._leased.values())
        expired = [
            seq
            for seq, _, created_us in heads(self._connection, sql.OLDEST, (SWEEP_ROWS,))
            if created_us < expired_us and seq not in leased
        ]
        if self._settings.has_destination:
            touched = self._bury(expired, "expired")
        else:
            touched = self._remove(expired)
            self._tally.add(Count.DROPPED, touched, Drop.LOCAL_RETENTION)
        over_bytes = self._tally.get(Count.DEAD_BYTES) - self._settings.outbox_max_bytes // DEAD_SHARE
        if over_bytes > 0:
            touched += self._evict_dead(_END_OF_TIME_US, Drop.DEAD_FULL, over_bytes)
        return touched

    def oldest_unix_us(self) -> int | None:
        """When the oldest pending row was written."""
        rows = fetch(self._connection, "SELECT created_unix_us FROM outbox ORDER BY seq LIMIT 1")
        return int(rows[0][0]) if rows else None

    def _sift(self, events: Sequence[tuple[str, JournalEvent]], known: Set[str]) -> _Sifted:
        """What is to become of events of which those uuids are pending already."""
        now_us = self._now_us()
        sifted = _Sifted()
        seen = set(known)
        room_bytes = self._room_bytes()
        for exchange_id, event in events:
            if event.uuid in seen:
                sifted.lost[Drop.DUPLICATE_UUID] += 1
                continue
            size_bytes = len(event.body) + ROW_OVERHEAD_BYTES
            row = event.uuid, exchange_id, event.name, size_bytes, now_us, 0, event.body
            if len(event.body) > EVENT_MAX_BYTES:
                sifted.too_large.append(OutboxRow._make(row))
            elif sifted.pending_bytes + size_bytes > room_bytes:
                sifted.lost[Drop.OUTBOX_FULL] += 1
                continue
            else:
                sifted.pending_bytes += size_bytes
                sifted.pending.append(row)
                sifted.kept.append(event)
            seen.add(event.uuid)
        return sifted

    def _insert_new(self, rows: Sequence[Sequence[Value]]) -> bool:
        """False when one of them is pending already: then none has been inserted."""
        return insert_all_or_none(self._connection, sql.PENDING_COLUMNS, rows, sql.DELETE_LAST_PENDING)

    def _room_bytes(self) -> float:
        """What new rows may take; where nobody waits for them, the oldest make room afterwards."""
        if not self._settings.has_destination:
            return math.inf
        return self._settings.outbox_max_bytes - self._tally.get(Count.PENDING_BYTES)

    def _make_room(self) -> None:
        """Nobody waits for the oldest."""
        while (over_bytes := self._tally.get(Count.PENDING_BYTES) - self._settings.outbox_max_bytes) > 0:
            oldest = heads(self._connection, sql.OLDEST, (SWEEP_ROWS,))
            evicted = self._remove(_enough(oldest, over_bytes))
            self._tally.add(Count.DROPPED, evicted, Drop.LOCAL_RETENTION)

    def _places(self, uuids: Sequence[str]) -> list[int]:
        """Where leased rows are."""
        return [self._leased[uuid] for uuid in uuids if uuid in self._leased]

    def _read(self, places: Sequence[int]) -> list[OutboxRow]:
        """Whole rows; the places ascend."""
        if not places:
            return []
        columns, bodies = fetch(self._connection, sql.ROWS, (listed(places),))[0]
        rows: list[OutboxRow] = []
        start = 0
        for row in orjson.loads(columns):
            end = start + row[-1]
            row[-1] = bodies[start:end]
            rows.append(OutboxRow._make(row))
            start = end
        return rows

    def _pending_among(self, pairs: Collection[tuple[str, str]]) -> set[str]:
        """Of (exchange id, uuid) the uuids that are pending."""
        return set(heads(self._connection, sql.PENDING_AMONG, (listed(pairs),))) if pairs else set()

    def _remove(self, places: Collection[int]) -> int:
        """Delete pending rows; returns how many there were."""
        if not places:
            return 0
        among = (listed(places),)
        count, size_bytes = fetch(self._connection, sql.MEASURE_PENDING, among)[0]
        self._connection.execute(sql.DELETE_PENDING, among)
        self._count_pending(-count, -size_bytes)
        return int(count)

    def _bury(self, places: Collection[int], reason: str) -> int:
        """Move pending rows to the dead; returns how many there were."""
        if not places:
            return 0
        among = (listed(places),)
        self._drop_dead_twins(heads(self._connection, sql.UUIDS, among))
        self._connection.execute(sql.PENDING_TO_DEAD, (*among, reason, self._now_us()))
        before_bytes = self._tally.get(Count.PENDING_BYTES)
        count = self._remove(places)
        self._count_dead(count, before_bytes - self._tally.get(Count.PENDING_BYTES), reason)
        return count

    def _bury_new(self, rows: Sequence[OutboxRow]) -> None:
        """Events that need not even be tried."""
        if rows:
            self._drop_dead_twins([row.uuid for row in rows])
            insert(self._connection, sql.INSERT_DEAD, [(*row, "too_large", self._now_us()) for row in rows])
            self._count_dead(len(rows), sum(row.size_bytes for row in rows), "too_large")

    def _drop_dead_twins(self, uuids: Collection[str]) -> None:
        """One uuid has room for one dead event."""
        self._tally.add(Count.DROPPED, self._forget_dead(uuids), Drop.DUPLICATE_UUID)

    def _forget_dead(self, uuids: Collection[str]) -> int:
        """Delete dead rows; returns how many there were."""
        among = (listed(uuids),)
        found = fetch(self._connection, sql.MEASURE_DEAD, among)
        if found:
            self._connection.execute(sql.DELETE_DEAD, among)
        for reason, count, size_bytes in found:
            self._count_dead(-count, -size_bytes, reason)
        return sum(count for _, count, _ in found)

    def _evict_dead(self, before_unix_us: int, drop: Drop, enough_bytes: int | None = None) -> int:
        oldest = heads(self._connection, sql.DEAD, (None, None, before_unix_us, SWEEP_ROWS))
        evicted = self._forget_dead(
            [uuid for uuid, *_ in oldest] if enough_bytes is None else _enough(oldest, enough_bytes)
        )
        self._tally.add(Count.DROPPED, evicted, drop)
        return evicted

    def _count_pending(self, count: int, size_bytes: int) -> None:
        self._tally.add(Count.PENDING, count)
        self._tally.add(Count.PENDING_BYTES, size_bytes)

    def _count_dead(self, count: int, size_bytes: int, reason: str) -> None:
        self._tally.add(Count.DEAD, count, reason)
        self._tally.add(Count.DEAD_BYTES, size_bytes)


def _enough(rows: Sequence[tuple[Name, int, object]], enough_bytes: int) -> list[Name]:
    """The first rows, of (name or place, bytes, …), that come to so many bytes, or all."""
    chosen: list[Name] = []
    for name, size_bytes, _ in rows:
        if enough_bytes <= 0:
            break
        chosen.append(name)
        enough_bytes -= size_bytes
    return chosen
