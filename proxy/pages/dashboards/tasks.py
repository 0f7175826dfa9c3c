"""What tasks came to, and what they cost: an outcome carries the cost of its trace's calls up to then."""

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
    """`tasks`, `completed`, and `cost_usd`: that of the traces with a task, completed or not."""
    return next(iter(_tasks(analysis, filters, None, 1)), {"tasks": 0, "completed": 0, "cost_usd": None})


def tasks_by(analysis: Analysis, filters: Filters, by: str, limit: int = 12) -> list[tuple[Row, Row]]:
    """The same for each value of a dimension, beside the period before."""
    before = _tasks(analysis, filters.before, by, 1_000)
    return list(paired(_tasks(analysis, filters, by, limit), before))


def _tasks(analysis: Analysis, filters: Filters, by: str | None, limit: int) -> list[Row]:
    where, parameters = filters.where_outcomes()
    column = DIMENSIONS[by] if by else "'all'"
    return analysis.query(
        "SELECT name, sum(tasks) AS tasks, sum(completed) AS completed, sum(cost_usd) AS cost_usd FROM ("  # noqa: S608
        f"SELECT coalesce(any_value({column}), '{NONE}') AS name, count(*) AS tasks,"
        " count(*) FILTER (WHERE task_completed) AS completed, max(estimated_cost_usd) AS cost_usd"
        f" FROM outcomes WHERE name = 'llm_task_completed' AND {where} GROUP BY hash(coalesce(trace_id, uuid))"
        f") GROUP BY name ORDER BY tasks DESC, name LIMIT {limit}",
        parameters,
    )


def cost_by(by: str, what: str, analysis: Analysis, filters: Filters) -> Tile:
    """What a completed task costs: that of all traces with a task, over the tasks that were completed."""
    about = About(
        key="cost-per-task",
        title=f"Cost per completed task, by {what}",
        note="What failed tasks cost counts, too.",
        empty=TASKS_EMPTY,
    )
    return bars(filters, by, tasks_by(analysis, filters, by), about, COST_PER_COMPLETED, COMPLETED, TASKS, _COST)


def cost_by_version(analysis: Analysis, filters: Filters) -> Tile:
    """For the dashboard on cost."""
    return cost_by("version", "prompt version", analysis, filters)
