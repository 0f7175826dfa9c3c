"""What an experiment on a prompt asks, as `config/prompts.yaml` says it: one primary metric and its guardrails.

A metric is a ratio of sums over people: what was counted or summed of them, over how many of it there were. So each
is known by a numerator and a denominator of every person, and one method judges them all.
"""

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Goal(StrEnum):
    """The direction in which the primary metric should move."""

    INCREASE = "increase"
    DECREASE = "decrease"


class OnBreach(StrEnum):
    """What a broken guardrail does: move everybody to control, or show in the report alone."""

    STOP = "stop"
    REPORT = "report"


class Source(StrEnum):
    """Where a metric's values come from."""

    CALLS = "calls"
    """The mean of a number over calls."""
    CALL_SHARE = "call share"
    """The share of calls of which something holds."""
    TASKS = "tasks"
    """A sum over calls for each task: for each trace, where calls name no task."""
    OUTCOMES = "outcomes"
    """The mean over outcome events that carry the property; true counts 1 and false 0."""
    PEOPLE = "people"
    """The share of people who had the event at all."""


COST_PER_TASK = "cost_per_task_usd"
ERROR_RATE = "error_rate"
CALL_NUMBERS = MappingProxyType(
    {
        "latency_ms": "ms",
        "ttft_ms": "ms",
        "first_byte_ms": "ms",
        "upstream_ms": "ms",
        "tokens_per_second": "tokens/s",
        "input_tokens": "tokens",
        "output_tokens": "tokens",
        "reasoning_tokens": "tokens",
        "estimated_cost_usd": "USD",
        "attempt_count": "",
        "tool_call_count": "",
    }
)
"""Numbers that every call has of itself, with their units."""


def source_of(metric: str) -> Source:
    """What a metric's name means; a name that is none of ours is a property of outcome events."""
    if metric == COST_PER_TASK:
        return Source.TASKS
    if metric == ERROR_RATE:
        return Source.CALL_SHARE
    return Source.CALLS if metric in CALL_NUMBERS else Source.OUTCOMES


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """What is measured of each person."""

    label: str
    source: Source
    property: str = ""
    """Of calls or of outcome events; "" where the source needs none."""
    event: str | None = None
    """The outcome events that count; None: all that carry the property."""
    unit: str = ""
    """ms, USD, …; "" for what has none, such as a share."""
    quantile: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Primary:
    """The metric that decides. Without a property: the share of people who had the event at all."""

    event: str
    property: str | None = None
    """A boolean or a number of that event; its mean counts."""
    goal: Goal = Goal.INCREASE


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardrail:
    """A limit that no variant may be shown to break: either `max`, or `max_increase` over control, both inclusive.

    Shares are fractions: 0.02 is two points.
    """

    metric: str
    """Its name, see `source_of`."""
    quantile: float | None = None
    """Of single calls, exclusively between 0 and 1; None: the mean, or the share."""
    max: float | None = None
    max_increase: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """The `experiment:` section of a prompt."""

    primary: Primary
    guardrails: tuple[Guardrail, ...] = ()
    on_breach: OnBreach = OnBreach.REPORT
    check_every_s: float = 60.0
    """Between two looks at the guardrails, where a broken one acts."""


def measured_by(asked: Primary | Guardrail) -> Metric:
    """What is measured to answer it."""
    if isinstance(asked, Guardrail):
        return Metric(
            label=asked.metric if asked.quantile is None else f"p{100 * asked.quantile:g} {asked.metric}",
            source=source_of(asked.metric),
            property=asked.metric,
            unit="USD" if asked.metric == COST_PER_TASK else CALL_NUMBERS.get(asked.metric, ""),
            quantile=asked.quantile,
        )
    if asked.property is None:
        return Metric(label=asked.event, source=Source.PEOPLE, event=asked.event)
    label = f"{asked.event}.{asked.property}"
    return Metric(label=label, source=Source.OUTCOMES, property=asked.property, event=asked.event)


def guardrail_flaw(guardrail: Guardrail) -> str | None:
    """What is wrong with a guardrail as somebody wrote it, in words for them; None where nothing is."""
    if (guardrail.max is None) == (guardrail.max_increase is None):
        return "write either `max` or `max_increase`"
    if guardrail.quantile is None:
        return None
    if not 0 < guardrail.quantile < 1:
        return "`quantile` lies between 0 and 1, such as 0.95"
    if source_of(guardrail.metric) is not Source.CALLS:
        return f"`quantile` is for a number of single calls: {', '.join(CALL_NUMBERS)}"
    return None
