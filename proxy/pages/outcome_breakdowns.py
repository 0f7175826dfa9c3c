"""The numbers of what came of calls: as a whole, by a property, over time."""

from collections.abc import Sequence
from datetime import timedelta
from math import sqrt

from proxy.pages.breakdowns import Analysis, Row, Series, span
from proxy.pages.comparison import Comparison, compared
from proxy.pages.filters import DIMENSIONS, NONE, OUTCOMES, Filters

MEASURES = {
    "outcomes": "count(*)",
    "tasks": "count(*) FILTER (WHERE name = 'llm_task_completed')",
    "completed": f"count(*) FILTER (WHERE {OUTCOMES['completed']})",
    "rated": "count(user_feedback)",
    "negative": f"count(*) FILTER (WHERE {OUTCOMES['negative']})",
    "escalation_told": "count(escalated_to_human)",
    "escalated": f"count(*) FILTER (WHERE {OUTCOMES['escalated']})",
    "scored": "count(eval_score)",
    "score": "avg(eval_score)",
    "judged": "count(eval_passed)",
    "passed": "count(*) FILTER (WHERE eval_passed)",
    "steps": f"count(*) FILTER (WHERE {OUTCOMES['step']})",
    "failed_steps": f"count(*) FILTER (WHERE {OUTCOMES['step_failed']})",
    "step_ms": f"quantile_cont(duration_ms, [0.5, 0.95, 0.99]) FILTER (WHERE {OUTCOMES['step']})",
}
"""Name, and how it is counted over `outcomes`."""
COLUMNS = {**DIMENSIONS, "tool": "tool_name", "eval": "eval_name"}
_CONFIDENCE_Z = 1.959964
"""95 %."""


def compare(analysis: Analysis, filters: Filters, by: Sequence[str | None], measures: Sequence[str]) -> Comparison:
    """The measures of the outcomes of this period and of the one before, by columns; None is all of them."""
    where, parameters = filters.with_before.where_outcomes()
    return compared(
        analysis,
        f"outcomes WHERE {where}",
        parameters | {"since": filters.begin},
        by=by,
        columns=COLUMNS,
        measures={name: MEASURES[name] for name in measures},
        is_before='"at" < $since',
    )


def groups(
    analysis: Analysis, filters: Filters, by: str, measures: Sequence[str], *, having: str, limit: int = 12
) -> list[Row]:
    """One row for each value of a column that has some of the measure `having`, those with most of it first."""
    where, parameters = filters.where_outcomes()
    rows = analysis.query(
        f"SELECT * FROM (SELECT coalesce({COLUMNS[by]}, '{NONE}') AS group_name, {_selected({*measures, having})}"  # noqa: S608
        f" FROM outcomes WHERE {where} GROUP BY ALL) AS g WHERE g.{having} > 0"
        f" ORDER BY g.{having} DESC, group_name LIMIT {limit}",
        parameters,
    )
    return [row | {"name": row.pop("group_name")} for row in rows]


def over_time(analysis: Analysis, filters: Filters, measures: Sequence[str]) -> Series:
    """The measures for each step of time."""
    where, parameters = filters.where_outcomes()
    step = timedelta(seconds=filters.step_s)
    rows = analysis.query(
        f'SELECT epoch_us("at") // $step AS place, {_selected(measures)} FROM outcomes WHERE {where}'  # noqa: S608
        " GROUP BY place ORDER BY place",
        parameters | {"step": filters.step_s * 1_000_000},
    )
    return Series((), [row | span(row["place"], step) for row in rows])


def interval(part: int, whole: int) -> tuple[float, float]:
    """Where a share may truly lie, with 95 % confidence, by Wilson's formula; (0, 1) where nothing was counted."""
    if not whole:
        return 0.0, 1.0
    z2 = _CONFIDENCE_Z**2
    share = part / whole
    middle = (share + z2 / (2 * whole)) / (1 + z2 / whole)
    half = _CONFIDENCE_Z * sqrt(share * (1 - share) / whole + z2 / (4 * whole**2)) / (1 + z2 / whole)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def _selected(measures: Sequence[str] | set[str]) -> str:
    return ", ".join(f"{MEASURES[name]} AS {name}" for name in sorted(measures))
