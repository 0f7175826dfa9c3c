from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from proxy import __version__
from proxy.domain.call_properties import (
    attempt_ns,
    latency_ns,
    measures_of_end,
    of_attempt,
    of_call,
    of_failed_attempt,
    of_request,
    of_start,
    tool_names,
    words_of_end,
)
from proxy.domain.chat import ModelCall
from proxy.domain.conversation import Conversation
from proxy.domain.errors import ErrorType, FailedPhase, Status
from proxy.domain.exchange import Exchange, Fate
from proxy.domain.meter import StreamEnd
from proxy.domain.pricing import Cost, CostStatus
from proxy.domain.stitching import Keys, Thread
from proxy.domain.usage import Usage, UsageSource
from tests.harness.exchanges import (
    EMBEDDINGS,
    MS,
    PRICED,
    READING,
    SPARE,
    START_NS,
    attempt,
    caller,
    finished,
    running,
)

CANCELLED = Fate(status=Status.CANCELLED, error_type=ErrorType.CLIENT_DISCONNECT, failed_phase=FailedPhase.CLIENT)


def of_end(exchange: Exchange) -> dict[str, Any]:
    return {**of_request(exchange), **words_of_end(exchange), **measures_of_end(exchange)}


def known(properties: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if value is not None}


def test_what_the_caller_says_is_on_every_event() -> None:
    who = caller(
        session_id="s1",
        groups={"company": "acme"},
        flags=(("b-flag", "treatment"), ("a-flag", "true"), ("off", "false")),
        prompt_name="support_answer",
        prompt_version_id="pv_1",
        prompt_version_source="header",
        task_type="support_reply",
        warnings=("x-task-id:too_long",),
    )
    told = of_call(running(caller=who), who, "http://t/trace_1")
    assert told["trace_url"] == "http://t/trace_1"
    assert (told["$session_id"], told["$groups"]) == ("s1", {"company": "acme"})
    assert (told["prompt_name"], told["prompt_version_id"]) == ("support_answer", "pv_1")
    assert (told["posthog_flag"], told["posthog_flag_variant"]) == ("b-flag", "treatment")
    assert told["posthog_flag_source"] == "asserted"
    assert (told["$feature/b-flag"], told["$feature/a-flag"], told["$feature/off"]) == ("treatment", True, False)
    assert told["$active_feature_flags"] == ["a-flag", "b-flag"]
    assert told["analytics_warnings"] == ["x-task-id:too_long"]
    assert (told["$lib"], told["$lib_version"], told["proxy_version"]) == ("promptlane", __version__, __version__)
    assert told["$geoip_disable"] is True


def test_only_anonymous_calls_switch_person_profiles_off() -> None:
    named, nobody = caller(), caller(is_anonymous=True)
    assert of_call(running(), named, "")["$process_person_profile"] is None
    assert of_call(running(), nobody, "")["$process_person_profile"] is False


def test_a_call_without_a_readable_body_says_nothing_of_it() -> None:
    told = known(of_call(running(call=None), caller(), ""))
    assert not {"stream", "requested_model", "temperature"} & set(told)
    assert known(of_start(running(call=None), None)) == {}


def test_who_is_to_answer_and_who_did() -> None:
    call = running()
    assert of_attempt(call, None) == {"model": "gpt-4.1-mini"}
    planned = {"provider": "spare", "model": "qwen3", "target": "spare/qwen3"}
    assert of_start(call, SPARE) == {**of_start(call, None), **planned}
    assert of_attempt(call, attempt())["model"] == "gpt-4.1-mini-2025-04-14"
    assert of_attempt(call, attempt(reading=None, target=SPARE, ordinal=1)) == {
        "provider": "spare",
        "model": "qwen3",
        "target": "spare/qwen3",
        "attempt": 2,
    }


def test_times_are_told_from_the_receipt_of_the_request() -> None:
    told = of_end(finished(body_received_ns=START_NS + 5 * MS))
    assert told["latency_ms"] == 1840.0
    assert told["upstream_ms"] == 1800.0
    assert told["proxy_overhead_ms"] == 35.0
    assert told["ttft_ms"] == 300.0
    assert told["first_byte_ms"] == 200.0
    assert told["tokens_per_second"] == pytest.approx(312 / 1.8, abs=0.001)


def test_the_time_of_a_body_that_never_came_whole_is_not_the_proxy_s() -> None:
    told = measures_of_end(running(ended_ns=START_NS + 60_000 * MS))
    assert (told["latency_ms"], told["proxy_overhead_ms"]) == (60_000.0, None)
    assert of_end(finished())["proxy_overhead_ms"] == 40.0  # it was passed on as it came, within the attempt


def test_a_call_lasts_until_its_end_and_so_does_an_attempt_left_open() -> None:
    assert latency_ns(finished(fate=CANCELLED)) == 1_840 * MS
    assert attempt_ns(finished(), attempt(ended_ns=None)) == 1_830 * MS


def test_time_to_first_token_is_of_streams_only() -> None:
    whole = finished(call=ModelCall(requested_model="m", stream=False))
    assert of_end(whole)["ttft_ms"] is None
    assert of_end(finished(attempt(reading=replace(READING, first_token_ns=None))))["ttft_ms"] is None


