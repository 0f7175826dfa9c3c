"""What is measured: each measure is one window on one gateway, and gives figures with their unit in their name."""

import json
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import nan
from pathlib import Path

from tools.bench import machine
from tools.bench.payload import STREAM_EVENTS, Script, plain, stream
from tools.bench.recipes import PROMPTLANE
from tools.bench.rig import Load, RigDown, Target, Times, Window, at_rate, closed, held
from tools.bench.site import Gateway, Site

Figures = dict[str, float]
EVENTS_PER_CALL = 3
"""A start, an end and one `$ai_generation`."""
CALM_RATES = (20, 100, 500)
PACED_GAP_US = 5_000
PACED_STREAMS_PER_S = 20
WARM_CALLS = 200
KEEPS_UP = 0.99
REST_S = 0.1
REST_TRIES = 50
SETTLE_S = 0.7
_MS = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much of everything. `held` are streams at 20 ms an event; `slow` ones at `slow_gap_us`."""

    seconds: float = 1.2
    rounds: int = 3
    connections: int = 64
    held: tuple[int, int] = (200, 1000)
    held_gap_us: int = 20_000
    held_ramp_s: float = 3.0
    slow: int = 5000
    slow_gap_us: int = 400_000
    slow_ramp_s: float = 6.0

    def scripts(self) -> list[Script]:
        """All that the measures ask for; streams that are held last as long as they are watched."""
        held_events = 8 + int((self.held_ramp_s + 0.2 + self.held_seconds) * 1e6 / self.held_gap_us)
        slow_events = 7 + int((self.slow_ramp_s + 0.2 + self.slow_seconds) * 1e6 / self.slow_gap_us)
        return [
            plain("plain"),
            stream("stream"),
            stream("paced", gap_us=PACED_GAP_US),
            stream("held", events=held_events, gap_us=self.held_gap_us),
            stream("slow", events=slow_events, gap_us=self.slow_gap_us),
        ]

    @property
    def held_seconds(self) -> float:
        """The window in which held streams are watched."""
        return 1.5 * self.seconds

    @property
    def slow_seconds(self) -> float:
        """A whole number of gaps, so that each stream owes the same."""
        return max(1, round(2 * self.seconds / (self.slow_gap_us / 1e6))) * self.slow_gap_us / 1e6


QUICK = Size(seconds=0.3, rounds=1, connections=8, held=(10, 40), held_ramp_s=0.2,
             slow=40, slow_gap_us=50_000, slow_ramp_s=0.2)  # fmt: skip


@dataclass(slots=True)
class Row:
    """A gateway that takes part, and what went wrong with it. `gateway` None: the direct calls."""

    name: str
    target: Target
    gateway: Gateway | None = None
    problems: list[str] = field(default_factory=list)
    calls: int = 0
    """Those whose events can be counted: of this gateway, and of fresh ones too where all ship to one place."""


class Bench:
    """Runs windows and keeps the books: whatever goes wrong stands in the row's problems."""

    def __init__(self, site: Site, size: Size) -> None:
        self.site = site
        self.size = size

    def script(self, name: str) -> Script:
        """By its name."""
        return self.site.rig.scripts[name]

    def window(self, row: Row, load: Load, target: Target | None = None) -> Window:
        """One window on the row, or on a fresh gateway of its kind."""
        window = self.site.rig.run(load, target or row.target)
        if target is None or (row.gateway is not None and row.gateway.recipe.is_shipping):
            row.calls += window.all_replies + window.unfinished
        if window.errors:
            name = load.script.name if load.script else "health"
            row.problems.append(f"{name}: {window.errors} times {window.first_error}")
        return window

    def rest(self, target: Target) -> None:
        """Let a gateway finish what it does after its replies, so that it is nobody's latency."""
        if target.pid is None:
            return
        for _ in range(REST_TRIES):
            before_s = machine.cpu_s(target.pid)
            time.sleep(REST_S)
            if not machine.cpu_s(target.pid) - before_s > REST_S / 10:
                return


