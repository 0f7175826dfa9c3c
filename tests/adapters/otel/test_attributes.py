from dataclasses import replace
from typing import Any

import pytest

from proxy.adapters.otel import attributes
from proxy.domain.endpoints import Dialect, classify
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
    assert attributes.operation(endpoint.name) == name


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


def test_nothing_that_came_from_outside_is_on_a_metric() -> None:
    made = finished(attempt(reading=replace(READING, model=CANARY, finish_reason=CANARY), error_code=CANARY))
    assert made.call is not None
    made.call = replace(made.call, requested_model=CANARY)
    made.caller = caller(trace_id=CANARY, prompt_name=CANARY, task_type=CANARY)
    assert CANARY not in repr(attributes.of_target(made, made.attempts[0]))