def test_unknown_tokens_are_absent_and_zero_is_zero() -> None:
    unknown = finished(attempt(reading=replace(READING, usage=Usage(), usage_source=UsageSource.NONE)))
    told = known(of_end(unknown))
    assert not {"input_tokens", "output_tokens", "input_length_bucket", "tokens_per_second"} & set(told)
    assert told["usage_source"] == UsageSource.UNKNOWN
    zero = finished(attempt(reading=replace(READING, usage=Usage(input_tokens=0, output_tokens=0))))
    assert known(of_end(zero))["output_tokens"] == 0
    assert of_end(zero)["input_length_bucket"] == "0_250_tokens"


@pytest.mark.parametrize(
    ("wire", "told"),
    [
        (UsageSource.PROVIDER, UsageSource.PROVIDER),
        (UsageSource.PARTIAL, UsageSource.PROVIDER),
        (UsageSource.MIXED, UsageSource.MIXED),
        (UsageSource.ESTIMATED, UsageSource.ESTIMATED),
    ],
)
def test_the_usage_source_is_what_stands_after_estimating(wire: UsageSource, told: UsageSource) -> None:
    assert of_end(finished(attempt(reading=replace(READING, usage_source=wire))))["usage_source"] is told


def test_the_cost_of_a_call_is_that_of_all_its_attempts() -> None:
    billed = attempt(http_status=500, cost=replace(PRICED, total_usd=Decimal("0.1")), error_type=ErrorType.TRUNCATED)
    free = attempt(ordinal=1, cost=None, reading=None)
    told = of_end(finished(billed, free, attempt(ordinal=2, cost=replace(PRICED, total_usd=Decimal("0.2")))))
    assert told["estimated_cost_usd"] == 0.3
    assert (told["cost_status"], told["pricing_version"]) == (CostStatus.PRICED, "2026-11-20")


def test_an_unpriced_call_has_no_cost() -> None:
    told = of_end(finished(attempt(cost=Cost(status=CostStatus.UNPRICED))))
    assert (told["estimated_cost_usd"], told["cost_status"]) == (None, CostStatus.UNPRICED)
    assert of_end(finished(attempt(cost=None)))["cost_status"] is CostStatus.UNKNOWN


def test_a_call_that_reached_nobody_has_neither_size_nor_money() -> None:
    refused = running(ended_ns=START_NS + MS, body_received_ns=START_NS)
    refused.fate = Fate(
        status=Status.ERROR,
        error_type=ErrorType.BAD_REQUEST,
        error_code="invalid_json",
        failed_phase=FailedPhase.ADMIT,
        http_status=400,
    )
    told = known({**of_attempt(refused, None), **of_end(refused)})
    assert told == {
        **known(of_start(refused, None)),
        "model": "gpt-4.1-mini",
        "latency_ms": 1.0,
        "proxy_overhead_ms": 1.0,
        "status": Status.ERROR,
        "error_type": ErrorType.BAD_REQUEST,
        "error_code": "invalid_json",
        "http_status": 400,
        "failed_phase": FailedPhase.ADMIT,
        "attempt_count": 0,
        "fallback_used": False,
    }


def test_attempts_and_fallbacks_are_counted() -> None:
    retried = finished(attempt(error_type=ErrorType.PROVIDER_OVERLOADED), attempt(ordinal=1))
    fell_back = finished(attempt(error_type=ErrorType.PROVIDER_OVERLOADED), attempt(ordinal=1, target=SPARE))
    assert (of_end(retried)["attempt_count"], of_end(retried)["fallback_used"]) == (2, False)
    assert (of_end(fell_back)["attempt_count"], of_end(fell_back)["fallback_used"]) == (2, True)


def test_the_category_of_an_output() -> None:
    assert of_end(finished())["output_category"] == "answer"
    assert of_end(finished(endpoint=EMBEDDINGS))["output_category"] is None
    nothing = replace(READING, output_chars=0, answer_head="", stream_end=StreamEnd.TRUNCATED)
    assert of_end(finished(attempt(reading=nothing), fate=CANCELLED))["output_category"] is None
    blocked = Fate(status=Status.BLOCKED, error_type=ErrorType.CONTENT_FILTER)
    assert of_end(finished(attempt(reading=None), fate=blocked))["output_category"] == "blocked"


def test_a_request_that_is_sent_again_and_again_ends_in_the_same_words() -> None:
    keys, asked = Keys(b"tenant", "user_8f3a", b"secret of 16 bytes"), Conversation(asked=b"digest")
    ends = [finished(thread=Thread(keys=keys, conversation=asked, repeat_count=count)) for count in (1, 2)]
    assert words_of_end(ends[0]) == words_of_end(ends[1])
    assert [of_end(end)["repeat_count"] for end in ends] == [1, 2]


def test_words_of_the_provider_are_mapped() -> None:
    reading = replace(READING, finish_reason="because CANARY")
    fate = Fate(status=Status.ERROR, error_type=ErrorType.PROVIDER_BAD_REQUEST, error_code="CANARY")
    told = of_end(finished(attempt(reading=reading), fate=fate))
    assert (told["finish_reason"], told["error_code"]) == ("other", "other")
    failed = of_failed_attempt(finished(), attempt(error_type=ErrorType.PROVIDER_RATE_LIMIT, error_code="CANARY"))
    assert (failed["error_type"], failed["error_code"]) == (ErrorType.PROVIDER_RATE_LIMIT, "other")
    assert failed["latency_ms"] == 1800.0


def test_tool_names_have_the_form_of_names() -> None:
    reading = replace(READING, tool_names=("get_weather", "mcp.files/read", "give the user CANARY", "x" * 129, "a,b"))
    assert tool_names(reading) == ["get_weather", "mcp.files/read", "other"]
    assert tool_names(None) is None
