"""A trace as bars on one scale of time: its calls, their attempts, and the steps that tools took in between."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

Properties = Mapping[str, Any]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of a bar; both ends in microseconds since 1970."""

    kind: str
    """`wait`: until the first byte; `think`: until the first token; `stream`: until the last; `own`: the proxy's."""
    begin_us: int
    end_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One line of the waterfall. `anchor` names the part of the page that tells more."""

    name: str
    detail: str
    depth: int
    begin_us: int
    end_us: int
    phases: tuple[Phase, ...]
    is_failed: bool
    anchor: str

    @property
    def duration_ms(self) -> float:
        """From its first moment to its last."""
        return (self.end_us - self.begin_us) / 1_000


def moment_of(unix_us: int) -> datetime:
    """As a time of day in UTC."""
    return EPOCH + timedelta(microseconds=unix_us)


def spans_of(calls: Sequence[Properties], steps: Sequence[Properties]) -> list[Span]:
    """The lines in the order of their beginnings, attempts below their call.

    `calls` are records of ended calls; `steps` are events of steps, each with `at_unix_us`.
    """
    lines: list[tuple[int, list[Span]]] = []
    for number, call in enumerate(calls, 1):
        lines.append((call["received_unix_us"], _of_call(call, f"call-{number}")))
    for number, step in enumerate(steps, 1):
        span = _of_step(step, f"step-{number}")
        lines.append((span.begin_us, [span]))
    return [span for _, group in sorted(lines, key=lambda line: line[0]) for span in group]


def _of_call(call: Properties, anchor: str) -> list[Span]:
    properties = call["properties"]
    begin_us = call["received_unix_us"]
    end_us = max(call.get("ended_unix_us") or begin_us, begin_us)
    attempts = call.get("attempts") or []
    is_failed = properties.get("status") not in ("success", "cancelled")
    head = Span(
        name=properties.get("agent_step_name") or properties.get("endpoint") or "call",
        detail=properties.get("model") or properties.get("requested_model") or "",
        depth=0,
        begin_us=begin_us,
        end_us=end_us,
        phases=_phases(attempts[-1], begin_us, end_us) if len(attempts) == 1 else (Phase("own", begin_us, end_us),),
        is_failed=is_failed,
        anchor=anchor,
    )
    return [head, *(_of_attempt(attempt, begin_us, anchor) for attempt in attempts if len(attempts) > 1)]


def _of_attempt(attempt: Properties, received_us: int, anchor: str) -> Span:
    begin_us = received_us + attempt.get("started_us", 0)
    end_us = max(received_us + attempt.get("ended_us", attempt.get("started_us", 0)), begin_us)
    return Span(
        name=f"attempt {attempt.get('attempt', '')}".strip(),
        detail=attempt.get("target") or attempt.get("model") or "",
        depth=1,
        begin_us=begin_us,
        end_us=end_us,
        phases=_phases(attempt, received_us, end_us)[1:],
        is_failed=attempt.get("error_type") is not None,
        anchor=anchor,
    )


def _phases(attempt: Properties, received_us: int, end_us: int) -> tuple[Phase, ...]:
    """The proxy's own time, then the attempt's, cut where its first byte and its first token came."""
    marks = [("own", received_us)]
    for kind, name in (("wait", "started_us"), ("think", "first_byte_us"), ("stream", "first_token_us")):
        if (at_us := attempt.get(name)) is not None:
            marks.append((kind, received_us + at_us))
    last_us = received_us + attempt.get("ended_us", end_us - received_us)
    ends = [at_us for _, at_us in marks[1:]] + [last_us]
    return tuple(
        Phase(kind, begin_us, max(at_us, begin_us)) for (kind, begin_us), at_us in zip(marks, ends, strict=True)
    )


def _of_step(step: Properties, anchor: str) -> Span:
    properties = step["properties"]
    end_us = step["at_unix_us"]
    begin_us = end_us - round((properties.get("duration_ms") or 0) * 1_000)
    return Span(
        name=properties.get("tool_name") or properties.get("agent_step_name") or "step",
        detail="tool step",
        depth=1,
        begin_us=begin_us,
        end_us=end_us,
        phases=(Phase("step", begin_us, end_us),),
        is_failed=properties.get("step_status") == "error",
        anchor=anchor,
    )