def _plain(bench: Bench, row: Row) -> Figures:
    window, cpu_s = _at_full_speed(bench, row, "plain")
    return {
        "requests_per_s": window.replies / window.seconds,
        "request_cpu_us": _each(cpu_s, window.all_replies),
        "plain_core_share": window.cpu_s / window.seconds,
        "plain_late_share": 1 - window.cpu_s / cpu_s if cpu_s else nan,
    }


def _streams(bench: Bench, row: Row) -> Figures:
    window, cpu_s = _at_full_speed(bench, row, "stream")
    return {
        "streams_per_s": window.replies / window.seconds,
        "chunk_cpu_us": _each(cpu_s, window.all_replies * STREAM_EVENTS),
        "streams_core_share": window.cpu_s / window.seconds,
        "streams_late_share": 1 - window.cpu_s / cpu_s if cpu_s else nan,
    }


def _at_full_speed(bench: Bench, row: Row, name: str) -> tuple[Window, float]:
    """And the CPU seconds of all its replies, what the gateway does after the last of them included."""
    before_s = machine.cpu_s(row.target.pid)
    window = bench.window(row, closed(bench.script(name), bench.size.connections, bench.size.seconds))
    bench.rest(row.target)
    if window.unfinished:
        row.problems.append(f"{name}: {window.unfinished} calls never ended")
    return window, machine.cpu_s(row.target.pid) - before_s


def _calm(per_second: int) -> Callable[[Bench, Row], Figures]:
    def measure(bench: Bench, row: Row) -> Figures:
        window = bench.window(row, at_rate(bench.script("plain"), per_second, bench.size.seconds))
        latency = None if window.unfinished else window.latency_us
        return {f"p50_at_{per_second}_ms": _ms(latency, "p50"), f"p99_at_{per_second}_ms": _ms(latency, "p99")}

    return measure


def _paced(bench: Bench, row: Row) -> Figures:
    window = bench.window(row, at_rate(bench.script("paced"), PACED_STREAMS_PER_S, bench.size.seconds))
    return {
        "ttft_p50_ms": _ms(window.first_byte_us, "p50"),
        "ttft_p99_ms": _ms(window.first_byte_us, "p99"),
        "chunk_p50_ms": _ms(window.transit_us, "p50"),
        "chunk_p99_ms": _ms(window.transit_us, "p99"),
    }


def _held(index: int) -> Callable[[Bench, Row], Figures]:
    def measure(bench: Bench, row: Row) -> Figures:
        size = bench.size
        load = held(bench.script("held"), size.held[index], ramp_s=size.held_ramp_s, seconds=size.held_seconds)
        window = bench.window(row, load)
        bench.rest(row.target)
        return _of_held(("held", "held_many")[index], window, size.held[index], size.held_gap_us)

    return measure


def _of_held(name: str, window: Window, streams: int, gap_us: int) -> Figures:
    """Chunks cost less when they pile up and go on together: no cost is told of a gateway that does not keep up."""
    delivered = min(1.0, window.events / (streams * window.seconds / (gap_us / 1e6)))
    return {
        f"{name}_delivered_percent": 100 * delivered,
        f"{name}_p50_ms": _ms(window.transit_us, "p50"),
        f"{name}_p99_ms": _ms(window.transit_us, "p99"),
        f"{name}_chunk_cpu_us": _each(window.cpu_s, window.events) if delivered >= KEEPS_UP else nan,
    }


def _fresh(bench: Bench, row: Row) -> Figures:
    """One that has just been started: how long that took, its memory, and what thousands of slow streams add."""
    if row.gateway is None:
        return _slow(bench, row, None)
    with bench.site.running(row.gateway.recipe) as gateway:
        row.calls += gateway.recipe.is_shipping  # the call that told that it was ready
        target = gateway.target
        time.sleep(SETTLE_S)
        rest_kib = machine.rss_kib(target.pid)
        figures = {"ready_s": gateway.ready_s, "rest_mb": rest_kib * 1024 / 1e6}
        bench.window(row, at_rate(bench.script("plain"), WARM_CALLS, 1), target)
        return figures | _slow(bench, row, target)


