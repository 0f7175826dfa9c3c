from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from opentelemetry.semconv._incubating.attributes import (
    error_attributes,
    gen_ai_attributes,
    http_attributes,
    server_attributes,
)

from proxy.adapters.otel import attributes
from proxy.domain.call_properties import of_end
from proxy.domain.endpoints import Dialect, classify
from proxy.domain.errors import ErrorType, Status
from proxy.domain.exchange import Fate
from proxy.domain.pricing import Cost, CostStatus
from proxy.domain.usage import Usage, UsageSource
from tests.harness.exchanges import (
    CHAT,
    EMBEDDINGS,
    MESSAGES,
    MS,
    OPENAI,
    READING,
    SPARE,
    START_NS,
    attempt,
    caller,
    finished,
)

CANARY = "CANARY-0c1d"


def test_a_good_stream_is_told_by_the_conventions() -> None:
    made = finished()
    assert attributes.of_attempt(made, made.attempts[0]) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4.1-mini",
        "gen_ai.request.stream": True,
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


def test_a_call_is_told_in_the_words_of_its_event() -> None:
    made = finished(caller=caller(prompt_name="support", prompt_version_id="pv_1", key_alias="web"))
    told = attributes.of_call(made)
    event = of_end(made)
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
    told = {*attributes.of_attempt(made, made.attempts[0]), *attributes.of_call(made), attributes.TOKEN_TYPE}
    assert {name for name in told if not name.startswith("promptlane.")} - known == set()


@pytest.mark.parametrize(
    ("endpoint", "name"),
    [
        (CHAT, "chat"),
        (MESSAGES, "chat"),
        (classify("POST", "/v1/responses", Dialect.OPENAI), "chat"),
        (classify("POST", "/v1/completions", Dialect.OPENAI), "text_completion"),
        (EMBEDDINGS, "embeddings"),
        (classify("POST", "/v1beta/models/x:embedContent", Dialect.GEMINI), "embeddings"),
        (classify("POST", "/v1beta/models/x:generateContent", Dialect.GEMINI), "generate_content"),
        (classify("POST", "/v1/moderations", Dialect.OPENAI), "moderations"),
    ],
)
def test_operations(endpoint: Any, name: str) -> None:
    assert attributes.operation(endpoint) == name


@pytest.mark.parametrize(
    ("label", "name"),
    [("google", "gcp.gemini"), ("azure_openai", "azure.ai.openai"), ("xai", "x_ai"), ("groq", "groq"), ("own", "own")],
)  # fmt: skip
def test_providers(label: str, name: str) -> None:
    target = replace(OPENAI, provider=replace(OPENAI.provider, label=label))
    made = finished(attempt(target=target))
    assert attributes.of_target(made, made.attempts[0])["gen_ai.provider.name"] == name


@pytest.mark.parametrize(
    ("base_url", "address", "port"),
    [("https://user:key@host.test/v1", "host.test", 443), ("http://[::1]:8000", "::1", 8000), ("http://x", "x", 80)],
)
def test_only_host_and_port_of_an_address_are_told(base_url: str, address: str, port: int) -> None:
    target = replace(OPENAI, provider=replace(OPENAI.provider, base_url=base_url))
    told = attributes.of_target(finished(), attempt(target=target))
    assert (told["server.address"], told["server.port"]) == (address, port)


def test_the_model_of_a_metric_is_the_one_of_configuration() -> None:
    assert "gen_ai.request.model" not in attributes.of_target(finished(), attempt())
    assert attributes.of_target(finished(), attempt(target=SPARE))["gen_ai.request.model"] == "qwen3"
    assert attributes.of_attempt(finished(), attempt(target=SPARE))["gen_ai.request.model"] == "qwen3"


