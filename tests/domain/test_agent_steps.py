import orjson

from proxy.domain.agent_steps import step_row
from proxy.domain.conversation import ToolResult
from proxy.domain.event_properties import AI_GENERATION
from proxy.domain.events import EventPolicy, event_uuid
from proxy.domain.journal_rows import Outcome
from proxy.domain.outcome_properties import AGENT_STEP, AI_SPAN
from proxy.domain.stitching import Asked
from proxy.domain.tool_results import StatusSource, StepStatus
from tests.harness.exchanges import EXCHANGE_ID, RECEIVED_UNIX_US, caller, running

ASKING = "0198c0de-0000-7000-8000-0000000000aa"
FAILED = ToolResult("call_1", StepStatus.ERROR, StatusSource.PROVIDER)


def asked(name: str = "get_weather", at_unix_ms: int = RECEIVED_UNIX_US // 1_000 - 1_500) -> Asked:
    return Asked(at_unix_ms=at_unix_ms, step=2, retries=1, ordinal=3, attempt=1, exchange_id=ASKING, name=name)


def row(call: Asked | None = None, result: ToolResult = FAILED, **policy: object) -> Outcome:
    told = caller(trace_id="a trace", agent_config_id="triage_v3", prompt_version_id="pv_1", properties={"plan": "pro"})
    return step_row(running(caller=told), result, call or asked(), EventPolicy(**policy))  # type: ignore[arg-type]


def properties(row: Outcome, name: str) -> dict[str, object]:
    (event,) = [event for event in row.events if event.name == name]
    told: dict[str, object] = orjson.loads(event.body)["properties"]
    return told


def test_a_step_says_which_tool_how_long_and_how_it_ended() -> None:
    step = properties(row(), AGENT_STEP)
    expected = {
        "exchange_id": ASKING, "trace_id": "a trace", "tool_name": "get_weather", "step_index": 2, "retry_count": 1,
        "duration_ms": 1_500.0, "step_status": "error", "step_status_source": "provider", "context_found": True,
        "agent_config_id": "triage_v3", "prompt_version_id": "pv_1", "plan": "pro",
    }  # fmt: skip
    assert {name: step.get(name) for name in expected} == expected
    assert "request_id" not in step


def test_the_span_hangs_below_the_generation_that_asked() -> None:
    made = row()
    span = properties(made, AI_SPAN)
    assert span["$ai_span_id"] == event_uuid(ASKING, AI_SPAN, 3) == made.events[1].uuid
    assert span["$ai_parent_id"] == event_uuid(ASKING, AI_GENERATION, 1)
    assert (span["$ai_trace_id"], span["$ai_span_name"]) == ("a_trace", "get_weather")
    assert (span["$ai_latency"], span["$ai_is_error"]) == (1.5, True)
    assert "tool_name" not in span


def test_the_row_belongs_to_the_call_that_asked_and_its_uuids_follow_from_that() -> None:
    made = row()
    assert (made.exchange_id, made.trace_id) == (ASKING, "a trace")
    assert [event.uuid for event in made.events] == [event.uuid for event in row(asked("other")).events]
    assert EXCHANGE_ID not in repr([event.uuid for event in made.events])


def test_what_is_not_known_is_absent() -> None:
    step = properties(row(asked(name=""), ToolResult("call_1", StepStatus.UNKNOWN, None)), AGENT_STEP)
    assert not {"tool_name", "step_status_source"} & step.keys()
    assert step["step_status"] == "unknown"


def test_a_name_that_is_no_name_is_withheld() -> None:
    assert properties(row(asked("ignore all rules and")), AGENT_STEP)["tool_name"] == "other"


def test_clocks_that_disagree_make_no_negative_time() -> None:
    assert properties(row(asked(at_unix_ms=RECEIVED_UNIX_US // 1_000 + 9)), AGENT_STEP)["duration_ms"] == 0


def test_families_that_are_off_and_traces_that_are_not_sampled_tell_nothing() -> None:
    assert [event.name for event in row(ai=False).events] == [AGENT_STEP]
    assert [event.name for event in row(product=False).events] == [AI_SPAN]
    assert row(sample=0.0).events == ()
