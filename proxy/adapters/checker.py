"""Answers, checked in a child process: what may take long neither holds up calls nor holds back their ends.

The end of a call waits for its checks, a second at most. So there is one child with a short queue, and a full queue
refuses at once; what is not answered in time, or dies, is left, and the child with it. Rules that took too long rest
for a minute: one bad schema must not cost the other routes their checks. Texts are dropped as soon as they are
answered.
"""

import asyncio
import logging
import pickle
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from proxy.adapters.body_reader import framed
from proxy.adapters.check_process import Findings
from proxy.adapters.children import environment, python_module
from proxy.domain.checks import Finding, HeavyRule

PATIENCE_S = 1.0
"""From the moment at which an answer is given in."""
LOADING_S = 30.0
"""For a child that begins: schemas are compiled, and perhaps a language model is loaded."""
REST_S = 60.0
END_S = 1.0
"""For a child that was told to end."""

_log = logging.getLogger(__name__)

Done = Callable[[Mapping[HeavyRule, Finding]], None]


@dataclass(slots=True)
class _Job:
    rules: tuple[HeavyRule, ...]
    text: str = field(repr=False)
    done: Done
    start_until_s: float


class Checker:
    """Satisfies `pipeline.ports.Checker`; for one event loop. The child starts with `warm`, or the first job."""

    def __init__(
        self,
        module: str = "proxy.adapters.check_process",
        *,
        max_jobs: int = 64,
        max_chars: int = 1_000_000,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """`max_jobs` and `max_chars` bound what is waiting or being looked at; half of `patience_s` is for each."""
        self._module = module
        self._max_jobs, self._max_chars, self._patience_s = max_jobs, max_chars, patience_s
        self._waiting: deque[_Job] = deque()
        self._held_jobs = self._held_chars = 0
        self._child: Process | None = None
        self._known: tuple[HeavyRule, ...] | None = None
        """What `warm` named."""
        self._loaded: tuple[HeavyRule, ...] = ()
        """What the child was shown of it."""
        self._resting: dict[tuple[HeavyRule, ...], float] = {}
        self._work: asyncio.Task[None] | None = None
        self._is_closing = False

    def warm(self, rules: Sequence[HeavyRule]) -> None:
        """Have a child that knows these rules before the first answer comes, or none. Returns at once."""
        self._known = tuple(rules)
        if self._known != self._loaded and self._work is None and not self._is_closing:
            self._work = asyncio.ensure_future(self._run())

    def submit(self, rules: tuple[HeavyRule, ...], text: str, done: Done) -> bool:
        """Queue an answer; False, at once, when there is no room or the rules rest: `done` is then never called.

        Else `done` is called exactly once, on the loop, with the findings that were made.
        """
        is_full = self._held_jobs >= self._max_jobs or self._held_chars + len(text) > self._max_chars
        if is_full or self._is_closing or self._rests(rules):
            return False
        self._held_jobs += 1
        self._held_chars += len(text)
        self._waiting.append(_Job(rules, text, done, self._now_s() + self._patience_s / 2))
        if self._work is None:
            self._work = asyncio.ensure_future(self._run())
        return True

    async def close(self) -> None:
        """Refuse new answers, wait for the queued ones as long as they may take, and end the child."""
        self._is_closing = True
        if (work := self._work) is not None:
            await asyncio.wait([work], timeout=self._patience_s + END_S)
            work.cancel()
            await asyncio.wait([work])
        while self._waiting:
            self._tell(self._waiting.popleft(), {})
        await self._end_child()

    async def _run(self) -> None:
        """Until nothing waits."""
        try:
            await self._ready(())
            if self._known == ():
                await self._end_child()
            while self._waiting:
                job = self._waiting.popleft()
                self._tell(job, await self._findings(job))
        finally:
            self._work = None

    async def _findings(self, job: _Job) -> Mapping[HeavyRule, Finding]:
        if not await self._ready(job.rules) or self._now_s() > job.start_until_s:
            return {}
        try:
            async with asyncio.timeout(self._patience_s / 2):
                found = await self._ask(job.rules, job.text)
        except TimeoutError:
            self._rest(job.rules)
        except Exception:  # noqa: BLE001 - whatever a child that is dying, or another one, may answer
            _log.error("no process looks at answers: checks were left out")
        else:
            return {rule: finding for rule, finding in zip(job.rules, found, strict=True) if finding is not None}
        await self._end_child()
        return {}

    async def _ready(self, rules: tuple[HeavyRule, ...]) -> bool:
        """Have a child that was shown its rules. Loading takes time, and who waits may wait in vain."""
        rules = self._known or rules
        is_ready = self._child is not None and self._known in (None, (), self._loaded)
        if is_ready or not rules:
            return True
        try:
            async with asyncio.timeout(LOADING_S):
                await self._ask(rules, "")
            self._loaded = rules
        except Exception:  # noqa: BLE001 - as above
            self._rest(())
            await self._end_child()
        return self._child is not None

    def _rest(self, rules: tuple[HeavyRule, ...]) -> None:
        """Leave these rules alone for a while, or all of them."""
        now_s = self._now_s()
        self._resting = {known: until_s for known, until_s in self._resting.items() if until_s > now_s}
        self._resting[rules] = now_s + REST_S
        if rules:
            _log.error("checks of an answer took too long: they rest for a minute", extra={"rules": len(rules)})
        else:
            _log.error("no process looks at answers: checks rest for a minute")

    def _rests(self, rules: tuple[HeavyRule, ...]) -> bool:
        return bool(self._resting) and max(self._resting.get(key, 0.0) for key in (rules, ())) > self._now_s()

    @staticmethod
    def _now_s() -> float:
        return asyncio.get_running_loop().time()

    async def _ask(self, rules: tuple[HeavyRule, ...], text: str) -> Findings:
        child = self._child = self._child or await self._started()
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(framed((rules, text)))
        await child.stdin.drain()
        size_bytes = int.from_bytes(await child.stdout.readexactly(4))
        found: Findings = pickle.loads(await child.stdout.readexactly(size_bytes))  # noqa: S301  our own process
        return found

    def _tell(self, job: _Job, found: Mapping[HeavyRule, Finding]) -> None:
        self._held_jobs -= 1
        self._held_chars -= len(job.text)
        try:
            job.done(found)
        except Exception as error:  # noqa: BLE001 - the next one in the queue must be told too
            _log.error("the end of a check was lost", extra={"error": type(error).__name__})

    async def _started(self) -> Process:
        return await asyncio.create_subprocess_exec(
            *python_module(self._module),
            env=environment(),
            stdin=PIPE,  # its end, also when this process is killed, is the child's end
            stdout=PIPE,
            stderr=DEVNULL,  # what it might say of an answer is for nobody
            start_new_session=True,  # a terminal's Ctrl-C is not for it
        )

    async def _end_child(self) -> None:
        child, self._child, self._loaded = self._child, None, ()
        if child is None:
            return
        with suppress(ProcessLookupError):
            child.kill()
        await child.wait()
