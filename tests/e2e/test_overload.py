"""More calls than the proxy can serve: what it has answered is told all the same, what it holds stays small, and who
comes last is served too.
"""

import os
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tools.bench.machine import rss_kib
from tools.bench.payload import plain
from tools.bench.recipes import RECIPES
from tools.bench.rig import Rig, closed, compiler
from tools.bench.site import Gateway, site

SAFE_S = 0.25
"""Calls that ended so long before a kill are on disk."""
SCRIPT = plain("plain")

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(compiler() is None, reason="no C compiler: the load generator is written in C"),
]


@contextmanager
def running() -> Iterator[tuple[Rig, Gateway]]:
    """Everything on, on a core of its own."""
    recipe = next(recipe for recipe in RECIPES if recipe.keeps_events)
    with site([SCRIPT]) as place, place.running(recipe) as gateway:
        yield place.rig, gateway


def ends_kept(gateway: Gateway) -> int:
    """Of calls, in the journal."""
    (journal,) = (gateway.folder / "data").glob("journal-*.db")
    with closing(sqlite3.connect(Path(journal))) as connection:
        return int(connection.execute("SELECT count(*) FROM exchange").fetchone()[0])


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
