"""The real supervisor and its children. What happens is read from their output, line by line."""

import asyncio
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

from proxy.adapters.journal import journal_files
from proxy.cli.workers import KeptConfiguration
from proxy.config.load import load
from tests.harness.bed import Bed, chat
from tests.harness.client import Ending, Plan, RawClient, RawReply
from tests.harness.http1 import Broken
from tests.harness.serve import Served, posthog_environment, until_refused, upstream_environment

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

    async def starts_another(self) -> None:
        """Once one has died: until there are two again, one of which has just been made."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.children()) < 2:  # noqa: ASYNC110  nothing tells of it
                await asyncio.sleep(0.01)

    async def comes_back_with(self, digest: str) -> None:
        """Kill a worker beside files that cannot be used: it runs what the other does."""
        os.kill(self.children()[0], signal.SIGKILL)
        await self.line(self.process.stderr, b"this worker starts with the one that the others run")
        await self.listening()
        assert {(await told(self.port, "/version")).json()["config"] for _ in range(8)} == {digest}

    async def silence(self) -> None:
        """Until nobody is left who could write to the output: every process has ended."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            await self.process.stdout.read()

    async def end(self) -> int:
        async with asyncio.timeout(PATIENCE_S):
            return await self.process.wait()


@asynccontextmanager
async def supervised(folder: Path, **environment: str) -> AsyncIterator[Supervised]:
    """Two workers, in a folder that has a package of the same name as ours."""
    (folder / "proxy").mkdir()
    (folder / "proxy" / "__init__.py").write_text("raise ImportError('not this one')")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "proxy.cli", "serve", "--port", "0", "--workers", "2"),
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(_ROOT),
            "PROMPTLANE_SECRET": "0123456789abcdef",
            **environment,
        },
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


