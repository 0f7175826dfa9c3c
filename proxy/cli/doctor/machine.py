"""What the proxy stands on: interpreter, libraries, open files, clock."""

import resource
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from statistics import median

import aiohttp.http_parser
import apsw

from proxy.adapters.journal.schema import MIN_SQLITE
from proxy.cli.doctor.finding import Finding, fail, ok, warn

MIN_PYTHON = (3, 11)
MIN_AIOHTTP = (3, 14, 4)
FILES_PER_CALL = 2
"""The caller's connection and the provider's."""
OTHER_FILES = 64
"""Journal, log, PostHog, and what Python holds."""
MIN_CALLS = 1000
"""At once: below it the limit is likelier forgotten than chosen."""
PLAUSIBLE_YEARS = range(2025, 2100)
STEP_S = 1.0
"""A wall clock that left the monotonic one by more was set while we looked."""
SKEW_WARN_S, SKEW_FAIL_S = 5.0, 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What is there."""

    python: Sequence[int]
    sqlite: Sequence[int]
    aiohttp: Sequence[int]
    aiohttp_parses_in_c: bool
    uvloop: str | None
    open_files: int | None
    """The soft limit of this process; None for no limit."""


def look() -> Machine:
    """At the running interpreter and its process."""
    parser = aiohttp.http_parser
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return Machine(
        python=sys.version_info[:3],
        sqlite=_numbers(apsw.sqlite_lib_version()),
        aiohttp=_numbers(aiohttp.__version__),
        aiohttp_parses_in_c=parser.HttpRequestParser is not parser.HttpRequestParserPy,
        uvloop=_installed("uvloop"),
        open_files=None if limit == resource.RLIM_INFINITY else limit,
    )


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:3] if part.isdecimal())


def _installed(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def findings(machine: Machine) -> Iterator[Finding]:
    """What stands here, against its floor."""
    again = "install the locked packages again (`make setup`), or use the container image"
    yield _floor("Python", machine.python, MIN_PYTHON, "run the proxy with a newer Python")
    yield _floor("SQLite", machine.sqlite, MIN_SQLITE, f"older ones may lose committed rows: {again}")
    yield _floor("aiohttp", machine.aiohttp, MIN_AIOHTTP, f"older ones have a known hole: {again}")
    if not machine.aiohttp_parses_in_c:
        yield fail("aiohttp's parser", "the one in Python is used", f"it lets smuggled requests through: {again}")
    if machine.uvloop is None:
        yield fail("uvloop", "is not installed", f"the proxy does not start without it: {again}")
    else:
        yield ok("uvloop", machine.uvloop)
    yield _open_files(machine.open_files)


def _floor(title: str, found: Sequence[int], floor: Sequence[int], advice: str) -> Finding:
    has, needs = (".".join(map(str, numbers)) for numbers in (found, floor))
    if tuple(found) >= tuple(floor):
        return ok(title, has)
    return fail(title, f"{has}, and {needs} is needed", advice)


def _open_files(limit: int | None) -> Finding:
    if limit is None:
        return ok("open files", "no limit")
    calls = max(0, limit - OTHER_FILES) // FILES_PER_CALL
    found = f"{limit:,} allowed to a process: room for {calls:,} calls at once in each worker"
    if calls >= MIN_CALLS:
        return ok("open files", found)
    return warn("open files", found, "raise it with `ulimit -n 65536`, or LimitNOFILE=65536 in the service's unit")


@dataclass(frozen=True, slots=True)
class Moment:
    """Both clocks, read together."""

    wall_unix_s: float
    monotonic_s: float


def now() -> Moment:
    """By this machine."""
    return Moment(time.time(), time.monotonic())


def clock(begin: Moment, end: Moment, newest_call_unix_s: float | None, ahead_s: Iterable[float]) -> Finding:
    """`ahead_s`: how far the clock is ahead of each host that was asked. `newest_call_unix_s`: from the journal."""
    told = datetime.fromtimestamp(end.wall_unix_s, UTC)
    found = f"{told:%Y-%m-%d %H:%M:%S} UTC"
    set_it = "set the clock, and let chrony or systemd-timesyncd keep it: events carry its time"
    stepped_s = (end.wall_unix_s - begin.wall_unix_s) - (end.monotonic_s - begin.monotonic_s)
    if told.year not in PLAUSIBLE_YEARS:
        return fail("clock", f"{found}, which cannot be", set_it)
    if abs(stepped_s) > STEP_S:
        return warn("clock", f"it was set by {stepped_s:+.0f} s while we looked", set_it)
    if newest_call_unix_s is not None and newest_call_unix_s > end.wall_unix_s + SKEW_FAIL_S:
        return warn("clock", f"{found}, and the journal holds later calls: the clock was set back", set_it)
    return _against_others(found, list(ahead_s), set_it)


def _against_others(found: str, ahead_s: Sequence[float], set_it: str) -> Finding:
    """The median, so that one host with a wrong clock does not matter."""
    if not ahead_s:
        return ok("clock", f"{found}; compared with nobody's")
    skew_s = median(ahead_s)
    if abs(skew_s) <= SKEW_WARN_S:
        return ok("clock", f"{found}, as the hosts that were asked have it")
    found = f"{found}, {abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} the hosts that were asked"
    return (fail if abs(skew_s) > SKEW_FAIL_S else warn)("clock", found, set_it)
