from datetime import UTC, datetime
from typing import Any

from proxy.cli.terminal import columns
from proxy.cli.trace_lines import HEADING, WIDTH, outcome_line, trace_lines, trace_row
from proxy.domain.outcome_properties import AGENT_STEP, OUTPUT_RATED
from proxy.pages.trace import Trace

AT_US = 1_795_219_200_000_000


def call(at_s: float, **properties: Any) -> dict[str, Any]:
    began_us = AT_US + int(at_s * 1e6)
    attempt = {"attempt": 1, "target": "openai/m", "started_us": 0, "first_byte_us": 500_000, "ended_us": 1_000_000}
    told = {"endpoint": "chat", "model": "m", "status": "success", "prompt_name": "p", "prompt_version_id": "pv\x1b1"}
    return {
        "received_unix_us": began_us,
        "ended_unix_us": began_us + 1_000_000,
        "distinct_id": "user-1",
        "attempts": [attempt | {"first_token_us": 750_000}],
        "properties": told | properties,
    }


def outcome(name: str, at_s: float, **properties: Any) -> dict[str, Any]:
    return {"event": name, "at_unix_us": AT_US + int(at_s * 1e6), "properties": properties}


TRACE = Trace(
    "trace-1",
    [
        call(0, input_tokens=10, output_tokens=2, estimated_cost_usd=0.5),
        call(3, status="error", attempts=[]),
    ],
    [
        outcome(AGENT_STEP, 3, tool_name="search", step_status="error", duration_ms=2_000),
        outcome(OUTPUT_RATED, 60, user_feedback="negative", comment="a secret"),
    ],
)


def test_a_trace_fits_a_terminal_and_tells_all() -> None:
    lines = list(trace_lines(TRACE, in_colour=False))
    assert lines[:4] == [
        "trace trace-1",
        "2 calls, 1 failed, 10 → 2 tokens, $0.50",
        "user: user-1",
        "prompt: p pv?1",
    ]
    assert all(columns(line) <= WIDTH for line in lines)
    first = next(line for line in lines if "+0ms" in line)
    assert first.split()[1:4] == ["chat", "m", "1.0s"]
    assert first[first.index("░") :].strip() == "░░░▒██"
    step = next(line for line in lines if "search" in line)
    assert step.endswith("failed")
    assert lines[-2:] == ["\nWhat came of it", "00:01:00 llm_output_rated         user_feedback=negative"]


def test_colours_tell_what_failed() -> None:
    text = "\n".join(trace_lines(TRACE, in_colour=True))
    assert text.count("\x1b[31m") == 2
    assert text.count("\x1b[32m") == 1


def test_a_trace_of_outcomes_alone_has_no_waterfall() -> None:
    lines = list(trace_lines(Trace("t", [], TRACE.outcomes[1:]), in_colour=False))
    assert lines == ["trace t", "\nWhat came of it", outcome_line(TRACE.outcomes[1])]


def test_a_row_of_a_list() -> None:
    row = {
        "ended_at": datetime(2026, 11, 20, tzinfo=UTC), "calls": 3, "failed": 0, "duration_s": 1.5, "cost_usd": None,
        "prompt_version_id": None, "trace_id": "a-trace",
    }  # fmt: skip
    assert trace_row(row).split() == ["2026-11-20", "00:00:00", "-", "3", "0", "1.5s", "-", "a-trace"]
    assert columns(HEADING) <= WIDTH
