"""The rig in C: built on the spot, the upstream started, and one window of load at a time."""

import hashlib
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import IO

from tools.bench import machine
from tools.bench.payload import HEALTH, Script

SOURCES = Path(__file__).parent / "rig"
BUILDS = Path(__file__).parent.parent.parent / "bench-results" / "rig"
_APT_INSTALL = Path(__file__).parent.parent / "apt_install.sh"
_LISTENING = re.compile(r"^listening on http://127\.0\.0\.1:(\d+)", re.MULTILINE)
Times = Mapping[str, float]
"""p50, p90, p99, p999 and max, in µs."""


class RigDown(Exception):
    """The rig cannot be built or does not work. The text says why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One window: `connections` in a closed loop, or `count` requests begun at `rate` per second.

    Replies and events are counted from `from_s` after the start, for `seconds`. What is under way then may end within
    `patience_s`. `lingers`: the connections stay open afterwards until the block ends.
    """

    script: Script | None
    """None: the health of the gateway is asked for."""
    seconds: float
    connections: int = 0
    rate: float = 0.0
    count: int = 0
    from_s: float = 0.0
    patience_s: float = 10.0


def closed(script: Script, connections: int, seconds: float) -> Load:
    """Each connection sends its next request when it has its reply."""
    return Load(script=script, connections=connections, seconds=seconds)


def at_rate(script: Script | None, per_second: float, seconds: float) -> Load:
    """Requests begin at fixed times, and their times count from then."""
    return Load(script=script, rate=per_second, count=max(1, round(per_second * seconds)), seconds=seconds)


def held(script: Script, count: int, *, ramp_s: float, seconds: float) -> Load:
    """`count` streams, begun one after the other within `ramp_s`, watched while all are open."""
    # An odd rate spreads the streams over the gap between two events: they must not all speak at the same time.
    rate = count / ramp_s * 1.0123
    return Load(script=script, rate=rate, count=count, from_s=ramp_s + 0.1, seconds=seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What one window saw. `replies` and `events` are those within it; `all_replies` those before and after, too."""

    seconds: float
    replies: int
    all_replies: int
    events: int
    bytes: int
    errors: int
    unfinished: int
    connections: int
    first_error: str
    latency_us: Times | None
    first_byte_us: Times | None
    transit_us: Times | None
    """From the sending of an event by the upstream to its coming."""
    cpu_s: float = nan
    """What the gateway used within the window."""
    own_kib: float = nan
    """Memory of the gateway at the window's end, without pages of files."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a load is sent to. `requests` is the folder of its requests; `is_exact`: its replies are the upstream's."""

    port: int
    requests: Path
    pid: int | None = None
    is_exact: bool = True


class Rig:
    """Holds the programs and the scripts; replies and requests lie in `folder` as files."""

    def __init__(self, programs: Path, folder: Path, scripts: Sequence[Script]) -> None:
        self._programs = programs
        self._folder = folder
        self.scripts = {script.name: script for script in scripts}
        for script in scripts:
            (folder / f"{script.name}.reply").write_bytes(script.reply)

    def write_requests(self, folder: Path, headers: Mapping[str, str]) -> Path:
        """The requests of a target that wants these headers, besides those of all."""
        folder.mkdir(exist_ok=True)
        (folder / "health.request").write_bytes(HEALTH)
        for script in self.scripts.values():
            (folder / f"{script.name}.request").write_bytes(script.request(headers))
        return folder

    @contextmanager
    def upstream(self) -> Iterator[int]:
        """The scripted upstream on the port that is given."""
        scripts = [f"{one.name}:{one.gap_us}:{self._folder / one.name}.reply" for one in self.scripts.values()]
        with subprocess.Popen([self._programs / "upstream", *scripts], stdout=subprocess.PIPE, text=True) as process:
            try:
                yield listening_port(_output(process).readline())
            finally:
                process.kill()

    def run(self, load: Load, target: Target) -> Window:
        """One window, whole. Raises `RigDown` where the load generator itself fails."""
        with self._process(load, target) as process:
            output = _output(process)
            _expect(output, "begin")
            before_s = machine.cpu_s(target.pid)
            _expect(output, "end")
            cpu_s = machine.cpu_s(target.pid) - before_s
            own_kib = machine.own_kib(target.pid)
            return Window(**json.loads(output.readline()), cpu_s=cpu_s, own_kib=own_kib)

    @contextmanager
    def lingering(self, load: Load, target: Target) -> Iterator[None]:
        """The load runs to its end; its connections stay open, idle, through the block."""
        with self._process(load, target, "linger=1") as process:
            for word in ("begin", "end", "lingers"):
                _expect(_output(process), word)
            yield
            process.communicate()

    @contextmanager
    def beside(self, load: Load, target: Target) -> Iterator[list[Window]]:
        """The load runs while the block does; its window stands in the list afterwards."""
        found: list[Window] = []
        with self._process(load, target) as process:
            _expect(_output(process), "begin")
            yield found
            _expect(_output(process), "end")
            found.append(Window(**json.loads(_output(process).readline())))

    @contextmanager
    def _process(self, load: Load, target: Target, *more: str) -> Iterator["subprocess.Popen[str]"]:
        arguments = {
            "port": target.port,
            "request": target.requests / f"{load.script.name if load.script else 'health'}.request",
            "closed": load.connections,
            "rate": load.rate,
            "count": load.count,
            "from": load.from_s,
            "seconds": load.seconds,
            "patience": load.patience_s,
            "loose": int(not target.is_exact),
        }
        if load.script is not None:
            arguments["reply"] = self._folder / f"{load.script.name}.reply"
        command: list[str | Path] = [
            self._programs / "load",
            *(f"{name}={value}" for name, value in arguments.items()),
            *more,
        ]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
            try:
                yield process
            except _Silent:
                process.kill()
                text = process.stderr.read().strip() if process.stderr else ""
                raise RigDown(f"the load generator ended: {text or 'it said nothing'}") from None
            finally:
                if process.stdin:
                    process.stdin.close()


class _Silent(Exception):
    """The load generator did not say what it should."""


def _expect(output: IO[str], word: str) -> None:
    if output.readline().strip() != word:
        raise _Silent


def _output(process: "subprocess.Popen[str]") -> IO[str]:
    if process.stdout is None:
        raise RigDown("a process of the rig has no output")
    return process.stdout


def listening_port(text: str) -> int:
    """The port of a line `listening on …`, 0 where there is none."""
    found = _LISTENING.search(text)
    return int(found[1]) if found else 0


def build() -> Path:
    """The folder of the two programs, compiled unless they are there. Raises `RigDown`."""
    compiler = _compiler()
    sources = sorted(SOURCES.glob("*.[ch]"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    folder = BUILDS / digest[:16]
    folder.mkdir(parents=True, exist_ok=True)
    for source in SOURCES.glob("*.c"):
        program = folder / source.stem
        if not program.exists():
            aside = program.with_suffix(f".{time.monotonic_ns()}")
            made = subprocess.run([compiler, "-O2", "-o", aside, source], capture_output=True, text=True, check=False)
            if made.returncode:
                raise RigDown(f"{compiler} does not compile {source.name}:\n{made.stderr}")
            aside.rename(program)
    return folder


def compiler() -> str | None:
    """The system's C compiler."""
    return next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)


def _compiler() -> str:
    if (found := compiler()) is None:
        subprocess.run([_APT_INSTALL, "gcc", "libc6-dev"], check=False)
        found = compiler()
    if found is None:
        raise RigDown("the benchmark's rig is written in C and needs a compiler: install gcc and libc6-dev")
    return found
