"""Where gateways run: their core, their folders, the upstream and the scripted PostHog; started, ready, and stopped."""

import http.client
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.bench import machine
from tools.bench.payload import KEY, Script
from tools.bench.recipes import Command, Place, Recipe
from tools.bench.rig import Rig, Target, build, listening_port

READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 40.0
READY_SCRIPT = "plain"
"""The script of the call that tells whether a gateway is ready."""


class GatewayDown(Exception):
    """A gateway did not start. The text says which, and what it wrote to its error stream."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that runs. `ready_s` is the time from its start to its first reply."""

    recipe: Recipe
    target: Target
    folder: Path
    ready_s: float


class Site:
    """Where gateways are started: their core, the folder of their files, the upstream and the capture endpoint."""

    def __init__(self, rig: Rig, cores: machine.Cores, folder: Path, *, upstream_port: int, capture_port: int) -> None:
        self.rig = rig
        self.cores = cores
        self.upstream_port = upstream_port
        self.capture_port = capture_port
        self._folder = folder
        self._started = 0

    def direct(self) -> Target:
        """The upstream itself."""
        return Target(self.upstream_port, self.rig.write_requests(self._folder / "direct", {}))

    @contextmanager
    def running(self, recipe: Recipe, **env: str) -> Iterator[Gateway]:
        """Start it in a folder of its own, with nothing kept from before. Raises `GatewayDown`."""
        self._started += 1
        folder = self._folder / f"gateway-{self._started}"
        folder.mkdir()
        command = recipe.prepare(self._place(folder))
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PROMPTLANE_", "POSTHOG_"))}
        begun_s = time.monotonic()
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err, ExitStack() as stack:
            with machine.on_core(self.cores.gateway):
                process = subprocess.Popen(
                    list(command.argv), cwd=folder, env={**kept, **command.env, **env}, stdout=out, stderr=err
                )
            stack.callback(_stop, process)
            port = _wait_until_ready(recipe, command, process, folder, self.rig)
            ready_s = time.monotonic() - begun_s
            requests = self.rig.write_requests(folder / "requests", recipe.headers)
            if recipe.is_shipping and self.cores.rig is not None:
                for child in machine.family(process.pid)[1:]:
                    os.sched_setaffinity(child, {self.cores.rig})
            yield Gateway(recipe, Target(port, requests, process.pid, recipe.is_exact), folder, ready_s)

    def _place(self, folder: Path) -> Place:
        return Place(
            folder=folder,
            upstream=f"http://127.0.0.1:{self.upstream_port}",
            capture=f"http://127.0.0.1:{self.capture_port}",
            port=_free_port(),
            scripts=list(self.rig.scripts),
        )


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_until_ready(
    recipe: Recipe, command: Command, process: "subprocess.Popen[bytes]", folder: Path, rig: Rig
) -> int:
    """Until a plain call is answered with 200; returns the port."""
    deadline_s = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline_s:
        if process.poll() is not None:
            text = (folder / "err").read_text() or (folder / "out").read_text()
            raise GatewayDown(f"{recipe.name} ended with code {process.returncode}: {text[-2000:]}")
        port = command.port or listening_port((folder / "out").read_text())
        if port and _answers(port, rig, recipe.headers):
            return port
        time.sleep(0.005)
    raise GatewayDown(f"{recipe.name} did not answer a call within {READY_TIMEOUT_S:.0f} s: see what it says")


def _answers(port: int, rig: Rig, headers: Mapping[str, str]) -> bool:
    script = rig.scripts[READY_SCRIPT]
    caller = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        all_headers = {"Authorization": f"Bearer {KEY}", **script.headers, **headers}
        caller.request("POST", script.path, script.body, all_headers)
        return caller.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        caller.close()


@contextmanager
def site(scripts: Sequence[Script]) -> Iterator[Site]:
    """The rig, ready: this process on its core, upstream and scripted PostHog up."""
    programs = build()
    cores = machine.take_cores()
    machine.raise_open_files()
    with tempfile.TemporaryDirectory(prefix="promptlane-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        rig = Rig(programs, folder, scripts)
        upstream = stack.enter_context(rig.upstream())
        capture = stack.enter_context(_capture())
        yield Site(rig, cores, folder, upstream_port=upstream, capture_port=capture)


@contextmanager
def _capture() -> Iterator[int]:
    command = [sys.executable, "-m", "tools.bench.capture"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield listening_port(process.stdout.readline() if process.stdout else "")
        finally:
            process.kill()