async def told(port: int, path: str, method: str = "GET") -> RawReply:
    """The answer on a fresh connection, which any of the workers may take."""
    async with RawClient(port) as client:
        await client.send(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".encode())
        return await client.reply(method)


async def seen(port: int, metric: bytes) -> set[float]:
    """The sums over all labels that several scrapes found."""
    found = set()
    for _ in range(6):
        lines = (await told(port, "/metrics")).body.splitlines()
        found.add(sum(float(line.split()[-1]) for line in lines if line.startswith(metric)))
    return found


async def is_healthy(port: int) -> bool:
    try:
        return (await told(port, "/healthz")).status == 200
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
    """Nor does the folder that they shared, which the last of them removes."""
    shared = tmp_path / "temporary"
    shared.mkdir()
    async with supervised(tmp_path, TMPDIR=str(shared)) as made:
        assert len(list(shared.glob("promptlane-*/counter_*.db"))) == 2
        made.process.kill()
        await made.silence()
        with pytest.raises(ConnectionRefusedError):
            await told(made.port, "/healthz")
    assert list(shared.iterdir()) == []


async def test_a_worker_that_dies_beside_a_file_that_is_broken_or_gone_comes_back_with_what_the_others_run(
    tmp_path: Path,
) -> None:
    """A file without which the proxy would be open to all is a mistake in a running proxy, and in half of one too."""
    analytics = tmp_path / "config" / "analytics.yaml"
    analytics.parent.mkdir()
    analytics.write_text("version: 1\nenvironment: first\n")
    async with supervised(tmp_path) as made:
        analytics.write_text("version: 1\nenvironment: second\n")
        for _ in range(2):
            second = orjson.loads(await made.line(made.process.stderr, b"was taken up"))["digest"]
        analytics.write_text("version: 1\nenviroment: third\n")
        await made.line(made.process.stderr, b"the one that runs is kept")
        await made.comes_back_with(second)
        analytics.unlink()
        await made.comes_back_with(second)


async def test_a_hangup_reaches_every_worker(tmp_path: Path) -> None:
    async with supervised(tmp_path) as made:
        made.process.send_signal(signal.SIGHUP)
        for _ in range(2):
            await made.line(made.process.stderr, b"asked to reload")


async def test_a_hangup_waits_for_a_worker_that_is_only_starting(tmp_path: Path) -> None:
    async with supervised(tmp_path) as made:
        os.kill(made.children()[0], signal.SIGKILL)
        await made.line(made.process.stderr, b"started again")
        await made.starts_another()
        made.process.send_signal(signal.SIGHUP)
        for _ in range(2):
            await made.line(made.process.stderr, b"asked to reload")


async def test_a_worker_that_is_only_starting_ends_well_too(tmp_path: Path) -> None:
    async with supervised(tmp_path) as made:
        os.kill(made.children()[0], signal.SIGKILL)
        await made.line(made.process.stderr, b"started again")
        await made.starts_another()
        made.process.send_signal(signal.SIGTERM)
        assert await made.end() == 0


async def test_a_worker_that_cannot_be_started_now_is_started_later(tmp_path: Path) -> None:
    """The supervisor has no descriptor left for its pipe; the other worker serves on."""
    async with supervised(tmp_path) as made:
        limits = resource.prlimit(made.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(made.process.pid, resource.RLIMIT_NOFILE, (4, limits[1]))
        os.kill(made.children()[0], signal.SIGKILL)
        told = orjson.loads(await made.line(made.process.stderr, b"could not be started"))
        assert told["reason"] == "Too many open files"
        assert await is_healthy(made.port)
        resource.prlimit(made.process.pid, resource.RLIMIT_NOFILE, limits)
        await made.listening()
        assert len(made.children()) == 2


async def test_a_second_signal_ends_all_at_once(tmp_path: Path) -> None:
    """The first one lets a running call end, which this one never would."""
    async with Bed(tmp_path, arguments=("--workers", "2")) as bed:
        running = asyncio.ensure_future(bed.client.call(Plan(body=chat(), script="hang")))
        await bed.provider.arrival()
        bed.served.send_signal(signal.SIGTERM)
        await until_refused(bed.served.port)
        bed.served.send_signal(signal.SIGTERM)
        assert await bed.served.wait() == 1
        assert (await running).ending is Ending.BROKEN


async def test_whichever_worker_answers_a_scrape_tells_the_calls_of_all_also_of_the_dead(tmp_path: Path) -> None:
    async with supervised(tmp_path, **upstream_environment("http://127.0.0.1:1")) as made:
        for _ in range(20):
            assert (await told(made.port, "/v1/models")).status == 502
        async with asyncio.timeout(PATIENCE_S):  # each worker adds up calls that come together before it tells
            while await seen(made.port, b"promptlane_calls_total") != {20.0}:
                pass
        for _ in range(2):
            assert await seen(made.port, b"promptlane_calls_total") == {20.0}
            assert await seen(made.port, b"promptlane_workers") == {2.0}
            os.kill(made.children()[0], signal.SIGKILL)
            await made.listening()


async def test_what_waits_in_the_outbox_of_a_worker_that_is_no_more_is_delivered_by_another(tmp_path: Path) -> None:
    """Worker 1 left its file; worker 0 starts, and has 10 s."""
    async with Bed(tmp_path, arguments=("--worker-number", "1")) as bed:
        await bed.posthog.refuse()
        await bed.client.run([Plan(body=chat()) for _ in range(10)], concurrency=2)
        await bed.served.terminate()
        assert [path.name for path in journal_files(bed.served.data)] == ["journal-1.db"]
        await bed.posthog.listen()
        alone = Served(tmp_path, {**upstream_environment(bed.provider.url), **posthog_environment(bed.posthog.url)})
        async with alone, asyncio.timeout(10):
            for call in bed.client.ledger:
                await bed.posthog.wait_for_end(call.call_id)


def test_the_files_that_are_kept_are_those_that_were_kept_last(tmp_path: Path) -> None:
    kept = KeptConfiguration(tmp_path)
    with pytest.raises(OSError, match="No such file"):
        kept.files()
    for environment in ("first", "second"):
        (tmp_path / "analytics.yaml").write_text(f"version: 1\nenvironment: {environment}\n")
        configuration = load(tmp_path, tmp_path / "pricing.yaml", {})
        kept.keep(configuration)
    (tmp_path / "analytics.yaml").unlink()
    assert kept.files() == configuration.files
    (tmp_path / "configuration.json").write_text("{")
    with pytest.raises(ValueError, match="unexpected end"):
        kept.files()


def test_where_nothing_can_be_kept_what_was_kept_stays(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = KeptConfiguration(tmp_path)
    configuration = load(tmp_path, tmp_path / "pricing.yaml", {})
    kept.keep(configuration)
    tmp_path.joinpath(f"configuration.{os.getpid()}").mkdir()  # in the way of the draft
    kept.keep(configuration)
    assert "could not be kept" in caplog.text
    assert kept.files() == configuration.files
