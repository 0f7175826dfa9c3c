import resource
from dataclasses import replace
from typing import Any

import pytest

from proxy.cli.doctor import machine
from proxy.cli.doctor.finding import Finding
from proxy.cli.doctor.machine import Machine, Moment, clock, findings

GOOD = Machine(
    python=(3, 11, 7),
    sqlite=(3, 51, 3),
    aiohttp=(3, 14, 4),
    aiohttp_parses_in_c=True,
    uvloop="0.21.0",
    open_files=65_536,
)
NOW = Moment(wall_unix_s=1_795_000_000.0, monotonic_s=100.0)


def states(**changes: Any) -> dict[str, str]:
    return {finding.title: finding.state for finding in findings(replace(GOOD, **changes))}


def test_this_machine_runs_the_tests_and_so_would_run_the_proxy() -> None:
    here = machine.look()
    assert {finding.state for finding in findings(replace(here, open_files=None))} == {"ok"}
    assert here.open_files in (resource.getrlimit(resource.RLIMIT_NOFILE)[0], None)


@pytest.mark.parametrize(
    ("changes", "title", "state"),
    [
        ({}, "open files", "ok"),
        ({"python": (3, 10, 14)}, "Python", "fail"),
        ({"python": (3, 12, 0)}, "Python", "ok"),
        ({"sqlite": (3, 51, 2)}, "SQLite", "fail"),
        ({"sqlite": (3, 9, 0)}, "SQLite", "fail"),
        ({"aiohttp": (3, 14, 3)}, "aiohttp", "fail"),
        ({"aiohttp_parses_in_c": False}, "aiohttp's parser", "fail"),
        ({"uvloop": None}, "uvloop", "fail"),
        ({"open_files": 1024}, "open files", "warn"),
        ({"open_files": 10}, "open files", "warn"),
        ({"open_files": 2064}, "open files", "ok"),
        ({"open_files": None}, "open files", "ok"),
    ],
)
def test_each_floor(changes: dict[str, Any], title: str, state: str) -> None:
    assert states(**changes)[title] == state
    assert [other for other, found in states(**changes).items() if found != "ok" and other != title] == []


def test_room_for_calls_is_told_in_calls() -> None:
    found = {finding.title: finding.found for finding in findings(replace(GOOD, open_files=1064))}
    assert found["open files"] == "1,064 allowed to a process: room for 500 calls at once in each worker"


def at(
    after_s: float = 0.0, *, wall_s: float | None = None, newest_s: float | None = None, ahead_s: tuple[float, ...] = ()
) -> Finding:
    end = Moment(NOW.wall_unix_s + (after_s if wall_s is None else wall_s), NOW.monotonic_s + after_s)
    return clock(NOW, end, newest_s, ahead_s)


@pytest.mark.parametrize(
    ("finding", "state", "said"),
    [
        (at(3), "ok", "2026-11-18 11:06:43 UTC; compared with nobody's"),
        (at(3, wall_s=63), "warn", "it was set by +60 s while we looked"),
        (at(3, wall_s=-57), "warn", "it was set by -60 s while we looked"),
        (clock(Moment(0, 0), Moment(1, 1), None, ()), "fail", "which cannot be"),
        (at(newest_s=NOW.wall_unix_s + 59), "ok", "compared with nobody's"),
        (at(newest_s=NOW.wall_unix_s + 61), "warn", "the journal holds later calls"),
        (at(ahead_s=(0.4, -1.2, 900.0)), "ok", "as the hosts that were asked have it"),
        (at(ahead_s=(7.0, 8.0, 7.4)), "warn", "7 s ahead of the hosts that were asked"),
        (at(ahead_s=(-61.0,)), "fail", "61 s behind the hosts that were asked"),
    ],
)
def test_the_clock(finding: Finding, state: str, said: str) -> None:
    assert finding.state == state
    assert said in finding.found


def test_the_clocks_are_read_together() -> None:
    first, second = machine.now(), machine.now()
    assert second.monotonic_s >= first.monotonic_s
