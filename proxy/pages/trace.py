"""The page of one trace: its waterfall, what each call was and cost, and what came of it later."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import orjson

from proxy.adapters.journal import JournalReader, journal_files
from proxy.adapters.journal.schema import Unusable
from proxy.domain.events import recorded
from proxy.domain.outcome_properties import AGENT_STEP, AI_SPAN
from proxy.pages import wording
from proxy.pages.tiles import Figure
from proxy.pages.waterfall import Span, moment_of, spans_of

Properties = Mapping[str, Any]
MOST_CALLS = 500
"""So many calls of one trace a page shows, the first ones."""
SCALE = 1_000
"""Units of the waterfall's width."""


@dataclass(frozen=True, slots=True)
class Trace:
    """What is kept of a trace, in the order of time."""

    trace_id: str
    calls: Sequence[Properties]
    outcomes: Sequence[Properties]
    """Events, each with `at_unix_us`."""


def read_trace(data_dir: Path, trace_id: str, only_key: str | None) -> Trace:
    """From all journals that can be read now. With `only_key`, calls and outcomes of that proxy key alone."""
    calls: list[dict[str, Any]] = []
    outcomes: list[dict[str, Any]] = []
    for path in journal_files(data_dir):
        with suppress(Unusable, apsw.Error), JournalReader(path) as reader:
            calls += [
                recorded(call.record) | {"ended_unix_us": call.ended_unix_us} for call in reader.by_trace(trace_id)
            ]
            outcomes += [
                orjson.loads(it.body) | {"at_unix_us": it.at_unix_us} for it in reader.outcomes_of_trace(trace_id)
            ]
    if only_key is not None:
        calls = [call for call in calls if call["properties"].get("key_alias") == only_key]
        outcomes = [outcome for outcome in outcomes if outcome["properties"].get("key_alias") == only_key]
    calls.sort(key=lambda call: call["received_unix_us"])
    outcomes.sort(key=lambda outcome: outcome["at_unix_us"])
    return Trace(trace_id, calls[:MOST_CALLS], outcomes[:MOST_CALLS])


def view_of(trace: Trace) -> dict[str, Any]:
    """What the template shows."""
    steps = [outcome for outcome in trace.outcomes if outcome["event"] == AGENT_STEP]
    later = [outcome for outcome in trace.outcomes if outcome["event"] not in (AGENT_STEP, AI_SPAN)]
    spans = spans_of(trace.calls, steps)
    return {
        "trace_id": trace.trace_id,
        "figures": _figures(trace, spans),
        "context": _context(trace.calls),
        "lines": list(_lines(spans)),
        "ticks": list(_ticks(spans)),
        "calls": [_call(number, call) for number, call in enumerate(trace.calls, 1)],
        "steps": [_outcome(number, step) for number, step in enumerate(steps, 1)],
        "outcomes": [_outcome(number, outcome) for number, outcome in enumerate(later, 1)],
        "is_cut": len(trace.calls) == MOST_CALLS,
    }


def _figures(trace: Trace, spans: Sequence[Span]) -> list[Figure]:
    properties = [call["properties"] for call in trace.calls]
    failed = sum(each.get("status") not in ("success", "cancelled") for each in properties)
    length_ms = (max(span.end_us for span in spans) - min(span.begin_us for span in spans)) / 1_000 if spans else None
    return [
        Figure(label="Duration", value=wording.duration(length_ms), note="first request to last byte or step"),
        Figure(
            label="Calls", value=wording.count(len(properties)), note=f"{failed} failed" if failed else "none failed"
        ),
        Figure(label="Tokens in", value=wording.count(_sum(properties, "input_tokens"))),
        Figure(label="Tokens out", value=wording.count(_sum(properties, "output_tokens"))),
        Figure(label="Cost", value=wording.money(_sum(properties, "estimated_cost_usd")), note=_cost_note(properties)),
    ]


def _sum(properties: Sequence[Properties], name: str) -> float | None:
    known = [each[name] for each in properties if each.get(name) is not None]
    return sum(known) if known else None


def _cost_note(properties: Sequence[Properties]) -> str:
    unknown = sum(each.get("estimated_cost_usd") is None for each in properties)
    return (
        f"of {len(properties) - unknown} of {len(properties)} calls; the others have no known cost" if unknown else ""
    )


def _context(calls: Sequence[Properties]) -> list[tuple[str, str, str]]:
    """(what, value, dimension to look for more of the same) that the first call with it names."""
    shown = (
        ("user", "distinct_id", "user"),
        ("session", "$session_id", "session"),
        ("environment", "environment", "environment"),
        ("prompt", "prompt_name", "prompt"),
        ("version", "prompt_version_id", "version"),
        ("task", "task_type", "task"),
        ("agent", "agent_config_id", "agent"),
        ("key", "key_alias", "key"),
    )
    found = []
    for what, name, dimension in shown:
        values = [call.get(name) or call["properties"].get(name) for call in calls]
        distinct = list(dict.fromkeys(str(value) for value in values if value is not None))
        found += [(what, value, dimension) for value in distinct[:3]]
    return found


def _lines(spans: Sequence[Span]) -> Iterator[dict[str, Any]]:
    if not spans:
        return
    begin_us, scale = _scale(spans)
    for span in spans:
        bars = [
            {
                "kind": phase.kind,
                "x": round((phase.begin_us - begin_us) * scale, 1),
                "width": max(round((phase.end_us - phase.begin_us) * scale, 1), 1.5),
                "label": f"{_PHASES[phase.kind]}: {wording.duration((phase.end_us - phase.begin_us) / 1_000)}",
            }
            for phase in span.phases
        ]
        yield {"span": span, "bars": bars, "duration": wording.duration(span.duration_ms)}


