"""A trace in a terminal: the waterfall of its calls, attempts and steps, and what came of it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from proxy.cli.call_rows import ended_at
from proxy.cli.terminal import GREEN, PLAIN, RED, UNKNOWN, cell, plain, seconds, usd, whole
from proxy.domain.outcome_properties import AGENT_STEP, AI_SPAN
from proxy.pages.trace import Trace
from proxy.pages.waterfall import Span, spans_of

WIDTH = 80
_NAME, _BAR = 30, 24
_MARKS = {"own": "·", "wait": "░", "think": "▒", "stream": "█", "step": "▓"}
"""What a part of a bar is drawn with; see `proxy.pages.waterfall.Phase`."""
_LEGEND = "· the proxy  ░ until the first byte  ▒ until the first token  █ tokens  ▓ tool"
_TOLD = (
    "user_feedback", "task_completed", "escalated_to_human", "accepted_output", "edited_output", "revenue_usd",
    "eval_name", "eval_passed", "eval_score", "eval_reason_code", "posthog_flag", "posthog_flag_variant",
)  # fmt: skip
Properties = Mapping[str, Any]


def trace_lines(trace: Trace, *, in_colour: bool) -> Iterator[str]:
    """The whole trace, 80 columns wide."""
    steps = [outcome for outcome in trace.outcomes if outcome["event"] == AGENT_STEP]
    yield from _summary(trace)
    spans = spans_of(trace.calls, steps)
    if spans:
        yield ""
        yield from _waterfall(spans, in_colour=in_colour)
        yield _LEGEND
    later = [outcome for outcome in trace.outcomes if outcome["event"] not in (AGENT_STEP, AI_SPAN)]
    if later:
        yield "\nWhat came of it"
        yield from (outcome_line(outcome) for outcome in later)


def outcome_line(outcome: Properties) -> str:
    """When, what, and how."""
    properties = outcome["properties"]
    facts = [f"{name}={plain(str(properties[name]))}" for name in _TOLD if properties.get(name) is not None]
    return f"{ended_at(outcome['at_unix_us']):%H:%M:%S} {cell(outcome['event'], 24)} {' '.join(facts)}".rstrip()


def _summary(trace: Trace) -> Iterator[str]:
    properties = [call["properties"] for call in trace.calls]
    yield f"trace {plain(trace.trace_id)}"
    if not properties:
        return
    failed = sum(each.get("status") not in ("success", "cancelled") for each in properties)
    tokens = " → ".join(whole(_sum(properties, name)) for name in ("input_tokens", "output_tokens"))
    calls = f"{len(properties)} call{'s' * (len(properties) > 1)}" + (f", {failed} failed" if failed else "")
    yield f"{calls}, {tokens} tokens, {usd(_sum(properties, 'estimated_cost_usd'))}"
    for label, names in (
        ("user", ("distinct_id",)),
        ("prompt", ("prompt_name", "prompt_version_id", "prompt_version_source")),
        ("flag", ("posthog_flag", "posthog_flag_variant", "posthog_flag_source")),
    ):
        found = dict.fromkeys(told for call in trace.calls if (told := _words(call, names)))
        if found:
            yield f"{label}: {'; '.join(found)}"


def _words(call: Properties, names: Sequence[str]) -> str:
    values = [call.get(name) or call["properties"].get(name) for name in names]
    return " ".join(plain(str(value)) for value in values if value is not None)


def _sum(properties: Sequence[Properties], name: str) -> float | None:
    known = [each[name] for each in properties if each.get(name) is not None]
    return sum(known) if known else None


def _waterfall(spans: Sequence[Span], *, in_colour: bool) -> Iterator[str]:
    begin_us, end_us = min(span.begin_us for span in spans), max(span.end_us for span in spans)
    yield f"{'':8}{'':{_NAME}} {'total':>7}  {seconds((end_us - begin_us) / 1e6)}"
    for span in spans:
        at = f"+{seconds((span.begin_us - begin_us) / 1e6)}"
        name = cell(f"{'  ' * span.depth}{span.name} {span.detail}".rstrip(), _NAME)
        bar = _bar(span, begin_us, max(end_us - begin_us, 1))
        state = "failed" if span.is_failed else ""
        if in_colour:
            bar = f"{RED if span.is_failed else GREEN}{bar}{PLAIN}"
        yield f"{at:>7} {name} {seconds(span.duration_ms / 1_000):>7}  {bar} {state}".rstrip()


def _bar(span: Span, begin_us: int, length_us: int) -> str:
    """At least one mark for whatever took no time to speak of."""
    cells = [" "] * _BAR
    for phase in span.phases:
        first = min((phase.begin_us - begin_us) * _BAR // length_us, _BAR - 1)
        last = max(first + 1, (phase.end_us - begin_us) * _BAR // length_us)
        cells[first:last] = _MARKS[phase.kind] * (min(last, _BAR) - first)
    return "".join(cells)


HEADING = f"{'last call UTC':19} {'prompt version':18} {'calls':>5} {'failed':>6} {'time':>6} {'cost':>8} trace"


def trace_row(row: Properties) -> str:
    """One trace in a list; its id is uncut, to be copied."""
    version = cell(row["prompt_version_id"] or UNKNOWN, 18)
    figures = (
        f"{whole(row['calls']):>5} {whole(row['failed']):>6} {seconds(row['duration_s']):>6} {usd(row['cost_usd']):>8}"
    )
    return f"{row['ended_at']:%Y-%m-%d %H:%M:%S} {version} {figures} {plain(row['trace_id'])}"
