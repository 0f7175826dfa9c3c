"""The real `promptlane serve` as a process of its own: started on an ephemeral port, killed, stopped, started again.

The process leads its own group, and only that group is ever signalled. Readiness is the line `listening on URL` on
its standard output; everything that it prints is kept for the canary scan.
"""

import asyncio
import os
import re
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

import orjson
import yaml

from tests.harness.call import PATIENCE_S
from tests.harness.client import RawClient

START_PATIENCE_S = 20.0
STOP_PATIENCE_S = 40.0
SECRET = "a secret that only tests know"
_READY = re.compile(rb"listening on http://127\.0\.0\.1:(\d+)")
_ENTRY = "import sys; from proxy.cli import main; sys.exit(main())"
_ROOT = Path(__file__).parents[2]


class NotReady(Exception):
    """The process ended, or said nothing, before it was ready."""


def upstream_environment(provider_url: str) -> dict[str, str]:
    """Sends every dialect of the zero-configuration mode to one provider."""
    return {
        "OPENAI_UPSTREAM_URL": f"{provider_url}/v1",
        "ANTHROPIC_UPSTREAM_URL": provider_url,
        "GEMINI_UPSTREAM_URL": provider_url,
    }


def posthog_environment(posthog_url: str) -> dict[str, str]:
    """Sends events to a scripted PostHog."""
    return {"POSTHOG_API_KEY": "phc_test", "POSTHOG_HOST": posthog_url}


class Served:
    """`async with Served(folder, environment) as served:`; `folder` keeps configuration and data over restarts."""

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str],
        *,
        routing: object = None,
        analytics: object = None,
        arguments: tuple[str, ...] = (),
    ) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.port = 0
        self.stdout = b""
        self.stderr = b""
        self.exit_code: int | None = None
        self._config = folder / "config"
        self._arguments = arguments
        self._environment = _environment(environment)
        self._process: asyncio.subprocess.Process | None = None
        self._pumps: list[asyncio.Task[None]] = []
        self._ready: asyncio.Event = asyncio.Event()
        self._config.mkdir(parents=True, exist_ok=True)
        for name, content in (("routing", routing), ("analytics", analytics)):
            if content is not None:
                (self._config / f"{name}.yaml").write_text(yaml.safe_dump(content))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._process is not None:
            await self.kill()

    async def start(self) -> None:
        """Start, on the port of the last time if there was one. Raises NotReady with the tail of what it said."""
        self._ready = asyncio.Event()
        self._process = await self._spawn("serve", *self._serve_arguments())
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._pumps = [
            asyncio.ensure_future(self._pump(self._process.stdout, "stdout")),
            asyncio.ensure_future(self._pump(self._process.stderr, "stderr")),
        ]
        ended = asyncio.ensure_future(self._process.wait())
        ready = asyncio.ensure_future(self._ready.wait())
        await asyncio.wait({ended, ready}, timeout=START_PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        is_ready = ready.done()
        for waiter in (ended, ready):
            waiter.cancel()
        if not is_ready:
            await self.kill()
            raise NotReady(f"promptlane serve is not ready:\n{self.stderr[-4000:].decode(errors='replace')}")

    async def kill(self) -> None:
        """SIGKILL to the whole group, at once."""
        await self._signal(signal.SIGKILL)

    async def terminate(self) -> int:
        """SIGTERM; returns the exit code."""
        await self._signal(signal.SIGTERM)
        assert self.exit_code is not None
        return self.exit_code

    def send_signal(self, which: signal.Signals) -> None:
        """Signal the main process and do not wait."""
        os.kill(self.pid, which)

    async def wait(self) -> int:
        """Until it has ended by itself; returns the exit code."""
        assert self._process is not None
        async with asyncio.timeout(STOP_PATIENCE_S):
            self.exit_code = await self._process.wait()
        await asyncio.gather(*self._pumps)
        self._process = None
        return self.exit_code

    async def run_verb(self, *arguments: str) -> tuple[int, bytes, bytes]:
        """Run another verb in the same environment: exit code, standard output, standard error."""
        process = await self._spawn(*arguments)
        stdout, stderr = await process.communicate()
        assert process.returncode is not None
        return process.returncode, stdout, stderr

    def processes(self, module: str) -> list[int]:
        """Children of the main process, and theirs, that run a module of ours."""
        found: list[int] = []
        parents = [self.pid]
        while parents:
            children = Path(f"/proc/{parents.pop()}/task").glob("*/children")
            for pid in map(int, " ".join(each.read_text() for each in children).split()):
                parents.append(pid)
                with suppress(OSError):
                    if module.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                        found.append(pid)
        return found

    def resident_bytes(self) -> int:
        """The main process's memory, as Linux counts it."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")) * 1024

    async def outbox_stats(self) -> dict[str, object]:
        """`promptlane outbox stats --json`."""
        code, stdout, stderr = await self.run_verb("outbox", "stats", "--json", "--data", str(self.data))
        assert code == 0, stderr.decode(errors="replace")
        stats: dict[str, object] = orjson.loads(stdout)
        return stats

    def _serve_arguments(self) -> tuple[str, ...]:
        folders = ("--config", str(self._config), "--data", str(self.data))
        return (*folders, "--port", str(self.port), *self._arguments)  # prices: pricing.yaml of the folder, if any

    async def _spawn(self, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _ENTRY,
            *arguments,
            env=self._environment,
            cwd=self.folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )

    async def _signal(self, which: signal.Signals) -> None:
        assert self._process is not None
        with suppress(ProcessLookupError):
            if which is signal.SIGKILL:
                os.killpg(self._process.pid, which)
            else:
                os.kill(self._process.pid, which)
        await self.wait()

    async def _pump(self, stream: asyncio.StreamReader, name: str) -> None:
        while data := await stream.read(1 << 16):
            setattr(self, name, getattr(self, name) + data)
            if name == "stdout" and not self._ready.is_set() and (found := _READY.search(self.stdout)):
                self.port = int(found[1])
                self._ready.set()


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Nothing of the developer's own keys or proxies gets in."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV") if name in os.environ}
    return {
        **kept,
        "PYTHONPATH": str(_ROOT),
        "PYTHONUNBUFFERED": "1",
        "PROMPTLANE_SECRET": SECRET,
        **extra,
    }


async def until_refused(port: int) -> None:
    """Connect until nobody listens any more."""
    async with asyncio.timeout(PATIENCE_S):
        with suppress(ConnectionRefusedError):
            while True:
                async with RawClient(port):
                    await asyncio.sleep(0.01)
