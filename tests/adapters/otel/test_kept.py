from dataclasses import replace
from typing import Any

import pytest
from opentelemetry.semconv._incubating.attributes import (
    error_attributes,
    gen_ai_attributes,
    http_attributes,
    server_attributes,
)

from proxy.adapters.otel import attributes, kept, messages
from proxy.domain.call_properties import measures_of_end, of_attempt, words_of_end
from proxy.domain.errors import ErrorType, Status
from proxy.domain.events import EventPolicy, closing, opening, recorded
from proxy.domain.exchange import Exchange, Fate
from tests.harness.exchanges import MS, READING, SPARE, START_NS, attempt, caller, finished

CANARY = "CANARY-0c1d"
SERVERS = {"openai": ("api.openai.com", 443)}


def record(exchange: Exchange) -> dict[str, Any]:
    """As the journal gives it back."""
    return recorded(closing(exchange, EventPolicy()).record)


def attempts(exchange: Exchange) -> list[attributes.Attributes]:
    made = record(exchange)
    return [kept.of_attempt(made, each, SERVERS) for each in made["attempts"]]


def test_a_good_stream_is_told_by_the_conventions() -> None:
    made = finished()
    assert made.call is not None
    made.call = replace(made.call, temperature=0.5, max_tokens=256)
    assert attempts(made) == [
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4.1-mini",
            "gen_ai.request.stream": True,
            "gen_ai.request.temperature": 0.5,
            "gen_ai.request.max_tokens": 256,
            "gen_ai.response.model": "gpt-4.1-mini-2025-04-14",
            "gen_ai.response.finish_reasons": ("stop",),
            "gen_ai.response.time_to_first_chunk": pytest.approx(0.188),
            "gen_ai.usage.input_tokens": 1284,
            "gen_ai.usage.output_tokens": 312,
            "gen_ai.usage.cache_read.input_tokens": 0,
            "gen_ai.usage.reasoning.output_tokens": 0,
            "server.address": "api.openai.com",
            "server.port": 443,
            "http.response.status_code": 200,
            "promptlane.target": "openai",
            "promptlane.attempt": 1,
            "promptlane.usage_source": "provider",
            "promptlane.estimated_cost_usd": 0.0048,
        }
    ]


def test_a_call_is_told_in_the_words_of_its_event() -> None:
    made = finished(caller=caller(prompt_name="support", prompt_version_id="pv_1", key_alias="web"))
    told = kept.of_call(record(made))
    event = {**of_attempt(made, made.final_attempt), **words_of_end(made), **measures_of_end(made)}
    assert told["promptlane.exchange_id"] == made.exchange_id
    assert {name: told[f"promptlane.{name}"] for name in ("prompt_name", "prompt_version_id", "key_alias")} == {
        "prompt_name": "support",
        "prompt_version_id": "pv_1",
        "key_alias": "web",
    }
    for name in ("status", "ttft_ms", "attempt_count", "fallback_used", "estimated_cost_usd", "cost_status", "target"):
        assert told[f"promptlane.{name}"] == event[name]
    assert told["http.response.status_code"] == 200
    assert not any(name.startswith("gen_ai.") for name in told)
    assert all(type(value) in (str, bool, int, float) for value in told.values())


def test_names_of_the_conventions_are_those_of_their_package() -> None:
    """It is the newest that names all of them; where they will live next they keep their names."""
    known = {
        value
        for module in (gen_ai_attributes, error_attributes, http_attributes, server_attributes)
        for value in vars(module).values()
        if isinstance(value, str)
    }
    made = finished(attempt(error_type=ErrorType.OTHER, target=SPARE))
    step = kept.of_step({"tool_name": "search", "step_status": "error"})
    told = {*attempts(made)[0], *kept.of_call(record(made)), *step, attributes.TOKEN_TYPE, *messages.NAMES}
    assert {name for name in told if not name.startswith("promptlane.")} - known == set()
    assert step["gen_ai.operation.name"] == gen_ai_attributes.GenAiOperationNameValues.EXECUTE_TOOL.value


