"""Pages are made in a child process, so that a query and a chart take nothing from calls but spare processor time.

It is started for the first page and ends a while after the last. When it has a large store before it for the first
time it needs a while; who asks meanwhile is told so. A page that takes too long ends it, and so does a page that
kills it: the next one finds a new process.
"""

import asyncio
import logging
import pickle
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from pathlib import Path
from typing import Any

from proxy.adapters.body_reader import framed
from proxy.adapters.children import environment, give_way, python_module
from proxy.pages.request import PageReply, PageRequest

PATIENCE_S = 20.0
"""For one page, once the process has begun to answer."""
START_PATIENCE_S = 6.0
"""How long a reader waits for the process to begin; it goes on beginning after that."""
IDLE_S = 900.0
"""Without a request, after which the process ends."""
END_S = 1.0
MOST_WAITING = 16
"""Readers; who comes then is asked to come again."""

STARTING = PageReply(status=503, body=b"starting")
BUSY = PageReply(status=503, body=b"busy")
FAILED = PageReply(status=500)

_log = logging.getLogger(__name__)


class PageProcess:
    """The child and its two pipes."""

    def __init__(self, data_dir: Path, module: str = "proxy.pages.child") -> None:
        self._command = python_module(module, str(data_dir))
        self._starting: asyncio.Task[Process] | None = None
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._ending: asyncio.TimerHandle | None = None

    async def answer(self, request: PageRequest) -> PageReply:
        """One page. Never raises but when it is cancelled; then the child is left in order."""
        if self._waiting >= MOST_WAITING:
            return BUSY
        self._waiting += 1
        try:
            await self._turn.acquire()
        finally:
            self._waiting -= 1
        return await asyncio.shield(self._in_turn(request))

    async def close(self) -> None:
        """End the child."""
        if self._ending is not None:
            self._ending.cancel()
        starting, self._starting = self._starting, None
        if starting is None:
            return
        if not starting.done():
            starting.cancel()
        with suppress(Exception, asyncio.CancelledError):
            await _end(await starting)

    async def _in_turn(self, request: PageRequest) -> PageReply:
        """With the turn, which it gives back."""
        try:
            child = await self._child()
            if child is None:
                return STARTING
            async with asyncio.timeout(PATIENCE_S):
                return await _asked(child, request)
        except Exception:  # noqa: BLE001 - whatever a child that is dying, or another one, may answer
            _log.error("the process of the pages did not answer: the next page starts a new one")
            await self.close()
            return FAILED
        finally:
            self._turn.release()
            self._end_when_idle()

    async def _child(self) -> Process | None:
        """A child that answers; None while it is only beginning."""
        if self._starting is None or (self._starting.done() and _is_gone(self._starting)):
            self._starting = asyncio.ensure_future(self._started())
        await asyncio.wait([self._starting], timeout=START_PATIENCE_S)
        return self._starting.result() if self._starting.done() else None

    async def _started(self) -> Process:
        """A child that has looked through the store. When this is cancelled, so is the child."""
        child = await asyncio.create_subprocess_exec(
            *self._command,
            env=environment(),
            stdin=PIPE,  # its end, also when this process is killed, is the child's end
            stdout=PIPE,
            start_new_session=True,  # a terminal's Ctrl-C is not for it
        )
        give_way(child.pid)
        try:
            await _frame(child)
        except BaseException:
            with suppress(ProcessLookupError):
                child.kill()
            await asyncio.shield(child.wait())
            raise
        return child

    def _end_when_idle(self) -> None:
        if self._ending is not None:
            self._ending.cancel()
        self._ending = asyncio.get_running_loop().call_later(IDLE_S, self._end_idle)

    def _end_idle(self) -> None:
        """Let the child see the end of its requests, unless one has just come."""
        if self._starting is None or not self._starting.done() or self._turn.locked():
            return
        starting, self._starting = self._starting, None
        if not starting.cancelled() and starting.exception() is None:
            _closed_input(starting.result())


async def _asked(child: Process, request: PageRequest) -> PageReply:
    assert child.stdin is not None
    child.stdin.write(framed(request))
    await child.stdin.drain()
    reply: PageReply = await _frame(child)
    return reply


async def _frame(child: Process) -> Any:  # noqa: ANN401  what the child says
    assert child.stdout is not None
    size_bytes = int.from_bytes(await child.stdout.readexactly(4))
    return pickle.loads(await child.stdout.readexactly(size_bytes))  # noqa: S301  our own process


def _is_gone(starting: "asyncio.Task[Process]") -> bool:
    return starting.cancelled() or starting.exception() is not None or starting.result().returncode is not None


def _closed_input(child: Process) -> None:
    assert child.stdin is not None
    child.stdin.close()


async def _end(child: Process) -> None:
    _closed_input(child)
    try:
        async with asyncio.timeout(END_S):
            await child.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            child.kill()
        await child.wait()
