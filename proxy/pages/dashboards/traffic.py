"""Traffic and reliability: how many calls by model, provider and prompt, and how many fail, of what and where."""

from collections.abc import Sequence
from functools import partial

from proxy.pages import breakdowns, wording
from proxy.pages.breakdowns import Analysis, ratio, totals
from proxy.pages.dashboards.board import (
    TRACES,
    About,
    Board,
    Measure,
    bars,
    counted,
    figure,
    over_time,
    with_before,
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
_COUNTS = ("calls", "failed")
_NONE_FAILED = "No call failed in this period."


def _figures(analysis: Analysis, filters: Filters) -> Sequence[Figure]:
    measures = ("calls", "failed", "cancelled", "traces", "extra_attempts")
    now, before = totals(analysis, filters, measures), totals(analysis, filters.before, measures)
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
    found = breakdowns.over_time(analysis, filters, ("calls",), by="model")
    return over_time(filters, found, "model", About(key="volume", title="Calls over time, by model"), CALLS)


def _failures(analysis: Analysis, filters: Filters) -> Tile:
    failed = filters.choosing(failed="yes")
    found = breakdowns.over_time(analysis, failed, ("calls",), by="error")
    about = About(key="failures", title="Failed calls over time, by type", empty=_NONE_FAILED)
    return over_time(failed, found, "error", about, counted("calls", "failed"))


def _by_volume(by: str, analysis: Analysis, filters: Filters) -> Tile:
    pairs = with_before(analysis, filters, by, _COUNTS)
    return bars(filters, by, pairs, About(key=by, title=f"Calls by {by}"), CALLS, FAILED, ERROR_RATE)


def _by_error_rate(by: str, analysis: Analysis, filters: Filters) -> Tile:
    pairs = with_before(analysis, filters, by, _COUNTS, order="failed / calls")
    about = About(key=f"errors-{by}", title=f"Error rate by {by}", colour="bad")
    return bars(filters, by, pairs, about, ERROR_RATE, FAILED, CALLS)


def _error_types(analysis: Analysis, filters: Filters) -> Tile:
    failed = filters.choosing(failed="yes")
    pairs = with_before(analysis, failed, "error", _COUNTS)
    about = About(key="error-types", title="Failed calls by type", empty=_NONE_FAILED, colour="bad")
    return bars(failed, "error", pairs, about, counted("calls", "failed"))


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
