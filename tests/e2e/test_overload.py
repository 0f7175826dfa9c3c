"""More calls than the proxy can serve: what it has answered is told all the same, what it holds stays small, and who
comes last is served too.
"""

import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from proxy.adapters.journal.intake import MAX_GROUP_ROWS
from tests.harness.pages import ROOT
from tools.bench.machine import rss_kib
from tools.bench.payload import plain
from tools.bench.recipes import RECIPES, Command, Place, Recipe
from tools.bench.rig import Rig, closed, compiler
from tools.bench.site import Gateway, site

SAFE_S = 0.25
"""Calls that ended so long before a kill are on disk."""
SCRIPT = plain("plain")

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(compiler() is None, reason="no C compiler: the load generator is written in C"),
]


EVERYTHING = next(recipe for recipe in RECIPES if recipe.name == "promptlane")


@contextmanager
def running(recipe: Recipe = EVERYTHING) -> Iterator[tuple[Rig, Gateway]]:
    """Everything on, on a core of its own."""
    with site([SCRIPT]) as place, place.running(recipe) as gateway:
        yield place.rig, gateway


def on_a_disk_that_takes(sync_s: float) -> Recipe:
    """The same, from SIGUSR1 on."""

    def prepare(place: Place) -> Command:
        command = EVERYTHING.prepare(place)
        argv = [sys.executable, "-m", "tests.harness.slow_disk", str(sync_s), *command.argv[1:]]
        return Command(argv, env={**command.env, "PYTHONPATH": str(ROOT)})

    return replace(EVERYTHING, prepare=prepare)


def number(gateway: Gateway, query: str) -> int:
    """What the journal answers."""
    (journal,) = (gateway.folder / "data").glob("journal-*.db")
    with closing(sqlite3.connect(Path(journal))) as connection:
        return int(connection.execute(query).fetchone()[0])


def ends_kept(gateway: Gateway) -> int:
    """Of calls, in the journal."""
    return number(gateway, "SELECT count(*) FROM exchange")


def ends_told_as_lost(gateway: Gateway) -> int:
    """By the journal's counts, and by the log where the journal could not be told."""
    counted = "SELECT coalesce(sum(value), 0) FROM counters WHERE name = 'records_dropped'"
    lines = map(orjson.loads, (gateway.folder / "err").read_bytes().splitlines())
    told = sum(int(line["calls"]) for line in lines if "before the stop" in line["message"])
    return number(gateway, counted) + told


def test_what_was_answered_before_a_kill_is_told() -> None:
    with running() as (rig, gateway):
        began_s, killed_s = time.monotonic(), []

        def kill() -> None:
            killed_s.append(time.monotonic())
            os.kill(gateway.target.pid or 0, signal.SIGKILL)

        threading.Timer(4.0, kill).start()
        window = rig.run(closed(SCRIPT, 64, 5.0), replace(gateway.target, pid=None))
        per_second = window.all_replies / (killed_s[0] - began_s)
        assert per_second > 100
        assert window.all_replies - ends_kept(gateway) < SAFE_S * per_second


def test_what_is_held_does_not_grow() -> None:
    with running() as (rig, gateway):
        rig.run(closed(SCRIPT, 64, 2.0), gateway.target)
        before_kib = rss_kib(gateway.target.pid)
        window = rig.run(closed(SCRIPT, 64, 8.0), gateway.target)
        assert (window.errors, window.unfinished) == (0, 0)
        assert rss_kib(gateway.target.pid) - before_kib < 8 * 1024  # 100,000 calls that wait to be told are 60 MiB


def test_who_comes_last_is_served_too() -> None:
    with running() as (rig, gateway):
        window = rig.run(closed(SCRIPT, 500, 6.0), gateway.target)
        assert window.errors == 0
        assert window.latency_us is not None
        assert window.latency_us["max"] < 10 * window.latency_us["p50"]  # all of them in turn


@pytest.mark.parametrize("sync_s", [0.2, 60.0])
def test_a_stop_on_a_slow_disk_tells_of_every_call_that_was_answered(sync_s: float) -> None:
    clients = 64
    with running(on_a_disk_that_takes(sync_s)) as (rig, gateway):
        pid = gateway.target.pid or 0
        threading.Timer(1.0, os.kill, (pid, signal.SIGUSR1)).start()
        threading.Timer(4.0, os.kill, (pid, signal.SIGTERM)).start()
        window = rig.run(closed(SCRIPT, clients, 5.0), replace(gateway.target, pid=None))
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        told = ends_kept(gateway) + ends_told_as_lost(gateway)
        answered = window.all_replies + 1  # that told that it was ready
        assert answered <= told <= answered + clients + MAX_GROUP_ROWS  # what was being written may be there as well
