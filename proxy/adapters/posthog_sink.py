"""Journal → PostHog capture: at least once on the wire, once by uuid, the same bytes at every attempt.

A parcel is a batch leased from the journal, or a part of one that was refused as a whole. Rows leave the journal only
when a reply was read; whatever else happens they stay, and are sent again. Trouble is the destination's, not the
rows': while it lasts one sender probes and nothing is given up but by age.

When three single events in a row are refused with nothing accepted in between, it is not the events: the circuit
opens, nothing more is buried, and single events (the oldest and the newest by turns) probe until one is taken.

`step` does all the work and returns how long to wait, so that time is the caller's.
"""

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial

from proxy.adapters.journal import Certainty, JournalUnavailable, OutboxRow, SqliteJournal
from proxy.adapters.posthog_capture import V0_PATH, Answer, Capture
from proxy.adapters.posthog_capture import PostHogSettings as PostHogSettings
from proxy.adapters.posthog_reply import Action, Outcome, Trouble

SENDERS = 2
MAX_EVENTS = 500
"""A post takes as long as two hundred events do, whatever is in it."""
MAX_BATCH_BYTES = 1_000_000
MIN_BATCH_BYTES = 64 * 1024
"""What is learned from 413 goes no lower."""
GATHER_S = 0.25
"""After a batch that was not full, and when nothing is due: lets company gather."""
STORE_PAUSE_S = 1.0
BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 30.0
PROBE_S = (30.0, 60.0)
MAX_RESENDS = 3
REFUSALS_TO_OPEN = 3

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkStats:
    """`trouble` None: all is well. `is_alarming`: it will not pass by itself, somebody must look."""

    trouble: Trouble | None = None
    is_alarming: bool = False
    is_circuit_open: bool = False
    last_status: int | None = None
    """Of the last reply; None when there was none."""
    failures: int = 0
    """In a row."""
    posts: int = 0
    retried_events: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parcel:
    rows: tuple[OutboxRow, ...]
    is_historical: bool
    is_full: bool = False
    """There was more where it came from."""
    resends: int = 0

    @property
    def uuids(self) -> tuple[str, ...]:
        return tuple(row.uuid for row in self.rows)

    def halves(self) -> tuple["_Parcel", "_Parcel"]:
        middle = len(self.rows) // 2
        return replace(self, rows=self.rows[:middle]), replace(self, rows=self.rows[middle:])