def test_what_ended_the_call_is_the_last_attempts_error() -> None:
    first = attempt(error_type=ErrorType.PROVIDER_OVERLOADED, http_status=503, reading=None, cost=None)
    last = attempt(ordinal=1, target=SPARE, http_status=200)
    made = finished(first, last, fate=Fate(status=Status.ERROR, error_type=ErrorType.TRUNCATED, http_status=200))
    assert attributes.of_attempt(made, first)["error.type"] == "provider_overloaded"
    assert attributes.of_attempt(made, last)["error.type"] == "truncated"
    assert attributes.of_call(made)["error.type"] == "truncated"
    assert attributes.of_call(made)["promptlane.fallback_used"] is True


def test_a_client_that_leaves_has_not_failed() -> None:
    made = finished(fate=Fate(status=Status.CANCELLED, error_type=ErrorType.CLIENT_DISCONNECT))
    assert attributes.of_call(made)["promptlane.status"] == "cancelled"
    assert "error.type" not in {**attributes.of_call(made), **attributes.of_attempt(made, made.attempts[0])}


def test_a_refused_call_has_no_target_and_no_cost() -> None:
    fate = Fate(status=Status.ERROR, error_type=ErrorType.UNKNOWN_MODEL, http_status=404)
    refused = finished(fate=fate)
    refused.attempts.clear()
    told = attributes.of_call(refused)
    assert told["error.type"] == "unknown_model"
    assert told["promptlane.attempt_count"] == 0
    assert "promptlane.target" not in told


def test_only_what_the_provider_reported_is_usage_for_a_metric() -> None:
    usage = Usage(input_tokens=1, output_tokens=2)
    for source, is_reported in (("provider", True), ("partial", True), ("mixed", False), ("estimated", False)):
        reading = replace(READING, usage=usage, usage_source=UsageSource(source))
        assert (attributes.reported_usage(attempt(reading=reading)) == usage) is is_reported
    assert attributes.reported_usage(attempt(reading=None)) == Usage()


def test_the_first_chunk_is_that_of_a_stream() -> None:
    made = finished()
    assert made.call is not None
    whole = finished(call=replace(made.call, stream=False))
    assert attributes.first_chunk_s(made, attempt(first_byte_ns=None)) is None
    assert attributes.first_chunk_s(whole, whole.attempts[0]) is None
    assert attributes.first_chunk_s(made, attempt(sent_ns=None, first_byte_ns=START_NS + 30 * MS)) == 0.02


def test_a_number_that_cannot_be_encoded_is_left_out() -> None:
    """One such number would cost a whole batch."""
    made = finished()
    assert made.call is not None
    made.call = replace(made.call, max_tokens=2**63, temperature=0.5)
    told = attributes.of_attempt(made, attempt(cost=Cost(status=CostStatus.PRICED, total_usd=Decimal(0))))
    assert "gen_ai.request.max_tokens" not in told
    assert told["gen_ai.request.temperature"] == 0.5
    assert told["promptlane.estimated_cost_usd"] == 0.0


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
    assert made.call is not None
    made.call = replace(made.call, instructions=CANARY, user=CANARY, metadata={"x": CANARY})
    who = {"distinct_id": CANARY, "request_id": CANARY, "session_id": CANARY, "groups": {CANARY: CANARY}}
    made.caller = caller(**who, properties={"plan": CANARY}, flags=((CANARY, CANARY),), task_id=CANARY)
    made.fate = Fate(status=Status.ERROR, error_type=ErrorType.OTHER, error_code=CANARY)
    told = {**attributes.of_call(made), **attributes.of_attempt(made, made.attempts[0])}
    assert CANARY not in repr(told)


def test_nothing_that_came_from_outside_is_on_a_metric() -> None:
    made = finished(attempt(reading=replace(READING, model=CANARY, finish_reason=CANARY), error_code=CANARY))
    assert made.call is not None
    made.call = replace(made.call, requested_model=CANARY)
    made.caller = caller(trace_id=CANARY, prompt_name=CANARY, task_type=CANARY)
    assert CANARY not in repr(attributes.of_target(made, made.attempts[0]))
