"""What tasks came to: outcomes beside the cost of the calls that led to them."""

from proxy.pages import wording
from proxy.pages.breakdowns import Analysis, Row, ratio
from proxy.pages.dashboards.board import About, Measure, bars, counted, paired
from proxy.pages.filters import DIMENSIONS, NONE, Filters
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


def task_totals(analysis: Analysis, filters: Filters) -> Row:
    """`tasks`, `completed`, and `cost_usd`: that of all calls of traces with a task, completed or not."""
    return next(iter(_tasks(analysis, filters, None, 1)), {"tasks": 0, "completed": 0, "cost_usd": None})


def tasks_by(analysis: Analysis, filters: Filters, by: str, limit: int = 12) -> list[tuple[Row, Row]]:
    """The same for each value of a dimension, beside the period before."""
    before = _tasks(analysis, filters.before, by, 1_000)
    return list(paired(_tasks(analysis, filters, by, limit), before))


def _tasks(analysis: Analysis, filters: Filters, by: str | None, limit: int) -> list[Row]:
    where, parameters = filters.where_outcomes()
    column = DIMENSIONS[by] if by else "'all'"
    return analysis.query(
        "WITH ended AS (SELECT trace_id, coalesce(any_value("  # noqa: S608
        f"{column}), '{NONE}') AS name, count(*) AS tasks, count(*) FILTER (WHERE task_completed) AS completed"
        f" FROM outcomes WHERE name = 'llm_task_completed' AND {where} GROUP BY trace_id),"
        " spent AS (SELECT trace_id, sum(estimated_cost_usd) AS cost_usd FROM calls"
        " WHERE ended_at >= $begin - INTERVAL 1 DAY AND ended_at < $end AND trace_id IN (SELECT trace_id FROM ended)"
        " GROUP BY trace_id)"
        " SELECT name, sum(tasks) AS tasks, sum(completed) AS completed, sum(cost_usd) AS cost_usd"
        f" FROM ended LEFT JOIN spent USING (trace_id) GROUP BY name ORDER BY tasks DESC, name LIMIT {limit}",
        parameters,
    )


def cost_by(by: str, what: str, analysis: Analysis, filters: Filters) -> Tile:
    """What a completed task costs: all calls of traces with a task, over the tasks that were completed."""
    about = About(
        key="cost-per-task",
        title=f"Cost per completed task, by {what}",
        note="The calls of failed tasks count, too.",
        empty=TASKS_EMPTY,
    )
    return bars(filters, by, tasks_by(analysis, filters, by), about, COST_PER_COMPLETED, COMPLETED, TASKS, _COST)


def cost_by_version(analysis: Analysis, filters: Filters) -> Tile:
    """For the dashboard on cost."""
    return cost_by("version", "prompt version", analysis, filters)