class PostHogSink:
    """One destination. `run` until cancelled, then `drain`, then `close`."""

    def __init__(
        self,
        journal: SqliteJournal,
        settings: PostHogSettings,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        uniform: Callable[[float, float], float] = random.uniform,
        wall_unix_s: Callable[[], float] = time.time,
    ) -> None:
        self._journal = journal
        self._capture = Capture(settings, wall_unix_s)
        self._sleep = sleep
        self._uniform = uniform
        self._now_s = wall_unix_s
        self._held: deque[_Parcel] = deque()
        self._steps: set[asyncio.Future[float]] = set()
        self._max_batch_bytes = MAX_BATCH_BYTES
        self._refusals = 0
        self._stats = SinkStats()

    def stats(self) -> SinkStats:
        """How delivery goes."""
        return self._stats

    def take_up(self, settings: PostHogSettings) -> None:
        """Send like this from now on; the host stays what it was."""
        self._capture.take_up(settings)

    async def run(self) -> None:
        """Deliver until cancelled; no bug in a step is the end of it."""
        await self._start_afresh()
        async with asyncio.TaskGroup() as senders:
            for ordinal in range(SENDERS):
                senders.create_task(self._deliver(is_first=ordinal == 0))

    async def drain(self, deadline_s: float) -> bool:
        """Deliver what is pending, within the time; True when all of it is. Not while `run` runs."""
        try:
            async with asyncio.timeout(deadline_s):
                if self._steps:
                    await asyncio.wait(self._steps)
                await self._start_afresh()
                while self._journal.stats().pending:
                    pause_s = await self.step()
                    if self._journal.stats().pending:
                        await self._sleep(pause_s)
        except (TimeoutError, JournalUnavailable):
            return False
        return True

    async def close(self) -> None:
        """Give up what is under way and close the connections."""
        for step in self._steps:
            step.cancel()
        await asyncio.gather(*self._steps, return_exceptions=True)
        await self._capture.close()

    async def step(self) -> float:
        """Send one parcel, if any is due, and do what the reply asks for; returns how many seconds to wait then."""
        parcel = self._held.popleft() if self._held else await self._lease()
        if parcel is None:
            return GATHER_S
        answer = await self._capture.post(
            parcel.rows,
            is_historical=parcel.is_historical,
            attempt=1 + parcel.resends + max(row.attempts for row in parcel.rows),
        )
        self._note(answer)
        return await self._act(parcel, answer)

    async def _deliver(self, *, is_first: bool) -> None:
        while True:
            is_wanted = is_first or self._stats.trouble is None
            try:
                pause_s = await self._whole_step() if is_wanted else GATHER_S
            except Exception as error:  # noqa: BLE001 - a bug must not end delivery; what was leased is sent again
                _log.error("delivery to PostHog stumbled; it goes on", extra={"error": type(error).__name__})
                await self._start_afresh()
                pause_s = BACKOFF_MAX_S
            await self._sleep(pause_s)

    async def _whole_step(self) -> float:
        """A step that goes on when `run` is cancelled: the answer to what was sent is awaited by `drain`, so that
        stopping sends nothing twice.
        """
        step = asyncio.ensure_future(self.step())
        self._steps.add(step)
        step.add_done_callback(self._steps.discard)
        return await asyncio.shield(step)

    async def _start_afresh(self) -> None:
        """Void what a cancelled sender left in its hands."""
        self._held.clear()
        await self._surely(self._journal.release_all)

    async def _lease(self) -> _Parcel | None:
        max_events = 1 if self._stats.is_circuit_open else MAX_EVENTS
        try:
            batch = await self._journal.lease(max_events, self._max_batch_bytes)
        except JournalUnavailable:
            return None
        if not batch.rows:
            return None
        is_full = len(batch.rows) == max_events or sum(len(row.body) for row in batch.rows) > self._max_batch_bytes // 2
        return _Parcel(rows=batch.rows, is_historical=batch.is_historical, is_full=is_full)

    async def _act(self, parcel: _Parcel, answer: Answer) -> float:
        match answer.outcome.action:
            case Action.SETTLE:
                return await self._settle(parcel, answer.outcome)
            case Action.RESEND:
                return await self._resend(parcel)
            case Action.HALVE:
                return await self._halve(parcel)
            case Action.BISECT:
                return await self._bisect(parcel, answer.status)
            case Action.WAIT:
                return await self._wait(parcel, answer.outcome.wait_s)
            case Action.BACK_OFF:
                return await self._back_off(parcel)
            case Action.PAUSE:
                return await self._pause(parcel, answer.status)

    async def _settle(self, parcel: _Parcel, outcome: Outcome) -> float:
        """The events are accounted for one by one."""
        for certainty, uuids in (
            (Certainty.VERIFIED, outcome.verified),
            (Certainty.UNVERIFIED, outcome.unverified),
            (Certainty.UNKNOWN, outcome.unknown),
        ):
            if uuids:
                await self._surely(partial(self._journal.ack, uuids, certainty))
        for reason, uuids in outcome.dead.items():
            await self._surely(partial(self._journal.bury, uuids, reason))
        self._refusals = 0
        if self._stats.is_circuit_open:
            self._stats = replace(self._stats, is_circuit_open=False)
        if outcome.retry:
            await self._let_go(outcome.retry, self._backoff_s())
        return 0.0 if self._held or parcel.is_full else GATHER_S

    async def _resend(self, parcel: _Parcel) -> float:
        """Perhaps it was taken. The same rows once more, a few times; then it counts as delivered, unknown."""
        if parcel.resends >= MAX_RESENDS:
            await self._surely(partial(self._journal.ack, parcel.uuids, Certainty.UNKNOWN))
            return 0.0
        self._held.appendleft(replace(parcel, resends=parcel.resends + 1))
        return self._backoff_s()

    async def _halve(self, parcel: _Parcel) -> float:
        """Too large: smaller batches from now on; an event that alone is too large never will be taken."""
        if len(parcel.rows) == 1:
            await self._surely(partial(self._journal.bury, parcel.uuids, Trouble.TOO_LARGE))
            return 0.0
        sent_bytes = sum(len(row.body) for row in parcel.rows)
        self._max_batch_bytes = max(MIN_BATCH_BYTES, min(self._max_batch_bytes, sent_bytes // 2))
        self._held.extendleft(reversed(parcel.halves()))
        return 0.0

    async def _bisect(self, parcel: _Parcel, status: int | None) -> float:
        """Some event is refused: find it, and bury it, unless it looks as if all would be."""
        if self._stats.is_circuit_open:
            return await self._pause(parcel, status)
        if len(parcel.rows) > 1:
            self._held.extendleft(reversed(parcel.halves()))
            return 0.0
        self._refusals += 1
        await self._surely(partial(self._journal.bury, parcel.uuids, "poison"))
        if self._refusals < REFUSALS_TO_OPEN:
            return 0.0
        self._refusals = 0
        self._stats = replace(self._stats, is_circuit_open=True, is_alarming=True, trouble=Trouble.REJECTED)
        _log.error(
            "PostHog refuses every event: all are kept, one is tried now and then", extra={"http_status": status}
        )
        await self._let_go(())
        return self._uniform(*PROBE_S)

    async def _wait(self, parcel: _Parcel, wait_s: float | None) -> float:
        """Asked to come back later."""
        await self._let_go(parcel.uuids)
        return self._backoff_s() if wait_s is None else max(wait_s, BACKOFF_FIRST_S)

    async def _back_off(self, parcel: _Parcel) -> float:
        """Broken at the moment, as it seems."""
        await self._let_go(parcel.uuids)
        return self._backoff_s()

    async def _pause(self, parcel: _Parcel, status: int | None) -> float:
        """Nothing will change by itself; v1 alone has an older way to go."""
        await self._let_go(parcel.uuids)
        if self._capture.is_v1 and status == 404:
            self._capture.is_v1 = False
            _log.warning("the host does not know the v1 capture API: going on with v0", extra={"path": V0_PATH})
            return 0.0
        return self._uniform(*PROBE_S)

    async def _let_go(self, uuids: tuple[str, ...], delay_s: float = 0.0) -> None:
        """Back to the journal, with all parts that are held; due again after `delay_s`."""
        held = tuple(uuid for parcel in self._held for uuid in parcel.uuids)
        self._held.clear()
        self._stats = replace(self._stats, retried_events=self._stats.retried_events + len(uuids))
        not_before_us = int((self._now_s() + delay_s) * 1e6) if delay_s else 0
        await self._surely(partial(self._journal.retry, uuids, not_before_us))
        if held:
            await self._surely(partial(self._journal.release, held))

    async def _surely(self, action: Callable[[], Awaitable[object]]) -> None:
        """What a reply said must reach the journal, however long its store fails."""
        while True:
            try:
                await action()
            except JournalUnavailable:
                await self._sleep(STORE_PAUSE_S)
            else:
                return

    def _backoff_s(self) -> float:
        """Full jitter, doubling with each failure in a row."""
        return self._uniform(0.0, min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2 ** min(self._stats.failures, 10)))

    def _note(self, answer: Answer) -> None:
        """Keep the health, and say aloud what has changed."""
        before, outcome = self._stats, answer.outcome
        is_about_events = outcome.action is Action.HALVE or (
            outcome.action is Action.BISECT and not before.is_circuit_open
        )
        trouble = None if is_about_events else outcome.trouble
        self._stats = replace(
            before,
            trouble=trouble,
            is_alarming=trouble is not None and outcome.action in (Action.PAUSE, Action.BISECT),
            last_status=answer.status,
            failures=before.failures + 1 if trouble else 0,
            posts=before.posts + 1,
        )
        if trouble is not before.trouble and trouble is not None:
            _log.warning(
                "PostHog takes no events now: they are kept",
                extra={"trouble": str(trouble), "http_status": answer.status},
            )
        elif trouble is None and before.trouble is not None:
            _log.info("delivering to PostHog again")
