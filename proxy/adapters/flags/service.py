"""Feature flags of a worker: definitions that are kept fresh beside the calls, and decisions at once.

Worker 0 fetches definitions, at its interval, and puts them into the data folder; the other workers look whether the
file there has changed. What is good replaces what was; whatever goes wrong leaves it as it is. A decision is a look at
what is there now: there is no other way from a call to PostHog.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from proxy.adapters.flags.evaluation import Evaluation
from proxy.adapters.flags.fetch import PATIENCE_S, Failed, Fetched, Project, Trouble, Unchanged, fetch
from proxy.adapters.flags.kept_file import FILE_NAME, Kept, read_kept, write_kept
from proxy.adapters.state_file import Signature, signature_of
from proxy.domain.flag_definitions import QuotaUsedUpError, kept_of, read_definitions
from proxy.domain.identity import Caller
from proxy.domain.rollout import Decision, Reason, Rollout, by_default

log = logging.getLogger(__name__)

LOOK_S = 0.5
"""Between two looks of a worker that follows."""
FIRST_WAIT_S = 2.0
"""How long a start waits for definitions that it has none of; then calls get defaults until they are there."""
ALARMING_FAILURES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagSettings:
    """Whose flags are wanted, and what their conditions may see of a caller."""

    project: Project
    wanted: frozenset[str]
    person_properties: frozenset[str] = frozenset()
    poll_s: float = 60.0


class FlagService:
    """`await start()`, then `decide` on the event loop, then `await stop()`."""

    def __init__(self, settings: FlagSettings, data_dir: Path, *, fetches: bool) -> None:
        """`fetches` is true for one worker of a data folder."""
        self._settings = settings
        self._path = data_dir / FILE_NAME
        self._fetches = fetches
        self._evaluation: Evaluation | None = None
        self._etag: str | None = None
        self._seen: Signature | None = None
        self._trouble: Trouble | None = None
        self._failures = 0
        self._told: set[tuple[str, Reason]] = set()
        self._first = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def settings(self) -> FlagSettings:
        """What it was made with."""
        return self._settings

    @property
    def is_alarming(self) -> bool:
        """There are no definitions, or none have come for several fetches."""
        return self._evaluation is None or self._failures >= ALARMING_FAILURES

    async def start(self) -> None:
        """Take what was kept, else wait a little for the first definitions. Never raises."""
        try:
            await asyncio.to_thread(self._take_kept)
        except Exception:
            log.exception("kept flag definitions could not be taken")
        self._task = asyncio.ensure_future(self._keep_fresh())
        if self._evaluation is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(FIRST_WAIT_S):
                    await self._first.wait()

    async def stop(self) -> None:
        """Fetch no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def decide(self, rollout: Rollout, caller: Caller) -> Decision:
        """See `pipeline.ports.Flags`."""
        if self._evaluation is None:
            return by_default(rollout, Reason.NO_DEFINITIONS)
        try:
            decision = self._evaluation.decide(rollout, caller)
        except Exception as error:  # noqa: BLE001 - definitions are written elsewhere
            self._tell(rollout.flag, Reason.FAILED, type(error).__name__)
            return by_default(rollout, Reason.FAILED)
        if decision.runs_default:
            self._tell(rollout.flag, decision.reason)
        return decision

    def _tell(self, flag: str, reason: Reason, error: str | None = None) -> None:
        """Once for each flag and reason, until definitions change."""
        if (flag, reason) not in self._told:
            self._told.add((flag, reason))
            log.warning("a rollout runs its default", extra={"flag": flag, "reason": reason, "error": error})

    async def _keep_fresh(self) -> None:
        while True:
            wait_s = self._settings.poll_s if self._fetches else LOOK_S
            try:
                if self._fetches:
                    wait_s = max(wait_s, await self._fetch())
                else:
                    await asyncio.to_thread(self._take_kept)
            except Exception:
                log.exception("fetching flag definitions stumbled; it goes on")
            if self._fetches or self._evaluation is not None:
                self._first.set()
            await asyncio.sleep(wait_s)

    async def _fetch(self) -> float:
        """Ask PostHog once; how long to wait at least until the next time."""
        answer = await fetch(self._settings.project, self._etag)
        match answer:
            case Fetched():
                try:
                    await asyncio.to_thread(self._take_sent, answer)
                except QuotaUsedUpError:
                    return self._failed(Failed(Trouble.QUOTA_USED_UP, PATIENCE_S))
                except (ValueError, RecursionError):
                    return self._failed(Failed(Trouble.MALFORMED))
            case Failed():
                return self._failed(answer)
            case Unchanged():
                pass
        if self._trouble is not None:
            log.info("flag definitions are fetched again")
        self._trouble, self._failures = None, 0
        return 0.0

    def _failed(self, failed: Failed) -> float:
        self._failures += 1
        if failed.trouble is not self._trouble:
            self._trouble = failed.trouble
            log.warning(
                "flag definitions cannot be fetched: rollouts go by the last good ones, or run their defaults",
                extra={"trouble": failed.trouble, "has_definitions": self._evaluation is not None},
            )
        return failed.wait_s

    def _take_sent(self, answer: Fetched) -> None:
        """In a thread. Raises QuotaUsedUpError, and ValueError or RecursionError for what is no reply of PostHog's."""
        kept = Kept(kept_of(orjson.loads(answer.body)), answer.etag)
        self._take(kept.document)
        self._etag = kept.etag
        try:
            write_kept(self._path, self._settings.project, kept)
            self._seen = signature_of(self._path)
        except OSError as error:
            log.warning("flag definitions could not be kept on disk", extra={"error": type(error).__name__})

    def _take_kept(self) -> None:
        """In a thread: what lies in the data folder, where it has changed."""
        signature = signature_of(self._path)
        if signature is None or signature == self._seen:
            return
        self._seen = signature
        kept = read_kept(self._path, self._settings.project)
        if kept is not None:
            with suppress(ValueError, RecursionError):
                self._take(kept.document)
                self._etag = kept.etag

    def _take(self, document: dict[str, Any]) -> None:
        settings = self._settings
        self._evaluation = Evaluation(read_definitions(document), settings.wanted, settings.person_properties)
        self._told = set()