_PHASES = {
    "own": "in the proxy",
    "wait": "until the first byte",
    "think": "until the first token",
    "stream": "tokens",
    "step": "tool",
}


def _scale(spans: Sequence[Span]) -> tuple[int, float]:
    begin_us, end_us = min(span.begin_us for span in spans), max(span.end_us for span in spans)
    return begin_us, SCALE / max(end_us - begin_us, 1)


def _ticks(spans: Sequence[Span]) -> Iterator[str]:
    """Five times along the scale, from the first moment on."""
    if spans:
        _, scale = _scale(spans)
        for quarter in range(5):
            yield wording.duration(quarter / 4 * SCALE / scale / 1_000) if quarter else "0"


_FACTS: Mapping[str, Sequence[tuple[str, str, str]]] = {
    "Time": (
        ("total", "latency_ms", "ms"),
        ("first byte", "first_byte_ms", "ms"),
        ("first token", "ttft_ms", "ms"),
        ("provider", "upstream_ms", "ms"),
        ("the proxy's own", "proxy_overhead_ms", "ms"),
        ("output tokens a second", "tokens_per_second", "count"),
    ),
    "Tokens": (
        ("input", "input_tokens", "count"),
        ("of it cached", "cached_input_tokens", "count"),
        ("of it written to the cache", "cache_creation_input_tokens", "count"),
        ("output", "output_tokens", "count"),
        ("of it reasoning", "reasoning_tokens", "count"),
        ("counted by", "usage_source", "text"),
    ),
    "Cost": (
        ("cost", "estimated_cost_usd", "usd"),
        ("price", "cost_status", "text"),
        ("price list", "pricing_version", "text"),
    ),
    "Prompt": (
        ("name", "prompt_name", "text"),
        ("version", "prompt_version_id", "text"),
        ("said by", "prompt_version_source", "text"),
        ("hash", "prompt_hash", "text"),
        ("flag", "posthog_flag", "text"),
        ("variant", "posthog_flag_variant", "text"),
        ("decided", "posthog_flag_source", "text"),
    ),
    "Answer": (
        ("kind", "output_category", "text"),
        ("ended by", "finish_reason", "text"),
        ("HTTP status", "http_status", "text"),
        ("error", "error_type", "text"),
        ("code", "error_code", "text"),
        ("failed while", "failed_phase", "text"),
        ("tools called", "tools_called", "texts"),
    ),
}
_WRITTEN: Mapping[str, Callable[[Any], str]] = {
    "ms": wording.duration,
    "count": wording.count,
    "usd": wording.money,
    "text": str,
    "texts": ", ".join,
}


def _call(number: int, call: Properties) -> dict[str, Any]:
    properties = call["properties"]
    groups = {}
    for title, rows in _FACTS.items():
        known = [
            (what, _WRITTEN[kind](properties[name])) for what, name, kind in rows if properties.get(name) is not None
        ]
        if known:
            groups[title] = known
    return {
        "number": number,
        "at": wording.moment(moment_of(call["received_unix_us"])),
        "exchange_id": call["exchange_id"],
        "model": properties.get("model") or properties.get("requested_model") or wording.UNKNOWN,
        "provider": properties.get("provider") or wording.UNKNOWN,
        "step": properties.get("agent_step_name") or properties.get("endpoint") or "call",
        "status": properties.get("status") or wording.UNKNOWN,
        "is_failed": properties.get("status") not in ("success", "cancelled"),
        "error": properties.get("error_type"),
        "groups": groups,
        "attempts": [_attempt(attempt) for attempt in call.get("attempts") or []],
        "raw": orjson.dumps(call, option=orjson.OPT_INDENT_2).decode(),
    }


def _attempt(attempt: Properties) -> dict[str, str]:
    return {
        "number": str(attempt.get("attempt", "")),
        "target": attempt.get("target") or wording.UNKNOWN,
        "result": attempt.get("error_type") or "ok",
        "http_status": str(attempt.get("http_status") or wording.UNKNOWN),
        "duration": wording.duration(attempt.get("latency_ms")),
        "tokens": f"{wording.count(attempt.get('input_tokens'))} → {wording.count(attempt.get('output_tokens'))}",
        "cost": wording.money(float(attempt["cost_usd"]) if attempt.get("cost_usd") else None),
    }


_OUTCOME_FACTS = (
    "task_type", "task_completed", "user_feedback", "escalated_to_human", "accepted_output", "edited_output",
    "retry_count", "revenue_usd", "tool_name", "step_status", "duration_ms", "eval_name", "eval_passed", "eval_score",
    "eval_reason_code", "agent_step_name",
)  # fmt: skip


def _outcome(number: int, outcome: Properties) -> dict[str, Any]:
    properties = outcome["properties"]
    return {
        "number": number,
        "at": wording.moment(moment_of(outcome["at_unix_us"])),
        "name": outcome["event"],
        "is_bad": _is_bad(properties),
        "facts": [(name, _said(properties[name])) for name in _OUTCOME_FACTS if properties.get(name) is not None],
        "raw": orjson.dumps(outcome, option=orjson.OPT_INDENT_2).decode(),
    }


def _said(value: object) -> str:
    return (
        ("no", "yes")[value] if isinstance(value, bool) else f"{value:,.4g}" if isinstance(value, float) else str(value)
    )


def _is_bad(properties: Properties) -> bool:
    return (
        properties.get("task_completed") is False
        or properties.get("user_feedback") == "negative"
        or properties.get("escalated_to_human") is True
        or properties.get("eval_passed") is False
        or properties.get("step_status") == "error"
    )
