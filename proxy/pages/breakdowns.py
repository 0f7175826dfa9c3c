"""The numbers of calls: as a whole, by a property, over time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from proxy.pages.comparison import Analysis as Analysis
from proxy.pages.comparison import Comparison, Pairs, compared
from proxy.pages.comparison import Row as Row
from proxy.pages.filters import DIMENSIONS, NONE, Filters
from proxy.pages.specs import OTHER

MEASURES = {
    "calls": "count(*)",
    "failed": "count(*) FILTER (WHERE status NOT IN ('success', 'cancelled'))",
    "cancelled": "count(*) FILTER (WHERE status = 'cancelled')",
    "latency_ms": "quantile_cont(latency_ms, [0.5, 0.95, 0.99]) FILTER (WHERE status = 'success')",
    "ttft_p95_ms": "quantile_cont(ttft_ms, 0.95) FILTER (WHERE status = 'success')",
    "overhead_ms": "avg(proxy_overhead_ms)",
    "cost_usd": "sum(estimated_cost_usd)",
    "priced": "count(estimated_cost_usd)",
    "traces": "count(DISTINCT trace_id)",
    "repeats": "coalesce(sum(retry_count), 0)",
    "extra_attempts": "coalesce(sum(greatest(coalesce(attempt_count, 1) - 1, 0)), 0)",
}
"""Name, and how it is counted over `calls`. Percentiles are of calls that went well, so that quick refusals do not
make a model look fast."""


@dataclass(frozen=True, slots=True)
class Series:
    """Rows over time: `begin`, `end`, `series` and the measures. `names` begins with the largest."""

    names: Sequence[str]
    rows: Sequence[Row]


def compare(analysis: Analysis, filters: Filters, by: Sequence[str | None], measures: Sequence[str]) -> Comparison:
    """The measures of the calls of this period and of the one before, by dimensions; None is all of them."""
    where, parameters = filters.with_before.where_calls()
    return compared(
        analysis,
        f"calls WHERE {where}",
        parameters | {"since": filters.begin},
        by=by,
        columns=DIMENSIONS,
        measures={name: MEASURES[name] for name in measures},
        is_before="ended_at < $since",
    )


def groups(
    analysis: Analysis, filters: Filters, by: str, measures: Sequence[str], *, order: str = "calls", limit: int = 12
) -> list[Row]:
    """One row for each value of a dimension, the greatest first: `name` and the measures."""
    where, parameters = filters.where_calls()
    return analysis.query(
        f"SELECT * FROM (SELECT coalesce({DIMENSIONS[by]}, '{NONE}') AS name, {_selected(measures)} FROM calls"  # noqa: S608
        f" WHERE {where} GROUP BY ALL) ORDER BY {order} DESC NULLS LAST, name LIMIT {limit}",
        parameters,
    )


def over_time(
    analysis: Analysis,
    filters: Filters,
    measures: Sequence[str],
    *,
    by: str | None = None,
    shown: Pairs = (),
    step: timedelta | None = None,
) -> Series:
    """The measures for each step of time, and for each of those groups of a dimension that are shown."""
    where, parameters = filters.where_calls()
    step = step or timedelta(seconds=filters.step_s)
    parameters["step"] = int(step.total_seconds() * 1_000_000)
    series = "'all'"
    if by is not None:
        value = f"coalesce({DIMENSIONS[by]}, '{NONE}')"
        series = f"CASE WHEN list_contains($shown, {value}) THEN {value} ELSE '{OTHER}' END"
        parameters["shown"] = [row["name"] for row, _ in shown]
    found = analysis.query(
        f"SELECT epoch_us(ended_at) // $step AS place, {series} AS series, {_selected(measures)}"  # noqa: S608
        f" FROM calls WHERE {where} GROUP BY place, series ORDER BY place, series",
        parameters,
    )
    rows = [row | span(row["place"], step) for row in found]
    weights: dict[str, int] = {}
    for row in rows:
        weights[row["series"]] = weights.get(row["series"], 0) + row.get("calls", 1)
    names = sorted(weights, key=lambda name: (name == OTHER, -weights[name], name))
    return Series(names, rows)


def span(place: int, step: timedelta) -> Row:
    """`begin` and `end` of one step, counted from 1970."""
    begin = datetime.fromtimestamp(place * step.total_seconds(), UTC)
    return {"begin": begin, "end": begin + step}


def first_call_at(analysis: Analysis) -> datetime | None:
    """When the oldest call that is kept ended."""
    at: datetime | None = analysis.query("SELECT min(ended_at) AS at FROM calls", {})[0]["at"]
    return at


def values_of(
    analysis: Analysis, filters: Filters, dimensions: Sequence[str], limit: int = 200
) -> dict[str, list[str]]:
    """What may be chosen: the values that dimensions have in the period, whatever else is chosen."""
    where, parameters = filters.all.where_calls()
    columns = ", ".join(
        f"list_sort(array_agg(DISTINCT {DIMENSIONS[name]}) FILTER (WHERE {DIMENSIONS[name]} IS NOT NULL))[:{limit}]"
        f" AS {name}"
        for name in dimensions
    )
    row = analysis.query(f"SELECT {columns} FROM calls WHERE {where}", parameters)[0]  # noqa: S608
    return {name: row[name] or [] for name in dimensions}


def _selected(measures: Sequence[str]) -> str:
    return ", ".join(f"{MEASURES[name]} AS {name}" for name in measures)


def ratio(part: float | None, whole: float | None) -> float | None:
    """None where there is nothing to divide by."""
    return part / whole if part is not None and whole else None
