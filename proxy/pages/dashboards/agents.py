"""Agent workflow health: which tools fail, which steps are tried again, and what each agent completes and costs."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from proxy.pages import wording
from proxy.pages.breakdowns import Analysis, Row, ratio
from proxy.pages.breakdowns import totals as call_totals
from proxy.pages.dashboards.board import (
    TRACES,
    About,
    Board,
    Measure,
    bars,
    counted,
    figure,
    paired,
    with_before,
)
from proxy.pages.dashboards.quality import COMPLETION, shares
from proxy.pages.dashboards.tasks import (
    COMPLETED,
    COST_PER_COMPLETED,
    TASKS,
    TASKS_EMPTY,
    cost_by,
    task_totals,
    tasks_by,
)
from proxy.pages.filters import Filters
from proxy.pages.outcome_breakdowns import groups, totals
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


def _figures(analysis: Analysis, filters: Filters) -> Sequence[Figure]:
    now, before = totals(analysis, filters, _STEPS), totals(analysis, filters.before, _STEPS)
    calls, calls_before = call_totals(analysis, filters, _AGAIN), call_totals(analysis, filters.before, _AGAIN)
    tasks, tasks_before = task_totals(analysis, filters), task_totals(analysis, filters.before)
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
    now = groups(analysis, filters, "tool", _STEPS, having="steps")
    pairs = paired(now, groups(analysis, filters.before, "tool", _STEPS, having="steps", limit=1_000))
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
    pairs = with_before(analysis, filters, "step", _AGAIN, order="repeats + extra_attempts")
    about = About(
        key="retries",
        title="Retries by step",
        note="Attempts beyond the first, and repetitions that the client told of, for each call.",
        empty="No call was tried again in this period.",
    )
    more = (counted("repeats", "by the client"), counted("extra_attempts", "by the proxy"), counted("calls"))
    return bars(filters, "step", pairs, about, replace(RETRIES, value=_any_retries), *more)


def _completion(analysis: Analysis, filters: Filters) -> Tile:
    pairs = tasks_by(analysis, filters, "agent")
    about = About(key="completion", title="Tasks completed, by agent configuration", empty=TASKS_EMPTY)
    return shares(filters, "agent", pairs, about, COMPLETION, "completed", "tasks", COMPLETED, TASKS)


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
        "cost-per-task": partial(cost_by, "agent", "agent configuration"),
    },
)
