"""The machine under the benchmark: its cores, its limits, how quiet it is, and what a process uses of it."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import nan
from pathlib import Path

OPEN_FILES = 65_536
QUIET_SHARE = 0.05
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Cores:
    """Where things run: rig and gateways on one core each, or both None where that cannot be had."""

    rig: int | None
    gateway: int | None

    def __str__(self) -> str:
        if self.gateway is None:
            return "not pinned: this machine gives no second core, or no way to choose one; expect noise"
        return f"rig on core {self.rig}, the gateway under test on core {self.gateway}, of {os.cpu_count()}"


def take_cores() -> Cores:
    """Put this process and all that it starts on the first core it may use; the gateways get the second."""
    if not hasattr(os, "sched_setaffinity") or len(cores := sorted(os.sched_getaffinity(0))) < 2:
        return Cores(None, None)
    os.sched_setaffinity(0, {cores[0]})
    return Cores(cores[0], cores[1])


@contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """What is started inside runs on this core for its whole life, with its threads and children."""
    if core is None:
        yield
        return
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, mine)


def raise_open_files() -> int:
    """Allow as many open files as may be had, up to `OPEN_FILES`; the limit that holds then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in ((OPEN_FILES, max(OPEN_FILES, hard)), (min(OPEN_FILES, hard), hard)):
        try:
            if soft < wanted[0]:
                resource.setrlimit(resource.RLIMIT_NOFILE, wanted)
            break
        except (ValueError, OSError):
            continue
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def family(pid: int) -> list[int]:
    """The process and all its descendants that live."""
    children = [
        int(child) for task in (_PROC / str(pid) / "task").glob("*/children") for child in task.read_text().split()
    ]
    return [pid, *(member for child in children for member in family(child))]


def cpu_s(pid: int | None) -> float:
    """CPU seconds used so far by the process and its descendants, all threads; not a number where nobody tells."""
    if pid is None or not (_PROC / "self" / "schedstat").exists():
        return nan
    tasks = (task for member in family(pid) for task in (_PROC / str(member) / "task").glob("*/schedstat"))
    return sum(_first_number(task) for task in tasks) / 1e9


def _first_number(path: Path) -> int:
    try:
        return int(path.read_text().split()[0])
    except (FileNotFoundError, ProcessLookupError):
        return 0  # the thread ended since it was listed


def rss_kib(pid: int | None) -> float:
    """Resident memory of the process and its descendants; not a number where nobody tells."""
    return _status_kib(pid, "VmRSS:")


def own_kib(pid: int | None) -> float:
    """Resident memory that is no file's, as `rss_kib`: without the pages of maps, which the kernel may take back."""
    return _status_kib(pid, "RssAnon:")


def peak_rss_kib(pid: int | None) -> float:
    """The most that has been resident since `forget_peak`, or ever."""
    return _status_kib(pid, "VmHWM:")


def forget_peak(pid: int | None) -> None:
    """Let the peak of the process and its descendants begin anew, where that can be done."""
    for member in family(pid) if pid is not None else ():
        if (clear := _PROC / str(member) / "clear_refs").exists():
            clear.write_text("5")


def _status_kib(pid: int | None, name: str) -> float:
    if pid is None or not (_PROC / "self" / "status").exists():
        return nan
    lines = (line for member in family(pid) for line in (_PROC / str(member) / "status").read_text().splitlines())
    return float(sum(int(line.split()[1]) for line in lines if line.startswith(name)))


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Of all cores together, since the machine began, and of us: this process and its children that have ended."""

    total_s: float
    idle_s: float
    stolen_s: float
    own_s: float

    @staticmethod
    def now() -> "CpuTimes | None":
        """None where nobody tells."""
        stat = _PROC / "stat"
        if not stat.exists():
            return None
        ticks = [int(field) for field in stat.read_text().split("\n", 1)[0].split()[1:9]]
        per_s = os.sysconf("SC_CLK_TCK")
        own = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return CpuTimes(
            total_s=sum(ticks) / per_s,
            idle_s=(ticks[3] + ticks[4]) / per_s,
            stolen_s=ticks[7] / per_s,
            own_s=sum(one.ru_utime + one.ru_stime for one in own),
        )


def shares_of_others(before: CpuTimes | None, after: CpuTimes | None) -> tuple[float, float]:
    """What other processes here, and what other machines on the same host, took of the time between; of 1."""
    if before is None or after is None or after.total_s == before.total_s:
        return nan, nan
    total_s = after.total_s - before.total_s
    stolen_s = after.stolen_s - before.stolen_s
    busy_s = total_s - (after.idle_s - before.idle_s) - stolen_s
    return max(0.0, busy_s - (after.own_s - before.own_s)) / total_s, stolen_s / total_s
