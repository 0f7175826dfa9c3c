"""Reads one journal file while its owner writes it: for the command line and for pages.

Any number of readers may be open; each query sees the file as of one moment. A reader should not be kept open over a
long pause inside a query, or the owner's log grows meanwhile.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from proxy.adapters.journal.bulk import fetch
from proxy.adapters.journal.schema import connect_reader
from proxy.adapters.journal.stats import JournalStats
from proxy.adapters.journal.tally import Count, Tally

LAST_SEQ = 2**63 - 1
"""After every call."""
RATE_CALLS = 1000
"""The observed rate is that of so many calls, the last ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """One event of the outbox. `reason` is None while it is pending."""

    uuid: str
    name: str
    exchange_id: str
    created_unix_us: int
    attempts: int
    reason: str | None
    body: bytes = field(repr=False)

    @property
    def state(self) -> str:
        """`pending` or `dead`."""
        return "pending" if self.reason is None else "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredExchange:
    """The record of one ended call; `seq` grows with each that is written and is never used again."""

    seq: int
    exchange_id: str
    trace_id: str
    ended_unix_us: int
    record: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class RunningCall:
    """A call that has not ended. `facts` is what `domain.events.opening` made of it."""

    exchange_id: str
    trace_id: str
    facts: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredOutcome:
    """One event of an outcome, as it was sent; `seq` grows with each that is written and is never used again."""

    seq: int
    uuid: str
    exchange_id: str
    trace_id: str
    name: str
    at_unix_us: int
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """What the last calls came to."""

    events_per_s: float
    bytes_per_event: float
    fits_s: float
    """How long an outage of the destination the outbox still takes at this rate."""


_PENDING = "SELECT uuid, name, exchange_id, created_unix_us, attempts, NULL, body FROM outbox"
_DEAD = "SELECT uuid, name, exchange_id, created_unix_us, attempts, reason, body FROM dead"
_EXCHANGE = "SELECT seq, exchange_id, trace_id, ended_unix_us, record FROM exchange"
_RUNNING = "SELECT exchange_id, trace_id, facts FROM open_exchange"
_OUTCOME = "SELECT seq, uuid, exchange_id, trace_id, name, at_unix_us, body FROM outcome"


