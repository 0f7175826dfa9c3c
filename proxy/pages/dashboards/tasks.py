"""What tasks came to, and what they cost: an outcome carries the cost of its trace's calls up to then."""

from collections.abc import Sequence

from proxy.pages import wording
from proxy.pages.breakdowns import Analysis, ratio
from proxy.pages.comparison import Comparison, compared
from proxy.pages.dashboards.board import About, Measure, bars, counted
from proxy.pages.filters import DIMENSIONS, Filters
from proxy.pages.tiles import Tile

COST_PER_COMPLETED = Measure(
    "cost per completed task",
    lambda row: ratio(row["cost_usd"], row["completed"]),
    wording.money,
    {"outcome": "completed"},
    is_worse_up=True,
)
TASKS_EMPTY = "No tasks were reported in this period. An app says how a task ended by POST /analytics/v1/tasks."
_COST = Measure("cost of all", lambda row: row["cost_usd"], wording.money, None)
COMPLETED = counted("completed", outcome="completed")
TASKS = counted("tasks")
_MEASURES = {
    "tasks": "coalesce(sum(tasks), 0)",
    "completed": "coalesce(sum(completed), 0)",
    "cost_usd": "sum(cost_usd)",
}


def compare_tasks(analysis: Analysis, filters: Filters, by: Sequence[str | None]) -> Comparison:
    """`tasks`, `completed`, and `cost_usd`: that of the traces with a task, completed or not. Of this period and of the
    one before, by dimensions; None is all of them.
    """
    where, parameters = filters.with_before.where_outcomes()
    columns = "".join(f" any_value({DIMENSIONS[name]}) AS {DIMENSIONS[name]}," for name in by if name is not None)
    return compared(
        analysis,
        f'(SELECT "at" < $since AS is_early,{columns} count(*) AS tasks, max(estimated_cost_usd) AS cost_usd,'  # noqa: S608
        " count(*) FILTER (WHERE task_completed) AS completed FROM outcomes"
        f" WHERE name = 'llm_task_completed' AND {where} GROUP BY is_early, hash(coalesce(trace_id, uuid)))",
        parameters | {"since": filters.begin},
        by=by,
        columns=DIMENSIONS,
        measures=_MEASURES,
        is_before="is_early",
    )


def cost_by(by: str, what: str, filters: Filters, found: Comparison) -> Tile:
    """What a completed task costs: that of all traces with a task, over the tasks that were completed."""
    about = About(
        key="cost-per-task",
        title=f"Cost per completed task, by {what}",
        note="What failed tasks cost counts, too.",
        empty=TASKS_EMPTY,
    )
    return bars(filters, by, found.greatest(by, TASKS.value), about, COST_PER_COMPLETED, COMPLETED, TASKS, _COST)
