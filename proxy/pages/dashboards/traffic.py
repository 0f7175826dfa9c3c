"""Traffic and reliability: how many calls by model, provider and prompt, and how many fail, of what and where."""

from collections.abc import Sequence

from proxy.pages import wording
from proxy.pages.breakdowns import Analysis, Row, over_time, ratio, totals
from proxy.pages.dashboards.board import TRACES, Board, Measure, table_by, with_before
from proxy.pages.filters import Filters
from proxy.pages.specs import OTHER, Bar, Moment, ranked, stacked
from proxy.pages.tiles import Cell, Column, Figure, Table, Tile

_COUNTS = ("calls", "failed")


def _calls(row: Row) -> float:
    return float(row["calls"])


def _error_rate(row: Row) -> float | None:
    return ratio(row["failed"], row["calls"])


CALLS = Measure("calls", _calls, wording.count, {})
FAILED = Measure("failed", lambda row: row["failed"], wording.count, {"failed": "yes"})
ERROR_RATE = Measure("error rate", _error_rate, wording.share)


def _figures(analysis: Analysis, filters: Filters) -> Sequence[Figure]:
    measures = ("calls", "failed", "cancelled", "traces", "extra_attempts")
    now, before = totals(analysis, filters, measures), totals(analysis, filters.before, measures)
    rate, rate_before = _error_rate(now), _error_rate(before)
    minutes = (filters.end - filters.begin).total_seconds() / 60
    return (
        Figure(
            label="Calls",
            value=wording.count(now["calls"]),
            change=wording.change(now["calls"], before["calls"]),
            note=f"{now['calls'] / minutes:,.2f} a minute",
            href=filters.to(TRACES),
        ),
        Figure(
            label="Error rate",
            value=wording.share(rate),
            change=wording.points(rate, rate_before),
            is_worse=None if rate is None or rate_before is None else rate > rate_before,
            note=f"{wording.count(now['failed'])} failed",
            href=filters.to(TRACES, failed="yes"),
        ),
        Figure(
            label="Left by the client",
            value=wording.count(now["cancelled"]),
            change=wording.change(now["cancelled"], before["cancelled"]),
            note=f"{wording.share(ratio(now['cancelled'], now['calls']))} of calls",
            href=filters.to(TRACES, status="cancelled"),
        ),
        Figure(
            label="Traces",
            value=wording.count(now["traces"]),
            change=wording.change(now["traces"], before["traces"]),
            note=f"{_per(now['calls'], now['traces'])} calls each",
            href=filters.to(TRACES),
        ),
        Figure(
            label="Retries and fallbacks",
            value=wording.count(now["extra_attempts"]),
            change=wording.change(now["extra_attempts"], before["extra_attempts"]),
            note="attempts beyond the first",
        ),
    )


def _per(part: float, whole: float) -> str:
    return f"{part / whole:.1f}" if whole else wording.UNKNOWN


def _volume(analysis: Analysis, filters: Filters) -> Tile:
    found = over_time(analysis, filters, ("calls",), by="model")
    moments = [
        Moment(
            begin=row["begin"],
            end=row["end"],
            series=row["series"],
            value=row["calls"],
            label=f"{row['series']}: {row['calls']:,} calls, {row['begin']:%d %b %H:%M} UTC",
            href=filters.within(row["begin"], row["end"]).to(
                TRACES, **({} if row["series"] == OTHER else {"model": row["series"]})
            ),
        )
        for row in found.rows
    ]
    return Tile(
        key="volume",
        title="Calls over time, by model",
        spec=stacked(moments, found.names, period=(filters.begin, filters.end), what="calls") if moments else None,
        table=_table_of(moments, "calls"),
        is_wide=True,
    )