def _slow(bench: Bench, row: Row, fresh: Target | None) -> Figures:
    size = bench.size
    before_kib = machine.own_kib(fresh.pid if fresh else None)
    load = held(bench.script("slow"), size.slow, ramp_s=size.slow_ramp_s, seconds=size.slow_seconds)
    window = bench.window(row, load, fresh)
    kib_each = (window.own_kib - before_kib) / size.slow
    return _of_held("slow", window, size.slow, size.slow_gap_us) | {"slow_kib": kib_each}


def _sustained(bench: Bench, row: Row) -> Figures:
    """The rate of plain calls at which PostHog gets the events as fast as they are made, the outbox so does not grow.

    It is tried from above: what the gateway costs with all its work, the delivery of the last event included, says
    what the core could carry at most.
    """
    if row.gateway is None or not row.gateway.recipe.is_shipping:
        return {}
    script, seconds = bench.script("plain"), 2 * bench.size.seconds
    before_s = machine.cpu_s(row.target.pid)
    probe = bench.window(row, closed(script, bench.size.connections, bench.size.seconds / 2))
    _wait_for_events(bench, row, until_s=time.monotonic() + 20)
    cost_s = machine.cpu_s(row.target.pid) - before_s
    rate = min(probe.replies / probe.seconds, probe.all_replies / cost_s)
    for _ in range(6):
        middle_s = time.monotonic() + seconds / 2
        window = bench.window(row, at_rate(script, rate, seconds))
        delivered = _captured(bench.site.capture_port, since=middle_s, until=middle_s + seconds / 2)["events"]
        _wait_for_events(bench, row, until_s=time.monotonic() + 20)
        if not window.unfinished and delivered >= 0.95 * rate * seconds / 2 * EVENTS_PER_CALL:
            return {"sustained_per_s": rate}
        rate *= 0.85
    return {"sustained_per_s": nan}


def _wait_for_events(bench: Bench, row: Row, *, until_s: float) -> int:
    """Until PostHog has all events of the row's calls, or time is up; how many it has."""
    while True:
        unique = _captured(bench.site.capture_port)["unique"]
        if unique >= row.calls * EVENTS_PER_CALL or time.monotonic() > until_s:
            return unique
        time.sleep(REST_S)


def _captured(port: int, *, since: float = 0, until: float = float("inf")) -> dict[str, int]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/count?since={since}&until={until}", timeout=30) as reply:
        found: dict[str, int] = json.load(reply)
        return found


def count_events(bench: Bench, row: Row) -> None:
    """Every call has its events: in the outbox, or with PostHog. What is missing is a problem of the row."""
    if row.gateway is None or row.problems:
        return
    if row.gateway.recipe.is_shipping:
        found = _wait_for_events(bench, row, until_s=time.monotonic() + 60)
    elif row.gateway.recipe.keeps_events:
        bench.rest(row.target)
        found = pending_events(row.gateway)
    else:
        return
    if found != row.calls * EVENTS_PER_CALL:
        row.problems.append(f"{found} events of {row.calls} calls, {EVENTS_PER_CALL} each")


def pending_events(gateway: Gateway) -> int:
    """In the outbox of a Promptlane, as its own command counts them."""
    command: list[str | Path] = [PROMPTLANE, "outbox", "stats", "--json", "--data", gateway.folder / "data"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    if told.returncode:
        raise RigDown(f"promptlane outbox stats: {told.stderr}")
    return sum(int(one["pending"]) for one in json.loads(told.stdout))


def _each(total_s: float, count: int) -> float:
    return total_s / count * 1e6 if count else nan


def _ms(times: Times | None, name: str) -> float:
    return times[name] * _MS if times else nan


MEASURES: Mapping[str, Callable[[Bench, Row], Figures]] = {
    "plain": _plain,
    "streams": _streams,
    **{f"at{rate}": _calm(rate) for rate in CALM_RATES},
    "paced": _paced,
    "held": _held(0),
    "held_many": _held(1),
    "fresh": _fresh,
    "sustained": _sustained,
}
