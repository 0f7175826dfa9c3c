from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from proxy.pages.waterfall import Phase, spans_of

ATTEMPT = {
    "attempt": 1,
    "target": "openai/m",
    "started_us": 10,
    "first_byte_us": 50,
    "first_token_us": 60,
    "ended_us": 100,
}


def call(at_us: int, *attempts: dict[str, Any], **properties: Any) -> dict[str, Any]:
    return {
        "received_unix_us": at_us,
        "ended_unix_us": at_us + 110,
        "properties": {"status": "success", "endpoint": "chat", "model": "m", **properties},
        "attempts": list(attempts),
    }


def test_a_call_with_one_attempt_is_one_line_with_its_phases() -> None:
    (span,) = spans_of([call(1_000, ATTEMPT)], [])
    assert span.phases == (
        Phase("own", 1_000, 1_010),
        Phase("wait", 1_010, 1_050),
        Phase("think", 1_050, 1_060),
        Phase("stream", 1_060, 1_100),
    )
    assert (span.name, span.detail, span.is_failed, span.duration_ms) == ("chat", "m", False, 0.11)


def test_attempts_stand_below_their_call_and_steps_between_calls() -> None:
    failed = {"attempt": 1, "target": "a/m", "started_us": 5, "ended_us": 20, "error_type": "timeout_connect"}
    second = ATTEMPT | {"attempt": 2, "target": "b/m", "started_us": 30}
    step = {"at_unix_us": 1_900, "properties": {"tool_name": "find_order", "step_status": "error", "duration_ms": 0.5}}
    spans = spans_of([call(2_000, ATTEMPT, agent_step_name="answer"), call(1_000, failed, second)], [step])
    assert [(span.name, span.depth, span.is_failed) for span in spans] == [
        ("chat", 0, False),
        ("attempt 1", 1, True),
        ("attempt 2", 1, False),
        ("find_order", 1, True),
        ("answer", 0, False),
    ]
    assert [span.anchor for span in spans] == ["call-2", "call-2", "call-2", "step-1", "call-1"]
    assert (spans[3].begin_us, spans[3].end_us) == (1_400, 1_900)


def test_a_call_whose_process_died_has_no_end_and_no_attempts() -> None:
    (span,) = spans_of([{"received_unix_us": 5, "properties": {"status": "error"}}], [])
    assert (span.begin_us, span.end_us, span.is_failed, span.name) == (5, 5, True, "call")


@given(st.dictionaries(st.sampled_from(sorted(ATTEMPT)), st.integers(0, 10_000)))
def test_no_phase_ends_before_it_begins(attempt: dict[str, Any]) -> None:
    for span in spans_of([call(1_000, attempt | {"target": "t"})], []):
        assert all(phase.begin_us <= phase.end_us for phase in span.phases)
