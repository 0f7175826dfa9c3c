"""What a call costs as the things around it grow: bodies, replies, connections, streams, the backlog.

Each series is a walk along one axis on a fresh gateway, with the rest held still. Beside the bodies and replies
a health call is made a hundred times a second: how long it waits tells how long the gateway's loop stands still.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import isnan, nan
from pathlib import Path
from statistics import median

from tools.bench import machine
from tools.bench.measures import Bench, Figures, Row, Size, pending_events
from tools.bench.payload import Script, plain, stream, upload
from tools.bench.plots import Plot, draw
from tools.bench.recipes import BARE, NGINX, ON, RECIPES, Recipe
from tools.bench.rig import Load, Window, at_rate, closed, held
from tools.bench.site import Site, site

KIB, MIB = 1024, 1024 * 1024
GAP_US = 400_000
MOST_STARTS_PER_S = 800
HEALTH_PER_S = 100
LEAST_COUNT_FOR_KIB = 100
ROWS = (NGINX, BARE, ON)
DRAWING = Path("docs/growth.svg")


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """How far each axis is walked; sizes in bytes."""

    json_bodies: Sequence[int] = (KIB, 64 * KIB, MIB)
    uploads: Sequence[int] = (KIB, 64 * KIB, MIB, 20 * MIB)
    replies: Sequence[int] = (KIB, 64 * KIB, MIB)
    connections: Sequence[int] = (1, 100, 1000, 10_000)
    streams: Sequence[int] = (1, 100, 1000, 5000)
    backlog: Sequence[int] = (0, 1000, 10_000, 100_000)
    size: Size = field(default_factory=Size)

    def scripts(self) -> list[Script]:
        """All that the walks ask for."""
        events = 8 + int((max(self.streams) / MOST_STARTS_PER_S + 0.2 + 2 * self.size.seconds) * 1e6 / GAP_US)
        return [
            plain("plain"),
            stream("slow", events=events, gap_us=GAP_US),
            *(plain(f"body{size}", request_bytes=size) for size in self.json_bodies),
            *(upload(f"upload{size}", file_bytes=size) for size in self.uploads),
            *(plain(f"reply{size}", reply_bytes=size) for size in self.replies),
        ]


QUICK = Axes(json_bodies=(KIB,), uploads=(MIB,), replies=(KIB,), connections=(1, 20), streams=(1, 20),
             backlog=(0, 100), size=Size(seconds=0.2, rounds=1))  # fmt: skip
Points = Iterator[tuple[int, Figures]]
Walk = Callable[[Bench, Row, Axes], Points]


def _sized(kind: str, sizes: Callable[[Axes], Sequence[int]]) -> Walk:
    """Bodies or replies: one call at a time, with health calls beside it."""

    def walk(bench: Bench, row: Row, axes: Axes) -> Points:
        for size in sizes(axes):
            yield size, _median(bench, partial(_with_health, bench, row, bench.script(f"{kind}{size}")))

    return walk


def _with_health(bench: Bench, row: Row, script: Script) -> Figures:
    pid = row.target.pid
    machine.forget_peak(pid)
    before_kib = machine.rss_kib(pid)
    with bench.site.rig.beside(at_rate(None, HEALTH_PER_S, bench.size.seconds), row.target) as beside:
        window = bench.window(row, closed(script, 1, bench.size.seconds))
        peak_kib = machine.peak_rss_kib(pid)
    waits = beside[0].latency_us
    return _per_call(window) | {
        "longest wait of a health call, ms": waits["max"] / 1e3 if waits else nan,
        "peak memory, MB": (peak_kib - before_kib) * KIB / 1e6,
    }


def _connections(bench: Bench, row: Row, axes: Axes) -> Points:
    for count in axes.connections:
        before_kib = machine.rss_kib(row.target.pid)
        ramp_s = count / (2 * MOST_STARTS_PER_S)
        load = Load(script=None, rate=2 * MOST_STARTS_PER_S, count=count, seconds=ramp_s + 0.5)
        with bench.site.rig.lingering(load, row.target):
            each_kib = (machine.rss_kib(row.target.pid) - before_kib) / count
            figures = _median(bench, partial(_plain, bench, row))
        yield count, figures | {"KiB each": each_kib if count >= LEAST_COUNT_FOR_KIB else nan}


def _streams(bench: Bench, row: Row, axes: Axes) -> Points:
    load_s = 2 * bench.size.seconds
    for count in axes.streams:
        ramp_s = count / MOST_STARTS_PER_S
        window = bench.window(row, held(bench.script("slow"), count, ramp_s=ramp_s, seconds=load_s))
        p99_ms = window.transit_us["p99"] / 1e3 if window.transit_us else nan
        cpu_us = window.cpu_s / window.events * 1e6 if window.events else nan
        yield count, {"CPU µs per chunk": cpu_us, "chunk p99 ms": p99_ms}
        bench.rest(row.target)


def _backlog(bench: Bench, row: Row, axes: Axes) -> Points:
    if row.gateway is None or not row.gateway.recipe.keeps_events:
        return
    for least in axes.backlog:
        while pending_events(row.gateway) < least and not row.problems:
            bench.window(row, closed(bench.script("plain"), bench.size.connections, bench.size.seconds))
        bench.rest(row.target)
        yield least, _median(bench, partial(_plain, bench, row))


def _plain(bench: Bench, row: Row) -> Figures:
    return _per_call(bench.window(row, closed(bench.script("plain"), 4, bench.size.seconds)))


def _per_call(window: Window) -> Figures:
    return {"CPU µs per call": window.cpu_s / window.replies * 1e6 if window.replies else nan}


def _median(bench: Bench, measure: Callable[[], Figures]) -> Figures:
    found = [measure() for _ in range(bench.size.rounds)]
    return {name: median(one[name] for one in found) for name in found[0]}


SERIES: Mapping[str, Walk] = {
    "bytes of a JSON request": _sized("body", lambda axes: axes.json_bodies),
    "bytes of an upload": _sized("upload", lambda axes: axes.uploads),
    "bytes of a reply": _sized("reply", lambda axes: axes.replies),
    "idle connections": _connections,
    "open streams": _streams,
    "events in the outbox": _backlog,
}


def growth(path: Path, *, is_quick: bool) -> int:
    """Walk, print, write the numbers to `path`, draw them. Exit code 1 when a call failed."""
    axes = QUICK if is_quick else Axes()
    found: list[Plot] = []
    problems: list[str] = []
    with site(axes.scripts()) as place:
        for title, walk in SERIES.items():
            print(title, flush=True)
            plot = Plot(title, {})
            for recipe in RECIPES:
                if recipe.name in ROWS and not recipe.missing():
                    plot.points[recipe.name] = _walk(place, axes, recipe, walk, problems)
            found.append(plot)
    print("\n".join(f"FAILED: {problem}" for problem in problems))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([{"axis": plot.title, "rows": plot.points} for plot in found], indent=1) + "\n")
    drawing = path.with_suffix(".svg") if is_quick or problems else DRAWING
    drawing.write_text(draw(found))
    print(f"Numbers written to {path}, plots to {drawing}")
    return 1 if problems else 0


def _walk(
    place: Site, axes: Axes, recipe: Recipe, walk: Walk, problems: list[str]
) -> list[tuple[int, dict[str, float]]]:
    """The points of one gateway, printed as they come."""
    points = []
    with place.running(recipe) as gateway:
        bench, row = Bench(place, axes.size), Row(recipe.name, gateway.target, gateway)
        _plain(bench, row)
        for at, figures in walk(bench, row, axes):
            known = {name: round(value, 3) for name, value in figures.items() if not isnan(value)}
            points.append((at, known))
            said = ", ".join(f"{name} {value:,.2f}" for name, value in known.items())
            print(f"  {at:>10,}  {recipe.name:14}  {said}", flush=True)
    problems += [f"{recipe.name}: {problem}" for problem in row.problems]
    return points
