"""What of the calls a page shows: a period of time and values of some properties, all of it in the page's address.

An address that somebody has mended by hand is read as far as it makes sense; the rest is as if it were not there.
Values go into queries as parameters, never into their text.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlencode

PERIODS: Mapping[str, timedelta] = {
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
}
DEFAULT_PERIOD = "24h"
NONE = "(none)"
"""The value of those calls that have none."""

DIMENSIONS: Mapping[str, str] = {
    "environment": "environment",
    "prompt": "prompt_name",
    "version": "prompt_version_id",
    "model": "model",
    "provider": "provider",
    "key": "key_alias",
    "status": "status",
    "error": "error_type",
    "endpoint": "endpoint",
    "size": "input_length_bucket",
    "agent": "agent_config_id",
    "step": "agent_step_name",
    "task": "task_type",
    "session": "session_id",
    "user": "distinct_id",
}
"""Name in an address, and the column of `calls`."""
OFFERED = ("environment", "prompt", "version", "model", "provider", "key", "status")
"""Those that every page offers to choose; the others come from a click."""
OF_OUTCOMES = ("environment", "prompt", "version", "model", "provider", "key", "agent", "task", "user")
"""Those that outcomes have too."""
OUTCOMES: Mapping[str, str] = {
    "completed": "name = 'llm_task_completed' AND task_completed",
    "not_completed": "name = 'llm_task_completed' AND NOT task_completed",
    "positive": "user_feedback = 'positive'",
    "negative": "user_feedback = 'negative'",
    "escalated": "escalated_to_human",
    "evaluated": "name = 'llm_output_evaluated'",
    "step_failed": "name = 'llm_agent_step' AND step_status = 'error'",
    "step": "name = 'llm_agent_step'",
}
"""What may have come of a trace: value of `outcome` in an address, and a condition over the table of outcomes."""
SPECIAL: Mapping[str, str] = {
    "slower": "latency_ms >= try_cast($slower AS DOUBLE)",
    "failed": "status NOT IN ('success', 'cancelled')",
    "retried": "attempt_count > 1",
    "tool": "trace_id IN (SELECT trace_id FROM outcomes WHERE tool_name = $tool)",
}
"""Name in an address, and a condition over `calls`; `slower` takes milliseconds, inclusive."""
_OF_READER = "key_alias = $only_key"
STEPS_S = (5, 15, 60, 300, 600, 1_800, 3_600, 3 * 3_600, 6 * 3_600, 12 * 3_600, 86_400, 7 * 86_400)
MOST_STEPS = 62
"""So many bars a chart has at most."""
LONGEST = timedelta(days=400)
LIMIT_CHARS = 1_000
"""Of one value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """`begin` is inclusive, `end` exclusive. `period` is a key of PERIODS, or "" where both ends are given."""

    begin: datetime
    end: datetime
    period: str = ""
    chosen: Mapping[str, str] = field(default_factory=dict)
    """Dimension and value."""
    only_key: str | None = None
    """Who reads may see the calls of this proxy key alone; no address changes it."""

    @property
    def step_s(self) -> int:
        """Seconds that one bar of a chart over time stands for."""
        length_s = (self.end - self.begin).total_seconds()
        return next((step for step in STEPS_S if length_s / step <= MOST_STEPS), STEPS_S[-1])

    @property
    def before(self) -> "Filters":
        """The same over the period before, of the same length."""
        return replace(self, begin=self.begin - (self.end - self.begin), end=self.begin)

    @property
    def with_before(self) -> "Filters":
        """The same over this period and the one before, as one."""
        return replace(self, begin=self.before.begin)

    @property
    def all(self) -> "Filters":
        """The same period with nothing chosen."""
        return replace(self, chosen={})

    @property
    def query(self) -> str:
        """The filters as an address has them, without a question mark."""
        times = {"last": self.period} if self.period else {"from": written(self.begin), "to": written(self.end)}
        return urlencode({**times, **self.chosen})

    def choosing(self, **changed: str | None) -> "Filters":
        """The same but for the values that are changed; None takes one away."""
        chosen = {name: value for name, value in {**self.chosen, **changed}.items() if value is not None}
        return replace(self, chosen=chosen)

    def choosing_one(self, name: str, value: str) -> "Filters":
        """The same with one value more; for names that only a template knows."""
        return self.choosing(**{name: value})

    def without(self, name: str) -> "Filters":
        """The same without the value of one dimension."""
        return self.choosing(**{name: None})

    def over(self, period: str) -> "Filters":
        """The same over another of PERIODS, up to the same end."""
        return replace(self, period=period)

    def to(self, path: str, **changed: str | None) -> str:
        """The address of a page with these filters, but for the values that are changed."""
        return f"{path}?{self.choosing(**changed).query}"

    def within(self, begin: datetime, end: datetime) -> "Filters":
        """The same within a part of the period."""
        return replace(self, begin=max(begin, self.begin), end=min(end, self.end), period="")

    def where(self, at: str = "ended_at", dimensions: Mapping[str, str] = DIMENSIONS) -> tuple[str, dict[str, object]]:
        """A condition of SQL and its parameters, over a table with these columns."""
        parameters: dict[str, object] = {"begin": self.begin, "end": self.end}
        readable = [_OF_READER] if self.only_key is not None else []
        parameters |= {"only_key": self.only_key} if self.only_key is not None else {}
        chosen, more = self._chosen(dimensions)
        return " AND ".join([f"{at} >= $begin AND {at} < $end", *readable, *chosen]), parameters | more

    def where_calls(self) -> tuple[str, dict[str, object]]:
        """The same over the table of calls, with what only a list of traces asks for."""
        condition, parameters = self.where()
        special, more = self._special()
        return " AND ".join([condition, *special]), parameters | more

    def where_outcomes(self) -> tuple[str, dict[str, object]]:
        """The same over the table of outcomes. What only calls have, a call of the same trace must have."""
        condition, parameters = self.where('"at"', {name: DIMENSIONS[name] for name in OF_OUTCOMES})
        chosen, more = self._chosen({name: at for name, at in DIMENSIONS.items() if name not in OF_OUTCOMES})
        special, further = self._special()
        if of_calls := [*chosen, *special]:
            of_calls += [_OF_READER] if self.only_key is not None else []
            condition += f" AND trace_id IN (SELECT trace_id FROM calls WHERE {' AND '.join(of_calls)})"  # noqa: S608
        return condition, parameters | more | further

    def _chosen(self, dimensions: Mapping[str, str]) -> tuple[list[str], dict[str, object]]:
        parts: list[str] = []
        parameters: dict[str, object] = {}
        for name, column in dimensions.items():
            if (value := self.chosen.get(name)) == NONE:
                parts.append(f"{column} IS NULL")
            elif value is not None:
                parts.append(f"{column} = ${name}")
                parameters[name] = value
        return parts, parameters

    def _special(self) -> tuple[list[str], dict[str, object]]:
        parts: list[str] = []
        parameters: dict[str, object] = {}
        for name, special in SPECIAL.items():
            if (value := self.chosen.get(name)) is not None:
                parts.append(special)
                parameters |= {name: value} if f"${name}" in special else {}
        if (outcome := self.chosen.get("outcome")) is not None:
            of_tool = " AND tool_name = $tool" if "tool" in self.chosen else ""
            parts.append(f"trace_id IN (SELECT trace_id FROM outcomes WHERE {OUTCOMES[outcome]}{of_tool})")  # noqa: S608
        return parts, parameters


def filters_of(query: str, now: datetime, only_key: str | None = None) -> Filters:
    """What an address says. Never raises."""
    told = {name: value for name, value in parse_qsl(query) if 0 < len(value) <= LIMIT_CHARS}
    chosen = {name: told[name] for name in (*DIMENSIONS, *SPECIAL) if name in told}
    if told.get("outcome") in OUTCOMES:
        chosen["outcome"] = told["outcome"]
    begin, end = time_of(told.get("from")), time_of(told.get("to"))
    if begin is not None and end is not None and begin < end <= begin + LONGEST:
        return Filters(begin=begin, end=end, chosen=chosen, only_key=only_key)
    period = told.get("last", "") if told.get("last") in PERIODS else DEFAULT_PERIOD
    return Filters(begin=now - PERIODS[period], end=now, period=period, chosen=chosen, only_key=only_key)


def time_of(text: str | None) -> datetime | None:
    """A time in an address, UTC where it says nothing else; None where it makes no sense."""
    try:
        at = datetime.fromisoformat(text or "")
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def written(at: datetime) -> str:
    """As an address has it, to the microsecond where need be."""
    return at.strftime("%Y-%m-%dT%H:%M:%S") + (f".{at.microsecond:06d}" if at.microsecond else "")
