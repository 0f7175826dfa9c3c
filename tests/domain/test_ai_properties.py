from dataclasses import replace
from typing import Any

import pytest

from proxy.domain.ai_properties import measures_of_generation, words_of_generation
from proxy.domain.call_properties import of_attempt
from proxy.domain.chat import ModelCall
from proxy.domain.errors import ErrorType, Status
from proxy.domain.exchange import Attempt, Exchange, Fate
from proxy.domain.pricing import Cost, CostStatus
from proxy.domain.usage import Usage
from tests.harness.exchanges import OPENAI, READING, attempt, caller, finished

UNPRICED = Cost(status=CostStatus.UNPRICED)


def told(exchange: Exchange | None = None, tried: Attempt | None = None, **who: Any) -> dict[str, Any]:
    exchange = exchange or finished(tried or attempt())
    exchange.caller = caller(**who)
    tried = tried or exchange.attempts[-1]
    answered = of_attempt(exchange, tried)
    measures = measures_of_generation(exchange, tried, answered, "uuid-1")
    return {**words_of_generation(exchange, tried, answered), **measures}


def test_times_are_in_seconds_and_of_the_attempt() -> None:
    assert told()["$ai_latency"] == 1.8
    assert told()["$ai_time_to_first_token"] == 0.29


def test_time_to_first_token_is_absent_where_it_was_not_measured() -> None:
    assert told(finished(call=ModelCall(stream=False))).get("$ai_time_to_first_token") is None
    assert told(tried=attempt(reading=None)).get("$ai_time_to_first_token") is None


def test_trace_ids_keep_to_posthogs_characters() -> None:
    assert told(trace_id="a/b c#é:1|2")["$ai_trace_id"] == "a_b_c__:1|2"
    good = "Az09-_~.@()!':|"
    assert told(trace_id=good)["$ai_trace_id"] == good


def test_cached_tokens_are_always_said_to_be_inclusive() -> None:
    assert told()["$ai_cache_reporting_exclusive"] is False
    assert told(tried=attempt(reading=None))["$ai_cache_reporting_exclusive"] is False


def test_our_cost_is_passed_through_and_an_unknown_one_is_not() -> None:
    assert (told()["$ai_total_cost_usd"], told()["$ai_cost_passthrough"]) == (0.0048, True)
    unpriced = told(tried=attempt(cost=UNPRICED))
    assert unpriced.get("$ai_total_cost_usd") is None
    assert unpriced["$ai_cost_passthrough"] is None


def test_reasoning_is_not_told_where_posthog_would_add_it_to_the_output() -> None:
    gemini = replace(READING, model="google/gemini-2.5-pro", usage=Usage(output_tokens=9, reasoning_tokens=5))
    assert told(tried=attempt(reading=gemini, cost=UNPRICED)).get("$ai_reasoning_tokens") is None
    assert told(tried=attempt(reading=gemini))["$ai_reasoning_tokens"] == 5
    other = replace(gemini, model="o4-mini")
    assert told(tried=attempt(reading=other, cost=UNPRICED))["$ai_reasoning_tokens"] == 5


def test_unknown_tokens_are_absent() -> None:
    assert (told()["$ai_input_tokens"], told()["$ai_output_tokens"]) == (1284, 312)
    unknown = told(tried=attempt(reading=replace(READING, usage=Usage())))
    assert unknown.get("$ai_input_tokens") is None
    assert unknown.get("$ai_output_tokens") is None


@pytest.mark.parametrize(
    "base_url",
    ["https://user:CANARY@host:8443/v1", "https://host:8443/CANARY/v1", "https://host:8443/v1?key=CANARY"],
)
def test_the_base_url_is_the_origin_alone(base_url: str) -> None:
    target = replace(OPENAI, provider=replace(OPENAI.provider, base_url=base_url))
    assert told(tried=attempt(target=target))["$ai_base_url"] == "https://host:8443"


def test_the_provider_has_posthogs_name() -> None:
    azure = replace(OPENAI, provider=replace(OPENAI.provider, label="azure_openai"))
    assert told(tried=attempt(target=azure))["$ai_provider"] == "azure"
    assert told()["$ai_provider"] == "openai"


def test_an_error_is_a_category() -> None:
    failed = attempt(http_status=429, error_type=ErrorType.PROVIDER_RATE_LIMIT, error_code="CANARY", reading=None)
    first = told(finished(failed, attempt(ordinal=1)), failed)
    assert (first["$ai_is_error"], first["$ai_error"]) == (True, ErrorType.PROVIDER_RATE_LIMIT)
    assert (first["$ai_error_type"], first["$ai_http_status"]) == ("other", 429)
    assert (told()["$ai_is_error"], told()["$ai_error"]) == (False, None)


def test_what_ended_the_call_is_the_last_attempts_error() -> None:
    gone = finished(fate=Fate(status=Status.CANCELLED, error_type=ErrorType.CLIENT_DISCONNECT))
    assert (told(gone)["$ai_is_error"], told(gone)["$ai_error"]) == (True, ErrorType.CLIENT_DISCONNECT)


def test_tools_tiers_and_prompts() -> None:
    reading = replace(
        READING,
        tool_names=("f", "g"),
        tool_call_count=3,
        usage=Usage(service_tier="flex", cache_creation_5m_tokens=1, cache_creation_1h_tokens=2),
    )
    found = told(tried=attempt(reading=reading), prompt_name="p", prompt_version_id="v", session_id="s")
    assert (found["$ai_tools_called"], found["$ai_tool_call_count"], found["$ai_service_tier"]) == ("f,g", 3, "flex")
    assert (found["$ai_cache_creation_5m_input_tokens"], found["$ai_cache_creation_1h_input_tokens"]) == (1, 2)
    assert (found["$ai_prompt_name"], found["$ai_prompt_version"], found["$ai_session_id"]) == ("p", "v", "s")
    assert (found["$ai_span_id"], found["$ai_span_name"]) == ("uuid-1", "p")
    odd = replace(reading, usage=Usage(service_tier="CANARY"))
    assert told(tried=attempt(reading=odd))["$ai_service_tier"] is None
    assert told().get("$ai_tools_called") is None