def _failures(analysis: Analysis, filters: Filters) -> Tile:
    failed = filters.choosing(failed="yes")
    found = over_time(analysis, failed, ("calls",), by="error")
    moments = [
        Moment(
            begin=row["begin"],
            end=row["end"],
            series=row["series"],
            value=row["calls"],
            label=f"{row['series']}: {row['calls']:,} failed, {row['begin']:%d %b %H:%M} UTC",
            href=failed.within(row["begin"], row["end"]).to(
                TRACES, **({} if row["series"] == OTHER else {"error": row["series"]})
            ),
        )
        for row in found.rows
    ]
    return Tile(
        key="failures",
        title="Failed calls over time, by type",
        spec=stacked(moments, found.names, period=(filters.begin, filters.end), what="failed calls")
        if moments
        else None,
        table=_table_of(moments, "failed calls"),
        empty="No call failed in this period.",
        is_wide=True,
    )


def _table_of(moments: Sequence[Moment], what: str) -> Table:
    return Table(
        columns=(Column("from, UTC"), Column("series"), Column(what, is_number=True)),
        rows=[
            (
                Cell(wording.moment(moment.begin), moment.begin.isoformat()),
                Cell(moment.series, moment.series),
                Cell(wording.count(moment.value), moment.value, moment.href),
            )
            for moment in moments
        ],
    )


def _by_volume(analysis: Analysis, filters: Filters, by: str, title: str) -> Tile:
    pairs = with_before(analysis, filters, by, _COUNTS)
    bars = [
        Bar(
            name=row["name"],
            value=row["calls"],
            shown=wording.count(row["calls"]),
            label=f"{row['name']}: {row['calls']:,} calls",
            href=filters.to(TRACES, **{by: row["name"]}),
        )
        for row, _ in pairs
    ]
    return Tile(
        key=by,
        title=title,
        spec=ranked(bars, what=title) if bars else None,
        table=table_by(filters, by, by, pairs, CALLS, FAILED, ERROR_RATE),
    )


def _by_error_rate(analysis: Analysis, filters: Filters, by: str, title: str) -> Tile:
    pairs = with_before(analysis, filters, by, _COUNTS, order="failed / calls")
    measured = [(row, rate) for row, _ in pairs if (rate := _error_rate(row)) is not None]
    bars = [
        Bar(
            name=row["name"],
            value=rate,
            shown=wording.share(rate),
            label=f"{row['name']}: {row['failed']:,} of {row['calls']:,} calls failed",
            href=filters.to(TRACES, **{by: row["name"], "failed": "yes"}),
        )
        for row, rate in measured
    ]
    return Tile(
        key=f"errors-{by}",
        title=title,
        spec=ranked(bars, what=title, colour="bad") if bars else None,
        table=table_by(filters, by, by, pairs, ERROR_RATE, FAILED, CALLS),
    )


def _error_types(analysis: Analysis, filters: Filters) -> Tile:
    failed = filters.choosing(failed="yes")
    pairs = with_before(analysis, failed, "error", _COUNTS)
    bars = [
        Bar(
            name=row["name"],
            value=row["calls"],
            shown=wording.count(row["calls"]),
            label=f"{row['name']}: {row['calls']:,} calls",
            href=failed.to(TRACES, error=row["name"]),
        )
        for row, _ in pairs
    ]
    return Tile(
        key="error-types",
        title="Failed calls by type",
        spec=ranked(bars, what="Failed calls by type", colour="bad") if bars else None,
        table=table_by(failed, "error", "type", pairs, CALLS),
        empty="No call failed in this period.",
    )


TRAFFIC = Board(
    key="traffic",
    title="Traffic and reliability",
    question="How much is asked of which model, and what fails?",
    figures=_figures,
    tiles={
        "volume": _volume,
        "failures": _failures,
        "model": lambda analysis, filters: _by_volume(analysis, filters, "model", "Calls by model"),
        "provider": lambda analysis, filters: _by_volume(analysis, filters, "provider", "Calls by provider"),
        "prompt": lambda analysis, filters: _by_volume(analysis, filters, "prompt", "Calls by prompt"),
        "error-types": _error_types,
        "errors-provider": lambda analysis, filters: _by_error_rate(
            analysis, filters, "provider", "Error rate by provider"
        ),
        "errors-environment": lambda analysis, filters: _by_error_rate(
            analysis, filters, "environment", "Error rate by environment"
        ),
    },
)
