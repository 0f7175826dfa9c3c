"""Traffic and reliability: how many calls by model, provider and prompt, and how many fail, of what and where."""

from collections.abc import Sequence
from functools import partial

from proxy.pages import breakdowns, wording
from proxy.pages.breakdowns import Analysis, compare, ratio
from proxy.pages.comparison import Comparison, some
from proxy.pages.dashboards.board import (
    MOST_SERIES,
    TRACES,
    About,
    Board,
    Measure,
    bars,
    counted,
    figure,
    over_time,
)
from proxy.pages.filters import Filters
from proxy.pages.tiles import Figure, Tile

CALLS = counted("calls")
FAILED = counted("failed", failed="yes")
ERROR_RATE = Measure(
    "error rate",
    lambda row: ratio(row["failed"], row["calls"]),
    wording.share,
    {"failed": "yes"},
    is_share=True,
    is_worse_up=True,
)
_NONE_FAILED = "No call failed in this period."


def _compared(analysis: Analysis, filters: Filters) -> Comparison:
    return compare(analysis, filters, ("model", "provider", "prompt", "error", "environment"), ("calls", "failed"))


def _figures(analysis: Analysis, filters: Filters) -> Sequence[Figure]:
    measures = ("calls", "failed", "cancelled", "traces", "extra_attempts")
    now, before = compare(analysis, filters, (None,), measures).whole
    minutes = (filters.end - filters.begin).total_seconds() / 60
    each = ratio(now["calls"], now["traces"])
    return (
        figure(
            CALLS, now, before, label="Calls", note=f"{now['calls'] / minutes:,.2f} a minute", href=filters.to(TRACES)
        ),
        figure(
            ERROR_RATE,
            now,
            before,
            label="Error rate",
            note=f"{wording.count(now['failed'])} failed",
            href=filters.to(TRACES, failed="yes"),
        ),
        figure(
            counted("cancelled"),
            now,
            before,
            label="Left by the client",
            note=f"{wording.share(ratio(now['cancelled'], now['calls']))} of calls",
            href=filters.to(TRACES, status="cancelled"),
        ),
        figure(
            counted("traces"),
            now,
            before,
            label="Traces",
            note=f"{each:.1f} calls each" if each else "",
            href=filters.to(TRACES),
        ),
        figure(
            counted("extra_attempts"),
            now,
            before,
            label="Retries and fallbacks",
            note="attempts beyond the first",
            href=filters.to(TRACES, retried="yes"),
        ),
    )


def _volume(analysis: Analysis, filters: Filters) -> Tile:
    models = _compared(analysis, filters).greatest("model", CALLS.value, MOST_SERIES)
    found = breakdowns.over_time(analysis, filters, ("calls",), by="model", shown=models)
    return over_time(filters, found, "model", About(key="volume", title="Calls over time, by model"), CALLS)


def _failures(analysis: Analysis, filters: Filters) -> Tile:
    failed = filters.choosing(failed="yes")
    types = _compared(analysis, filters).greatest("error", some("failed"), MOST_SERIES)
    found = breakdowns.over_time(analysis, failed, ("calls",), by="error", shown=types)
    about = About(key="failures", title="Failed calls over time, by type", empty=_NONE_FAILED)
    return over_time(failed, found, "error", about, counted("calls", "failed"))


def _by_volume(by: str, analysis: Analysis, filters: Filters) -> Tile:
    pairs = _compared(analysis, filters).greatest(by, CALLS.value)
    return bars(filters, by, pairs, About(key=by, title=f"Calls by {by}"), CALLS, FAILED, ERROR_RATE)


def _by_error_rate(by: str, analysis: Analysis, filters: Filters) -> Tile:
    pairs = _compared(analysis, filters).greatest(by, ERROR_RATE.value)
    about = About(key=f"errors-{by}", title=f"Error rate by {by}", colour="bad")
    return bars(filters, by, pairs, about, ERROR_RATE, FAILED, CALLS)


def _error_types(analysis: Analysis, filters: Filters) -> Tile:
    failed = filters.choosing(failed="yes")
    pairs = _compared(analysis, filters).greatest("error", some("failed"))
    about = About(key="error-types", title="Failed calls by type", empty=_NONE_FAILED, colour="bad")
    return bars(failed, "error", pairs, about, counted("failed"))


TRAFFIC = Board(
    key="traffic",
    title="Traffic and reliability",
    question="How much is asked of which model, and what fails?",
    figures=_figures,
    tiles={
        "volume": _volume,
        "failures": _failures,
        "model": partial(_by_volume, "model"),
        "provider": partial(_by_volume, "provider"),
        "prompt": partial(_by_volume, "prompt"),
        "error-types": _error_types,
        "errors-provider": partial(_by_error_rate, "provider"),
        "errors-environment": partial(_by_error_rate, "environment"),
    },
)
