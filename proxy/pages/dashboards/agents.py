"""Agent workflow health: which tools fail, which steps are tried again, and what each agent completes and costs."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from proxy.pages import breakdowns, outcome_breakdowns, wording
from proxy.pages.breakdowns import Analysis, Row, ratio
from proxy.pages.comparison import Comparison, some
from proxy.pages.dashboards.board import (
    TRACES,
    About,
    Board,
    Measure,
    bars,
    counted,
    figure,
)
from proxy.pages.dashboards.quality import COMPLETION, shares
from proxy.pages.dashboards.tasks import (
    COMPLETED,
    COST_PER_COMPLETED,
    TASKS,
    TASKS_EMPTY,
    compare_tasks,
    cost_by,
)
from proxy.pages.filters import Filters
from proxy.pages.tiles import Figure, Tile

TOOL_FAILURE = Measure(
    "failure rate",
    lambda row: ratio(row["failed_steps"], row["steps"]),
    wording.share,
    {"outcome": "step_failed"},
    is_share=True,
    is_worse_up=True,
)
_TYPICAL = Measure("median", lambda row: row["step_ms"][0] if row["step_ms"] else None, wording.duration, None)
_SLOW = Measure("p95", lambda row: row["step_ms"][1] if row["step_ms"] else None, wording.duration, None)
_STEPS = ("steps", "failed_steps", "step_ms")
_STEPS_EMPTY = (
    "No tool's result came back in this period. Steps are found in the calls, or told by POST /analytics/v1/steps."
)


def _retries(row: Row) -> float | None:
    return ratio(row["repeats"] + row["extra_attempts"], row["calls"])


def _any_retries(row: Row) -> float | None:
    return _retries(row) or None


RETRIES = Measure("retries a call", _retries, wording.score, {"retried": "yes"}, is_worse_up=True)
_AGAIN = ("calls", "repeats", "extra_attempts", "failed")


def _steps(analysis: Analysis, filters: Filters) -> Comparison:
    return outcome_breakdowns.compare(analysis, filters, (None, "tool"), _STEPS)


def _calls(analysis: Analysis, filters: Filters) -> Comparison:
    return breakdowns.compare(analysis, filters, (None, "step"), _AGAIN)


def _tasks(analysis: Analysis, filters: Filters) -> Comparison:
    return compare_tasks(analysis, filters, (None, "agent"))


def _figures(analysis: Analysis, filters: Filters) -> Sequence[Figure]:
    now, before = _steps(analysis, filters).whole
    calls, calls_before = _calls(analysis, filters).whole
    tasks, tasks_before = _tasks(analysis, filters).whole
    done = f"{tasks['completed']:,} of {tasks['tasks']:,}"

    def behind(measure: Measure) -> str:
        return filters.to(TRACES, **(measure.leads_to or {}))

    steps = counted("steps", outcome="step")
    return (
        figure(steps, now, before, label="Tool steps", note="results that came back", href=behind(steps)),
        figure(
            TOOL_FAILURE,
            now,
            before,
            label="Tool failures",
            note=f"{now['failed_steps']:,} failed",
            href=behind(TOOL_FAILURE),
        ),
        figure(
            RETRIES,
            calls,
            calls_before,
            label="Retries a call",
            note="by the client, or to another target",
            href=behind(RETRIES),
        ),
        figure(COMPLETION, tasks, tasks_before, label="Tasks completed", note=done, href=behind(COMPLETION)),
        figure(COST_PER_COMPLETED, tasks, tasks_before, label="Cost per completed task", note="with those that failed"),
    )


def _tools(analysis: Analysis, filters: Filters, *, is_slow: bool) -> Tile:
    pairs = _steps(analysis, filters).greatest("tool", some("steps"))
    steps = counted("steps", outcome="step")
    if is_slow:
        about = About(
            key="tool-time", title="Duration of steps, by tool", note="The 95th percentile.", empty=_STEPS_EMPTY
        )
        slow = Measure(_SLOW.title, _SLOW.value, _SLOW.written, {"outcome": "step"})
        return bars(filters, "tool", pairs, about, slow, _TYPICAL, steps)
    about = About(key="tools", title="Tool failure rate, by tool", empty=_STEPS_EMPTY)
    failed = counted("failed_steps", "failed", outcome="step_failed")
    return shares(filters, "tool", pairs, about, TOOL_FAILURE, "failed_steps", "steps", failed, steps, _TYPICAL)


def _retries_by_step(analysis: Analysis, filters: Filters) -> Tile:
    pairs = _calls(analysis, filters).greatest("step", lambda row: row["repeats"] + row["extra_attempts"])
    about = About(
        key="retries",
        title="Retries by step",
        note="Attempts beyond the first, and repetitions that the client told of, for each call.",
        empty="No call was tried again in this period.",
    )
    more = (counted("repeats", "by the client"), counted("extra_attempts", "by the proxy"), counted("calls"))
    return bars(filters, "step", pairs, about, replace(RETRIES, value=_any_retries), *more)


def _completion(analysis: Analysis, filters: Filters) -> Tile:
    pairs = _tasks(analysis, filters).greatest("agent", TASKS.value)
    about = About(key="completion", title="Tasks completed, by agent configuration", empty=TASKS_EMPTY)
    return shares(filters, "agent", pairs, about, COMPLETION, "completed", "tasks", COMPLETED, TASKS)


def _cost_per_task(analysis: Analysis, filters: Filters) -> Tile:
    return cost_by("agent", "agent configuration", filters, _tasks(analysis, filters))


AGENTS = Board(
    key="agents",
    title="Agent workflow health",
    question="Where do agents lose time, and what do they get done?",
    figures=_figures,
    tiles={
        "tools": partial(_tools, is_slow=False),
        "tool-time": partial(_tools, is_slow=True),
        "retries": _retries_by_step,
        "completion": _completion,
        "cost-per-task": _cost_per_task,
    },
)