class JournalReader:
    """`with JournalReader(path) as reader:`. Raises `Unusable` or `apsw.Error` for a file that it cannot read."""

    def __init__(self, path: Path) -> None:
        self._connection = connect_reader(path)
        self._tables = {name for (name,) in fetch(self._connection, "SELECT name FROM sqlite_schema")}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the file up."""
        self._connection.close()

    def stats(self) -> JournalStats:
        """What the file says; what the owner has in memory alone is not in it."""
        tally = self._tally()
        oldest = fetch(self._connection, "SELECT created_unix_us FROM outbox ORDER BY seq LIMIT 1")
        return tally.stats(oldest_pending_unix_us=oldest[0][0] if oldest else None)

    def rate(self) -> Rate | None:
        """From the last calls; None while too few have ended to say."""
        last = fetch(self._connection, "SELECT max(seq) FROM exchange")[0][0]
        span = fetch(
            self._connection,
            "SELECT count(*), max(ended_unix_us) - min(ended_unix_us) FROM exchange WHERE seq > ?",
            ((last or 0) - RATE_CALLS,),
        )
        calls, span_us = span[0]
        tally = self._tally()
        admitted = tally.get(Count.ADMITTED)
        if not admitted or calls < 2 or span_us <= 0:
            return None
        events_per_s = (calls - 1) / (span_us / 1e6) * admitted / last
        bytes_per_event = tally.get(Count.ADMITTED_BYTES) / admitted
        room_bytes = tally.get(Count.OUTBOX_MAX_BYTES) - tally.get(Count.PENDING_BYTES)
        return Rate(
            events_per_s=events_per_s,
            bytes_per_event=bytes_per_event,
            fits_s=max(0.0, room_bytes / (events_per_s * bytes_per_event)),
        )

    def pending(self, limit: int = -1) -> Iterator[StoredEvent]:
        """The oldest first; a negative limit is none."""
        return self._events(f"{_PENDING} ORDER BY seq LIMIT ?", (limit,))

    def dead(self, limit: int = -1, reason: str | None = None) -> Iterator[StoredEvent]:
        """In the order of their death."""
        return self._events(f"{_DEAD} WHERE ?1 IS NULL OR reason = ?1 ORDER BY seq LIMIT ?2", (reason, limit))

    def find(self, uuid: str) -> StoredEvent | None:
        """A pending or dead event."""
        query = f"{_PENDING} WHERE uuid = ?1 UNION ALL {_DEAD} WHERE uuid = ?1"
        return next(self._events(query, (uuid,)), None)

    def exchanges(self, after_seq: int = 0, limit: int = 100) -> list[StoredExchange]:
        """Calls that ended after the one with that `seq`, in the order in which they were written."""
        return self._exchanges(f"{_EXCHANGE} WHERE seq > ? ORDER BY seq LIMIT ?", (after_seq, limit))

    def latest(self, limit: int = 100, before_seq: int = LAST_SEQ) -> list[StoredExchange]:
        """The newest first, of those that were written before the one with that `seq`."""
        return self._exchanges(f"{_EXCHANGE} WHERE seq < ? ORDER BY seq DESC LIMIT ?", (before_seq, limit))

    def by_trace(self, trace_id: str, limit: int = -1) -> list[StoredExchange]:
        """The calls of a trace that have ended, in order; of too many the first. A negative limit is none."""
        return self._exchanges(f"{_EXCHANGE} WHERE trace_id = ? ORDER BY seq LIMIT ?", (trace_id, limit))

    def by_request(self, request_id: str, limit: int) -> list[StoredExchange]:
        """The calls that have ended under a client's own id, the newest first: apps reuse them."""
        if "request" not in self._tables:
            return []
        named = "SELECT seq FROM request WHERE request_id = ? ORDER BY seq DESC LIMIT ?"
        return self._exchanges(f"{_EXCHANGE} WHERE seq IN ({named}) ORDER BY seq DESC", (request_id, limit))

    def by_exchange(self, exchange_id: str) -> StoredExchange | None:
        """One call, if it has ended."""
        return next(iter(self._exchanges(f"{_EXCHANGE} WHERE exchange_id = ?", (exchange_id,))), None)

    def running(self, *, exchange_id: str = "", trace_id: str = "") -> list[RunningCall]:
        """The calls of that id or that trace that run."""
        query = f"{_RUNNING} WHERE exchange_id = ? OR trace_id = ? ORDER BY rowid"
        return [RunningCall(*row) for row in fetch(self._connection, query, (exchange_id, trace_id))]

    def running_with(self, said: bytes) -> list[RunningCall]:
        """The calls that run and whose facts hold these bytes."""
        query = f"{_RUNNING} WHERE instr(facts, ?) ORDER BY rowid"
        return [RunningCall(*row) for row in fetch(self._connection, query, (said,))]

    def outcomes(self, after_seq: int = 0, limit: int = 100) -> list[StoredOutcome]:
        """Events of outcomes that were written after the one with that `seq`, in this order."""
        return self._outcomes(f"{_OUTCOME} WHERE seq > ? ORDER BY seq LIMIT ?", (after_seq, limit))

    def last_outcome_seq(self) -> int:
        """Of the newest event of an outcome; 0 where there is none."""
        if "outcome" not in self._tables:
            return 0
        last: int | None = fetch(self._connection, "SELECT max(seq) FROM outcome")[0][0]
        return last or 0

    def last_written(self, table: Literal["exchange", "outcome"]) -> int:
        """The `seq` of the newest row that was ever written, be it there or deleted since; 0 before the first."""
        found = fetch(self._connection, "SELECT seq FROM sqlite_sequence WHERE name = ?", (table,))
        return found[0][0] if found else 0

    def outcomes_of_trace(self, trace_id: str) -> list[StoredOutcome]:
        """What came of a trace, in the order in which it was written."""
        return self._outcomes(f"{_OUTCOME} WHERE trace_id = ? ORDER BY seq", (trace_id,))

    def _outcomes(self, query: str, bindings: tuple[str | int, ...]) -> list[StoredOutcome]:
        if "outcome" not in self._tables:
            return []
        return [
            StoredOutcome(
                seq=seq, uuid=uuid, exchange_id=exchange_id, trace_id=trace_id, name=name, at_unix_us=at_us, body=body
            )
            for seq, uuid, exchange_id, trace_id, name, at_us, body in fetch(self._connection, query, bindings)
        ]

    def _tally(self) -> Tally:
        counters = fetch(self._connection, "SELECT name, reason, value FROM counters")
        return Tally({(name, reason): value for name, reason, value in counters})

    def _events(self, query: str, bindings: tuple[str | int | None, ...]) -> Iterator[StoredEvent]:
        rows: Iterator[Any] = self._connection.execute(query, bindings)
        for uuid, name, exchange_id, created_unix_us, attempts, reason, body in rows:
            yield StoredEvent(
                uuid=uuid,
                name=name,
                exchange_id=exchange_id,
                created_unix_us=created_unix_us,
                attempts=attempts,
                reason=reason,
                body=body,
            )

    def _exchanges(self, query: str, bindings: tuple[str | int, ...]) -> list[StoredExchange]:
        return [
            StoredExchange(seq=seq, exchange_id=exchange_id, trace_id=trace_id, ended_unix_us=ended_us, record=record)
            for seq, exchange_id, trace_id, ended_us, record in fetch(self._connection, query, bindings)
        ]
