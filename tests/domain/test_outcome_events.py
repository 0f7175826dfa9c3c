from dataclasses import replace
from typing import Any

import orjson
import pytest

from proxy.domain import journal_rows
from proxy.domain.events import EventPolicy, event_uuid
from proxy.domain.identity import IdentityPolicy, Person, id_of_trace
from proxy.domain.outcome_context import CallContext
from proxy.domain.outcome_events import Telling, row_of, seed_of
from proxy.domain.outcomes import Outcome, Reference

SECRET = b"0123456789abcdef"
IDENTITY = IdentityPolicy(secret=SECRET)
POLICY = EventPolicy(trace_url="http://proxy.test/t/{trace_id}")
AT_US = 1_795_000_000_000_000
CONTEXT = CallContext(
    exchange_id="0198c0de-0000-7000-8000-000000000abc",
    trace_id="trace 1",
    distinct_id="user_1",
    key_alias="web",
    properties={
        "prompt_version_id": "v1",
        "$feature/f": "treatment",
        "$session_id": "s",
        "environment": "staging",
        "key_alias": "web",
        "task_type": "support",
        "attempt": 2,
        "model": "gpt-4.1-mini",
    },
    own={"plan": "pro"},
)
GENERATION = event_uuid(CONTEXT.exchange_id, "$ai_generation", 1)
"""Of the call's second attempt."""
SUMS: dict[str, object] = {"request_count": 3, "estimated_cost_usd": 0.01, "latency_ms": 12.5}


def outcome(event: str = "llm_output_rated", **values: Any) -> Outcome:
    return Outcome(event=event, about=Reference(trace_id="trace 1"), values=values or {"user_feedback": "positive"})


def telling(told: Outcome, **more: Any) -> Telling:
    known = {"context": CONTEXT, "sums": SUMS, "environment": "production", "key_alias": "backend"}
    return Telling(**{"outcome": told, "seed": "5eed", "begun_unix_us": AT_US, **known, **more})


def events(told: Telling, policy: EventPolicy = POLICY) -> dict[str, dict[str, Any]]:
    return {event.name: orjson.loads(event.body) for event in row_of(told, policy, IDENTITY).events}


def test_it_carries_what_the_call_was_and_what_the_trace_came_to() -> None:
    rated = events(telling(outcome()))["llm_output_rated"]
    assert (rated["distinct_id"], rated["timestamp"]) == ("user_1", "2026-11-18T11:06:40.000000+00:00")
    expected = {
        "user_feedback": "positive",
        "prompt_version_id": "v1",
        "$feature/f": "treatment",
        "environment": "staging",
        "key_alias": "web",
        "exchange_id": CONTEXT.exchange_id,
        "trace_id": "trace 1",
        "trace_url": "http://proxy.test/t/trace%201",
        "context_found": True,
        "plan": "pro",
        **SUMS,
    }
    assert expected.items() <= rated["properties"].items()
    assert "attempt" not in rated["properties"]


def test_what_the_outcome_says_itself_comes_first() -> None:
    told = replace(outcome(user_feedback="neutral", task_type="sales"), own={"plan": "free"}, person=Person("u2"))
    rated = events(telling(told))["llm_output_rated"]
    assert rated["distinct_id"] == "u2"
    assert {"task_type": "sales", "plan": "free"}.items() <= rated["properties"].items()


def test_a_hashed_person_is_marked_and_an_anonymous_call_becomes_somebodys() -> None:
    context = replace(CONTEXT, properties={"$process_person_profile": False})
    told = replace(outcome(), person=Person("abc", is_hashed=True))
    said = events(telling(told, context=context))["llm_output_rated"]["properties"]
    assert said["distinct_id_hashed"] is True
    assert "$process_person_profile" not in said
    of_nobody = events(telling(outcome(), context=context))["llm_output_rated"]
    assert of_nobody["properties"]["$process_person_profile"] is False


def test_of_an_unknown_call_it_says_what_was_given() -> None:
    rated = events(telling(outcome(), context=None, sums={}))["llm_output_rated"]
    assert rated["distinct_id"] == id_of_trace("trace 1", SECRET)
    said = rated["properties"]
    assert (said["context_found"], said["trace_id"], said["environment"]) == (False, "trace 1", "production")
    assert (said["key_alias"], said["$process_person_profile"]) == ("backend", False)
    assert "request_count" not in said


def test_two_unknown_outcomes_without_a_trace_are_two_strangers() -> None:
    nowhere = replace(outcome(), about=Reference(request_id="r"))
    first, second = (
        events(telling(nowhere, context=None, seed=seed))["llm_output_rated"]["distinct_id"] for seed in ("a", "b")
    )
    assert first != second


