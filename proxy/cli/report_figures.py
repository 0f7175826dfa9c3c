"""The figures of two periods, from the tables of the kept records."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from proxy.adapters.analysis import Analysis
from proxy.domain.comparison import Compared, Figures
from proxy.domain.event_properties import FAILED
from proxy.domain.outcome_properties import PROMPT_DRIFTED, TASK_COMPLETED

UNNAMED = "(no prompt version)"
_CALLS = """
    SELECT {part} AS part, ended_at >= $middle AS is_now, count(*) AS calls,
        count(*) FILTER (event = $failed) AS failed, sum(estimated_cost_usd) AS cost_usd,
        count(*) FILTER (cost_status = 'unpriced') AS unpriced,
        quantile_cont(latency_ms, 0.5) FILTER (event <> $failed) AS p50_ms,
        quantile_cont(latency_ms, 0.95) FILTER (event <> $failed) AS p95_ms, avg(input_tokens) AS input_tokens
    FROM calls WHERE ended_at >= $begin AND ended_at < $end GROUP BY ALL
"""
_OUTCOMES = """
    SELECT {part} AS part, "at" >= $middle AS is_now, count(*) FILTER (name = $task) AS tasks,
        count(*) FILTER (name = $task AND task_completed) AS completed_tasks,
        count(*) FILTER (name = $drifted) AS drifts
    FROM outcomes WHERE "at" >= $begin AND "at" < $end AND name IN ($task, $drifted) GROUP BY ALL
"""
_DAYS = """
    SELECT date_trunc($step, ended_at) AS day, {part} AS part, count(*) AS calls, sum(estimated_cost_usd) AS cost_usd,
        count(*) FILTER (event = $failed) AS failed
    FROM calls WHERE ended_at >= $begin AND ended_at < $end GROUP BY ALL ORDER BY day
"""
_NAMES: Mapping[str, Mapping[str, object]] = {
    _CALLS: {"failed": FAILED},
    _OUTCOMES: {"task": TASK_COMPLETED, "drifted": PROMPT_DRIFTED},
}
"""The events that each statement speaks of."""
_WHOLE = "''"
_VERSION = (
    f"CASE WHEN prompt_name IS NULL AND prompt_version_id IS NULL THEN '{UNNAMED}'"
    " ELSE concat_ws(' ', prompt_name, prompt_version_id) END"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Periods:
    """Two of one length: [begin, middle) and [middle, end)."""

    end: datetime
    length: timedelta

    @property
    def middle(self) -> datetime:
        """Where the one before ends."""
        return self.end - self.length

    @property
    def begin(self) -> datetime:
        """Where the one before begins."""
        return self.end - 2 * self.length

    @property
    def bounds(self) -> dict[str, object]:
        """As parameters of a query."""
        return {"begin": self.begin, "middle": self.middle, "end": self.end}


def compare(analysis: Analysis, periods: Periods) -> tuple[Compared, list[Compared]]:
    """The whole, and each prompt version, the one with most calls first."""
    (whole,) = _compared(analysis, periods, _WHOLE) or [Compared()]
    parts = _compared(analysis, periods, _VERSION)
    return whole, sorted(parts, key=lambda part: (-part.now.calls, part.name))


def by_day(analysis: Analysis, periods: Periods) -> list[dict[str, Any]]:
    """Rows of day (or hour, within two days), part, calls, cost and failed calls, over both periods."""
    step = "hour" if periods.length <= timedelta(days=2) else "day"
    bounds = {"begin": periods.begin, "end": periods.end, "step": step, "failed": FAILED}
    return analysis.query(_DAYS.format(part=_VERSION), bounds)


def _compared(analysis: Analysis, periods: Periods, part: str) -> list[Compared]:
    sides: dict[str, dict[bool, dict[str, Any]]] = {}
    for statement, names in _NAMES.items():
        for row in analysis.query(statement.format(part=part), {**periods.bounds, **names}):
            sides.setdefault(row.pop("part"), {}).setdefault(row.pop("is_now"), {}).update(row)
    return [
        Compared(name=name, now=_figures(side.get(True)), before=_figures(side.get(False)))
        for name, side in sides.items()
    ]


def _figures(row: Mapping[str, Any] | None) -> Figures:
    return Figures(**row) if row else Figures()


def totals(rows: Iterable[Mapping[str, Any]], name: str) -> dict[Any, float]:
    """Sums by day of a column that may be unknown."""
    found: dict[Any, float] = {}
    for row in rows:
        found[row["day"]] = found.get(row["day"], 0.0) + float(row[name] or 0.0)
    return found