def test_what_ended_the_call_is_the_last_attempts_error() -> None:
    first = attempt(error_type=ErrorType.PROVIDER_OVERLOADED, http_status=503, reading=None, cost=None)
    last = attempt(ordinal=1, target=SPARE, http_status=200)
    made = finished(first, last, fate=Fate(status=Status.ERROR, error_type=ErrorType.TRUNCATED, http_status=200))
    one, other = attempts(made)
    assert one["error.type"] == "provider_overloaded"
    assert other["error.type"] == "truncated"
    assert kept.of_call(record(made))["error.type"] == "truncated"
    assert kept.of_call(record(made))["promptlane.fallback_used"] is True


def test_what_only_the_end_tells_is_said_of_the_last_attempt() -> None:
    first = attempt(error_type=ErrorType.TRUNCATED, cost=None)
    one, other = attempts(finished(first, attempt(ordinal=1, target=SPARE)))
    assert one["gen_ai.usage.output_tokens"] == other["gen_ai.usage.output_tokens"] == 312
    last = {"gen_ai.response.finish_reasons", "promptlane.usage_source", "gen_ai.usage.reasoning.output_tokens"}
    assert last <= other.keys()
    assert not last & one.keys()
    assert "server.address" not in other  # of a provider that is configured no more


def test_a_client_that_leaves_has_not_failed() -> None:
    made = finished(fate=Fate(status=Status.CANCELLED, error_type=ErrorType.CLIENT_DISCONNECT))
    assert kept.of_call(record(made))["promptlane.status"] == "cancelled"
    assert "error.type" not in {**kept.of_call(record(made)), **attempts(made)[0]}


def test_a_refused_call_has_no_target_and_no_cost() -> None:
    fate = Fate(status=Status.ERROR, error_type=ErrorType.UNKNOWN_MODEL, http_status=404)
    refused = finished(fate=fate, attempts=[])
    told = kept.of_call(record(refused))
    assert told["error.type"] == "unknown_model"
    assert told["promptlane.attempt_count"] == 0
    assert "promptlane.target" not in told


def test_a_call_whose_process_died_is_told_by_its_facts() -> None:
    told = kept.of_call(recorded(opening(finished(), EventPolicy()).facts))
    assert (told["error.type"], told["promptlane.status"]) == ("interrupted", "error")


def test_the_first_chunk_is_that_of_a_stream() -> None:
    made = finished()
    assert made.call is not None
    name = "gen_ai.response.time_to_first_chunk"
    assert name not in attempts(finished(call=replace(made.call, stream=False)))[0]
    assert name not in attempts(finished(attempt(first_byte_ns=None)))[0]
    assert attempts(finished(attempt(sent_ns=None, first_byte_ns=START_NS + 30 * MS)))[0][name] == 0.02


def test_a_model_that_the_answer_does_not_name_is_the_one_that_was_asked() -> None:
    (told,) = attempts(finished(attempt(reading=replace(READING, model=None))))
    assert told["gen_ai.request.model"] == "gpt-4.1-mini"
    assert "gen_ai.response.model" not in told


def test_a_step_is_a_tools_where_it_names_one() -> None:
    told = kept.of_step({"tool_name": "search", "step_status": "success", "step_index": 2, "$session_id": CANARY})
    assert told == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "search",
        "promptlane.step_status": "success",
        "promptlane.step_index": 2,
    }
    assert kept.of_step({"step_status": "error", "agent_step_name": "plan"}) == {
        "error.type": "_OTHER",
        "promptlane.agent_step_name": "plan",
        "promptlane.step_status": "error",
    }


def test_no_content_and_nobodys_identity_is_told() -> None:
    reading = replace(
        READING,
        finish_reason=CANARY,
        error_code=CANARY,
        response_id=CANARY,
        output_text=CANARY,
        answer_head=CANARY,
        tool_names=(CANARY,),
    )
    made = finished(attempt(reading=reading, error_code=CANARY))
    made.parsed = {"instructions": CANARY, "user": CANARY, "metadata": {"x": CANARY}}
    who = {"distinct_id": CANARY, "request_id": CANARY, "session_id": CANARY, "groups": {CANARY: CANARY}}
    made.caller = caller(**who, properties={"plan": CANARY}, flags=((CANARY, CANARY),), task_id=CANARY)
    made.fate = Fate(status=Status.ERROR, error_type=ErrorType.OTHER, error_code=CANARY)
    assert CANARY not in repr({**kept.of_call(record(made)), **attempts(made)[0]})