@pytest.mark.parametrize(
    ("told", "twin", "own"),
    [
        (outcome(user_feedback="negative"), "$ai_feedback", {"$ai_feedback_text": "negative"}),
        (
            outcome("llm_task_completed", task_completed=False),
            "$ai_metric",
            {"$ai_metric_name": "task_completed", "$ai_metric_value": 0},
        ),
        (
            outcome("llm_output_evaluated", eval_name="grounded", eval_score=0.5),
            "$ai_metric",
            {"$ai_metric_name": "grounded", "$ai_metric_value": 0.5},
        ),
        (
            outcome("llm_output_evaluated", eval_name="grounded", eval_passed=True),
            "$ai_evaluation",
            {
                "$ai_evaluation_name": "grounded",
                "$ai_evaluation_result": True,
                "$ai_target_event_id": GENERATION,
            },
        ),
        (
            outcome("llm_agent_step", tool_name="search", step_status="error", duration_ms=1500),
            "$ai_span",
            {"$ai_span_name": "search", "$ai_latency": 1.5, "$ai_is_error": True, "$ai_parent_id": GENERATION},
        ),
    ],
)
def test_posthogs_own_event_comes_with_it(told: Outcome, twin: str, own: dict[str, object]) -> None:
    made = events(telling(told))
    assert list(made) == [told.event, twin]
    said = made[twin]["properties"]
    assert {**own, "$ai_trace_id": "trace_1", "$ai_session_id": "s", "prompt_version_id": "v1"}.items() <= said.items()
    assert made[twin]["distinct_id"] == "user_1"
    assert "context_found" not in said


def test_a_task_that_was_rated_shows_both_in_posthogs_trace() -> None:
    told = outcome("llm_task_completed", task_completed=True, user_feedback="positive")
    assert list(events(telling(told))) == ["llm_task_completed", "$ai_feedback", "$ai_metric"]


def test_a_step_of_an_unknown_call_is_part_of_the_trace() -> None:
    step = outcome("llm_agent_step", agent_step_name="plan", step_status="unknown")
    said = events(telling(step, context=None))["$ai_span"]["properties"]
    assert (said["$ai_parent_id"], said["$ai_span_name"], "$ai_is_error" in said) == ("trace_1", "plan", False)


def test_nothing_of_posthogs_own_without_a_trace_or_for_what_has_no_place_there() -> None:
    nowhere = replace(outcome(), about=Reference(request_id="r"))
    assert list(events(telling(nowhere, context=None))) == ["llm_output_rated"]
    assert list(events(telling(outcome(accepted_output=True)))) == ["llm_output_rated"]
    assert list(events(telling(outcome("ticket_closed", task_completed=True)))) == ["ticket_closed"]


def test_families_are_respected_and_sampling_is_not() -> None:
    product = replace(POLICY, ai=False, sample=0.0)
    assert list(events(telling(outcome()), product)) == ["llm_output_rated"]
    ai = replace(POLICY, product=False)
    assert list(events(telling(outcome()), ai)) == ["$ai_feedback"]
    assert list(events(telling(outcome("ticket_closed", task_completed=True)), ai)) == ["ticket_closed"]
    none = row_of(telling(outcome()), replace(ai, ai=False), IDENTITY)
    assert none == journal_rows.Outcome(
        exchange_id=CONTEXT.exchange_id, trace_id="trace 1", at_unix_us=AT_US, events=()
    )


def test_uuids_follow_from_the_seed_and_bytes_from_all_of_it() -> None:
    first, again = (row_of(telling(outcome()), POLICY, IDENTITY) for _ in range(2))
    other = row_of(telling(outcome(), seed="other"), POLICY, IDENTITY)
    assert first == again
    assert not {event.uuid for event in first.events} & {event.uuid for event in other.events}
    assert first.events[0].uuid == event_uuid("5eed", "llm_output_rated")


def test_a_seed_is_its_callers_and_its_installations_alone() -> None:
    seeds = {seed_of(SECRET, "a", "b"), seed_of(SECRET, "a", "c"), seed_of(SECRET, "ab"), seed_of(b"other", "a", "b")}
    assert len(seeds) == 4
    assert len(seed_of(SECRET, "a")) == 32


def test_a_name_with_a_sign_of_json_stays_a_name() -> None:
    (event,) = row_of(telling(outcome('a"b', task_completed=True)), POLICY, IDENTITY).events
    assert orjson.loads(event.body)["event"] == 'a"b'
