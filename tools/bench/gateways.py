"""Starting and pinning the processes of a run, and what they cost in CPU."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import nan
from pathlib import Path

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 10.0
PROMPTLANE = Path(sys.executable).parent / "promptlane"
_LISTENING = re.compile(rb"^listening on http://127\.0\.0\.1:(\d+)", re.MULTILINE)


class GatewayDown(Exception):
    """A process did not start. The text says which, and what it wrote to its error stream."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """One row of the table: where it listens, and the process whose CPU is its cost (None for the direct row)."""

    name: str
    port: int
    pid: int | None = None

    def cpu_s(self) -> float:
        """CPU seconds used so far, its direct children's included; not a number where nobody tells."""
        if self.pid is None or not Path("/proc/self/schedstat").exists():
            return nan
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return sum(map(_cpu_s, [self.pid, *map(int, children)]))


@contextmanager
def gateways(*, rig_core: int | None, gateway_core: int | None) -> Iterator[list[Gateway]]:
    """Start upstream and every gateway that is installed; stop them all at the end. Raises `GatewayDown`."""
    with ExitStack() as stack:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory()))

        def start(name: str, command: list[str], env: dict[str, str], core: int | None) -> Gateway:
            return stack.enter_context(_running(name, command, env, core, data))

        module = [sys.executable, "-m"]
        upstream = start("direct", [*module, "tools.bench.upstream"], {}, rig_core)
        url = f"http://127.0.0.1:{upstream.port}"
        rows = [Gateway("direct", upstream.port)]
        rows.append(start("bare aiohttp", [*module, "tools.bench.bare", url], {}, gateway_core))
        if PROMPTLANE.exists():
            capture = start("capture", [*module, "tools.bench.upstream"], {}, rig_core)
            posthog = {"POSTHOG_API_KEY": "phc_bench", "POSTHOG_HOST": f"http://127.0.0.1:{capture.port}"}
            for name, extra in {"promptlane": {}, "promptlane + PostHog": posthog}.items():
                env = {"OPENAI_UPSTREAM_URL": f"{url}/v1", "PROMPTLANE_PORT": "0"} | extra
                env["PROMPTLANE_DATA"] = str(data / name)
                rows.append(start(name, [str(PROMPTLANE), "serve"], env, gateway_core))
        yield rows


@contextmanager
def _running(name: str, command: list[str], env: dict[str, str], core: int | None, data: Path) -> Iterator[Gateway]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PROMPTLANE_", "POSTHOG_"))}
    output = data / f"{name}.out"
    with output.open("wb") as stdout, (data / f"{name}.err").open("wb") as stderr:
        process = subprocess.Popen(command, env=kept | env, stdout=stdout, stderr=stderr)
        try:
            if core is not None:
                os.sched_setaffinity(process.pid, {core})
            yield Gateway(name, _port(name, process, output), process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _port(name: str, process: "subprocess.Popen[bytes]", output: Path) -> int:
    """Wait until the process says where it listens."""
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline_s:
        if found := _LISTENING.search(output.read_bytes()):
            return int(found[1])
        if process.poll() is not None:
            raise GatewayDown(f"{name} ended with code {process.returncode}: {output.with_suffix('.err').read_text()}")
        time.sleep(0.02)
    raise GatewayDown(f"{name} did not say where it listens within {START_TIMEOUT_S:.0f} s")


def _cpu_s(pid: int) -> float:
    """CPU time of all threads; schedstat has nanoseconds where stat has hundredths of a second."""
    stats = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(stat.read_text().split()[0]) for stat in stats) / 1e9
