"""Journal → PostHog capture: at least once on the wire, once by uuid, the same bytes at every attempt.

A parcel is a batch leased from the journal, or a part of one that was refused as a whole. Rows leave the journal only
when a reply was read; whatever else happens they stay, and are sent again. Trouble is the destination's, not the
rows': while it lasts one sender probes and nothing is given up but by age.

When three single events in a row are refused with nothing accepted in between, it is not the events: the circuit
opens, nothing more is buried, and single events (the oldest and the newest by turns) probe until one is taken.

`step` does all the work and returns how long to wait, so that time is the caller's.
"""

import asyncio
import gzip
import logging
import random
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Literal

import aiohttp

from proxy import __version__
from proxy.adapters.journal import Certainty, JournalUnavailable, OutboxRow, SqliteJournal
from proxy.adapters.posthog_reply import Action, Outcome, Sent, Trouble, read_reply
from proxy.adapters.posthog_wire import v0_body, v1_body

V0_PATH = "/batch/"
V1_PATH = "/i/v1/analytics/events"
CONNECT_S = 5.0
TOTAL_S = 15.0
SENDERS = 2
MAX_EVENTS = 100
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
REPLY_MAX_BYTES = 1 << 20

_INGESTION_HOSTS = {
    "https://us.posthog.com": "https://us.i.posthog.com",
    "https://app.posthog.com": "https://us.i.posthog.com",
    "https://eu.posthog.com": "https://eu.i.posthog.com",
}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PostHogSettings:
    """`host` is an address such as `https://eu.i.posthog.com`; the web app's own addresses are understood."""

    host: str
    api_key: str = field(repr=False)
    capture: Literal["batch", "v1"] = "batch"
    gzip: bool = True


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


@dataclass(frozen=True, slots=True)
class _Answer:
    """`status` None: there was none."""

    status: int | None
    outcome: Outcome


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
        self._settings = settings
        host = settings.host.rstrip("/")
        self.host = _INGESTION_HOSTS.get(host, host)
        self._is_v1 = settings.capture == "v1"
        self._sleep = sleep
        self._uniform = uniform
        self._now_s = wall_unix_s
        self._session: aiohttp.ClientSession | None = None
        self._held: deque[_Parcel] = deque()
        self._max_batch_bytes = MAX_BATCH_BYTES
        self._refusals = 0
        self._stats = SinkStats()

    def stats(self) -> SinkStats:
        """How delivery goes."""
        return self._stats

    async def run(self) -> None:
        """Deliver until cancelled."""
        await self._start_afresh()
        async with asyncio.TaskGroup() as senders:
            for ordinal in range(SENDERS):
                senders.create_task(self._deliver(is_first=ordinal == 0))

    async def drain(self, deadline_s: float) -> bool:
        """Deliver what is pending, within the time; True when all of it is. Not while `run` runs."""
        try:
            async with asyncio.timeout(deadline_s):
                await self._start_afresh()
                while self._journal.stats().pending:
                    pause_s = await self.step()
                    if self._journal.stats().pending:
                        await self._sleep(pause_s)
        except (TimeoutError, JournalUnavailable):
            return False
        return True

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def step(self) -> float:
        """Send one parcel, if any is due, and do what the reply asks for; returns how many seconds to wait then."""
        parcel = self._held.popleft() if self._held else await self._lease()
        if parcel is None:
            return GATHER_S
        answer = await self._send(parcel)
        self._note(answer)
        return await self._act(parcel, answer)

    async def _deliver(self, *, is_first: bool) -> None:
        while True:
            is_wanted = is_first or self._stats.trouble is None
            pause_s = await self.step() if is_wanted else GATHER_S
            await self._sleep(pause_s)

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

    async def _act(self, parcel: _Parcel, answer: _Answer) -> float:
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
        _log.error("posthog: refuses every event (status %s); all are kept, one is tried now and then", status)
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
        if self._is_v1 and status == 404:
            self._is_v1 = False
            _log.warning("posthog: the host knows no %s; going on with %s", V1_PATH, V0_PATH)
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

    def _note(self, answer: _Answer) -> None:
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
            _log.warning("posthog: %s (status %s); events are kept", trouble, answer.status)
        elif trouble is None and before.trouble is not None:
            _log.info("posthog: delivering again")

    async def _send(self, parcel: _Parcel) -> _Answer:
        """One POST. Every way in which it can fail is an answer."""
        is_v1 = self._is_v1
        events = [row.body for row in parcel.rows]
        if is_v1:
            body = v1_body(events, self._stamp(), is_historical=parcel.is_historical)
        else:
            body = v0_body(events, self._settings.api_key, is_historical=parcel.is_historical)
        headers = {"Content-Type": "application/json", "User-Agent": f"promptlane/{__version__}"}
        if is_v1:
            headers |= self._v1_headers(parcel)
        if self._settings.gzip:
            body = await asyncio.to_thread(gzip.compress, body, 1, mtime=0)
            headers["Content-Encoding"] = "gzip"
        try:
            async with self._client().post(
                self.host + (V1_PATH if is_v1 else V0_PATH), data=body, headers=headers, allow_redirects=False
            ) as reply:
                text = await _bounded(reply.content)
                outcome = read_reply(
                    reply.status,
                    text,
                    reply.headers.get("Retry-After"),
                    [Sent(uuid=row.uuid, name=row.name) for row in parcel.rows],
                    is_v1=is_v1,
                    now_unix_s=self._now_s(),
                )
                return _Answer(reply.status, outcome)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            return _Answer(None, Outcome(action=Action.BACK_OFF, trouble=Trouble.UNREACHABLE))

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=SENDERS),
                timeout=aiohttp.ClientTimeout(total=TOTAL_S, connect=CONNECT_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return self._session

    def _v1_headers(self, parcel: _Parcel) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {self._settings.api_key}",
            "PostHog-Sdk-Info": f"promptlane/{__version__}",
            "PostHog-Attempt": str(1 + parcel.resends + max(row.attempts for row in parcel.rows)),
            "PostHog-Request-Id": str(uuid.uuid5(uuid.NAMESPACE_OID, ",".join(parcel.uuids))),
            "PostHog-Request-Timestamp": self._stamp(),
        }

    def _stamp(self) -> str:
        return datetime.fromtimestamp(self._now_s(), UTC).isoformat()


async def _bounded(content: aiohttp.StreamReader) -> bytes:
    """The reply's body; of one that is absurdly long, the beginning, which is no JSON."""
    pieces: list[bytes] = []
    size_bytes = 0
    while size_bytes <= REPLY_MAX_BYTES and (piece := await content.read(65_536)):
        pieces.append(piece)
        size_bytes += len(piece)
    return b"".join(pieces)
