"""The real supervisor and its children. What happens is read from their output, line by line."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

from proxy.cli import workers
from tests.harness.client import RawClient
from tests.harness.http1 import Broken

PATIENCE_S = 20.0
_ROOT = Path(__file__).parents[2]


@dataclass
class Supervised:
    """`promptlane serve --workers 2` as a process."""

    process: asyncio.subprocess.Process
    port: int = 0

    async def line(self, stream: asyncio.StreamReader | None, has: bytes) -> bytes:
        """The next line with this text in it."""
        assert stream is not None
        async with asyncio.timeout(PATIENCE_S):
            while line := await stream.readline():
                if has in line:
                    return line
        raise AssertionError(f"no line with {has!r}")

    async def listening(self) -> None:
        """Until one more worker listens."""
        line = await self.line(self.process.stdout, b"listening on")
        port = int(line.rpartition(b":")[2])
        assert self.port in (0, port)
        self.port = port

    def children(self) -> list[int]:
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    async def silence(self) -> None:
        """Until nobody is left who could write to the output: every process has ended."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            await self.process.stdout.read()

    async def end(self) -> int:
        async with asyncio.timeout(PATIENCE_S):
            return await self.process.wait()


@asynccontextmanager
async def supervised(folder: Path) -> AsyncIterator[Supervised]:
    """Two workers, in a folder that has a package of the same name as ours."""
    (folder / "proxy").mkdir()
    (folder / "proxy" / "__init__.py").write_text("raise ImportError('not this one')")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "proxy.cli", "serve", "--port", "0", "--workers", "2"),
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(_ROOT), "PROMPTLANE_SECRET": "0123456789abcdef"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    made = Supervised(process)
    try:
        for _ in range(2):
            await made.listening()
        yield made
    finally:
        with suppress(ProcessLookupError):
            process.kill()  # the children notice, and end
        await process.communicate()


async def is_healthy(port: int) -> bool:
    async with RawClient(port) as client:
        await client.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            return (await client.reply("GET")).status == 200
        except (Broken, ConnectionError):
            return False


async def test_a_worker_that_was_killed_is_started_again_and_all_end_together(tmp_path: Path) -> None:
    """The signal to end comes in the pause before another restart, when there is one child less to pass it on to."""
    async with supervised(tmp_path) as made:
        first, second = made.children()
        os.kill(first, signal.SIGKILL)
        told = orjson.loads(await made.line(made.process.stderr, b"started again"))
        assert (told["level"], told["exit_code"]) == ("error", -signal.SIGKILL)
        await made.listening()
        assert len(made.children()) == 2
        assert second in made.children()
        assert first not in made.children()
        assert await is_healthy(made.port)
        assert sorted(path.name for path in (tmp_path / "data").glob("*.db")) == ["journal-0.db", "journal-1.db"]
        os.kill(second, signal.SIGKILL)
        await made.line(made.process.stderr, b"started again")
        made.process.send_signal(signal.SIGTERM)
        assert await made.end() == 0
        await made.silence()


async def test_workers_do_not_outlive_their_supervisor(tmp_path: Path) -> None:
    async with supervised(tmp_path) as made:
        made.process.kill()
        await made.silence()
        with pytest.raises(ConnectionRefusedError):
            await is_healthy(made.port)


@dataclass
class Child:
    """A child that does nothing; its signals are noted."""

    pid: int = 4242
    returncode: int | None = None
    signals: list[int] | None = None

    def poll(self) -> int | None:
        return self.returncode

    def wait(self) -> int:
        return self.returncode or 0

    def send_signal(self, number: int) -> None:
        self.signals = [*(self.signals or []), number]

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> workers.Supervisor:
    monkeypatch.setattr(workers, "RESTART_PAUSE_S", 0.0)
    return workers.Supervisor("127.0.0.1", 0, 1)


def test_a_signal_while_a_child_is_being_started_reaches_it(
    supervisor: workers.Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = Child()

    def started(*_: object, **__: object) -> Child:
        supervisor._pass_on(signal.SIGTERM, None)
        return child

    monkeypatch.setattr(subprocess, "Popen", started)
    supervisor._start(0)
    assert child.signals == [signal.SIGTERM]
    supervisor._reserved.close()


@pytest.mark.parametrize(
    ("of", "stopping", "restarted"),
    [(lambda child: child.pid, False, 0), (lambda child: child.pid, True, None), (lambda child: 1, False, None)],
    ids=["died", "asked-to", "adopted"],
)
def test_only_a_worker_that_was_not_asked_to_end_is_started_again(
    of: Callable[[Child], int],
    stopping: bool,
    restarted: int | None,
    supervisor: workers.Supervisor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    child = Child()
    supervisor._children[0] = child  # type: ignore[assignment]
    supervisor._is_stopping = stopping
    monkeypatch.setattr(os, "waitpid", lambda *_: (of(child), 3 << 8))
    assert supervisor._next_death() == restarted
    assert child.returncode == (None if of(child) == 1 else 3)
    supervisor._reserved.close()


def test_the_exit_code_tells_whether_all_ended_well(
    supervisor: workers.Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(supervisor, "_start", lambda worker: None)
    supervisor._is_stopping = True
    supervisor._children = {0: Child(returncode=0), 1: Child(returncode=-9)}  # type: ignore[dict-item]
    assert supervisor.run() == 1
