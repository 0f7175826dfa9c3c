"""Latency and cost: how long calls take by model, version and size; what a day costs, and what a completed task."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial

from proxy.domain.event_properties import LENGTH_BUCKETS
from proxy.pages import breakdowns, wording
from proxy.pages.breakdowns import Analysis, Row, compare, ratio
from proxy.pages.comparison import Comparison
from proxy.pages.dashboards.board import (
    MOST_SERIES,
    TRACES,
    About,
    Board,
    Measure,
    bars,
    counted,
    figure,
    moments_of,
    over_time,
    spans,
    table_over_time,
)
from proxy.pages.dashboards.tasks import COST_PER_COMPLETED, compare_tasks, cost_by
from proxy.pages.filters import Filters
from proxy.pages.specs import MS, USD, Moment, lines
from proxy.pages.tiles import Figure, Tile

_PLACES = ("p50", "p95", "p99")


def _percentile(place: int) -> Callable[[Row], float | None]:
    return lambda row: row["latency_ms"][place] if row["latency_ms"] else None


LATENCY = [
    Measure(title, _percentile(place), wording.duration, {}, is_worse_up=True) for place, title in enumerate(_PLACES)
]
FIRST_TOKEN = Measure("first token, p95", lambda row: row["ttft_p95_ms"], wording.duration, None, is_worse_up=True)
CALLS = counted("calls")
COST = Measure("cost", lambda row: row["cost_usd"], wording.money, {})
PER_CALL = Measure("a call", lambda row: ratio(row["cost_usd"], row["priced"]), wording.money, None, is_worse_up=True)
_MEASURES = ("calls", "latency_ms", "ttft_p95_ms", "overhead_ms", "cost_usd", "priced")
_SCANS: Sequence[Sequence[str | None]] = ((None, "model"), ("version", "size"))
"""What is asked for at once. Percentiles hold every value once for each, and a large store leaves no room for all."""


def _compared(analysis: Analysis, filters: Filters, by: str | None) -> Comparison:
    return compare(analysis, filters, next(scan for scan in _SCANS if by in scan), _MEASURES)


def _tasks(analysis: Analysis, filters: Filters) -> Comparison:
    return compare_tasks(analysis, filters, (None, "version"))


def _figures(analysis: Analysis, filters: Filters) -> Sequence[Figure]:
    now, before = _compared(analysis, filters, None).whole
    tasks, tasks_before = _tasks(analysis, filters).whole
    p50, p95, _ = LATENCY
    slow = p95.value(now)
    unpriced = now["calls"] - now["priced"]
    return (
        figure(
            p50, now, before, label="Latency, median", note=f"of it {wording.duration(now['overhead_ms'])} in the proxy"
        ),
        figure(
            p95,
            now,
            before,
            label="Latency, p95",
            note="one call in twenty is slower",
            href=filters.to(TRACES, slower=f"{slow:.0f}") if slow else "",
        ),
        figure(FIRST_TOKEN, now, before, label="First token, p95", note="of streams"),
        figure(
            COST,
            now,
            before,
            label="Cost",
            note=f"{wording.money(PER_CALL.value(now))} a call"
            + (f"; {unpriced:,} calls without a price" if unpriced else ""),
        ),
        figure(COST_PER_COMPLETED, tasks, tasks_before, label="Cost per completed task", note=_tasks_note(tasks)),
    )


def _tasks_note(tasks: Row) -> str:
    return (
        f"{tasks['completed']:,} of {tasks['tasks']:,} tasks completed" if tasks["tasks"] else "no tasks were reported"
    )


def _latency_over_time(analysis: Analysis, filters: Filters) -> Tile:
    found = breakdowns.over_time(analysis, filters, ("calls", "latency_ms"))
    moments: list[Moment] = []
    for measure in LATENCY:
        named = [row | {"series": measure.title} for row in found.rows]
        moments += moments_of(filters, breakdowns.Series(_PLACES, named), None, measure)
    return Tile(
        key="latency",
        title="Latency over time",
        note="Of calls that went well, from the request to the last byte.",
        spec=lines(moments, _PLACES, period=(filters.begin, filters.end), what="latency", unit=MS) if moments else None,
        table=table_over_time(moments, Measure("latency", lambda _: None, wording.duration)),
        is_wide=True,
    )


def _latency_by(by: str, what: str, analysis: Analysis, filters: Filters) -> Tile:
    pairs = _compared(analysis, filters, by).greatest(by, CALLS.value)
    if by == "size":
        order = {name: place for place, (_, name) in enumerate(LENGTH_BUCKETS)}
        pairs = sorted(pairs, key=lambda pair: order.get(pair[0]["name"], len(order)))
    about = About(key=f"latency-{by}", title=f"Latency by {what}", note="p50, p95 and p99.")
    return spans(filters, by, pairs, about, LATENCY, FIRST_TOKEN, CALLS)


def _cost_over_time(analysis: Analysis, filters: Filters) -> Tile:
    is_long = filters.end - filters.begin >= timedelta(days=3)
    step = timedelta(days=1) if is_long else None
    models = _compared(analysis, filters, "model").greatest("model", CALLS.value, MOST_SERIES)
    found = breakdowns.over_time(analysis, filters, ("calls", "cost_usd"), by="model", shown=models, step=step)
    title = "Cost per day, by model" if is_long else "Cost over time, by model"
    return over_time(filters, found, "model", About(key="cost", title=title, unit=USD), COST)


def _cost_by(by: str, what: str, analysis: Analysis, filters: Filters) -> Tile:
    pairs = _compared(analysis, filters, by).greatest(by, COST.value)
    return bars(filters, by, pairs, About(key=f"cost-{by}", title=f"Cost by {what}"), COST, PER_CALL, CALLS)


def _cost_per_task(analysis: Analysis, filters: Filters) -> Tile:
    return cost_by("version", "prompt version", filters, _tasks(analysis, filters))


LATENCY_AND_COST = Board(
    key="latency",
    title="Latency and cost",
    question="How long do calls take, and what do they cost?",
    figures=_figures,
    tiles={
        "latency": _latency_over_time,
        "latency-model": partial(_latency_by, "model", "model"),
        "latency-version": partial(_latency_by, "version", "prompt version"),
        "latency-size": partial(_latency_by, "size", "size of the input"),
        "cost-per-task": _cost_per_task,
        "cost": _cost_over_time,
        "cost-model": partial(_cost_by, "model", "model"),
        "cost-version": partial(_cost_by, "version", "prompt version"),
    },
)
