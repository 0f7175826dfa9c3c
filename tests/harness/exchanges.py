"""Exchanges, callers and attempts as values, with what a test does not name filled in."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from proxy.domain.chat import ModelCall
from proxy.domain.endpoints import Dialect, Endpoint, classify
from proxy.domain.errors import Status
from proxy.domain.exchange import Attempt, Exchange, Fate
from proxy.domain.identity import Caller
from proxy.domain.meter import Reading, StreamEnd
from proxy.domain.pricing import Cost, CostStatus
from proxy.domain.routing import Provider, Target
from proxy.domain.usage import Usage, UsageSource

EXCHANGE_ID = "0198c0de-0000-7000-8000-000000000abc"
RECEIVED_UNIX_US = 1_780_000_000_000_000
"""2026-05-28T20:26:40Z."""
START_NS = 10**15
MS = 10**6

CHAT = classify("POST", "/v1/chat/completions", Dialect.OPENAI)
EMBEDDINGS = classify("POST", "/v1/embeddings", Dialect.OPENAI)
MESSAGES = classify("POST", "/v1/messages", Dialect.ANTHROPIC)

OPENAI = Target(
    provider=Provider(
        name="openai",
        label="openai",
        kind="openai",
        dialect=Dialect.OPENAI,
        base_url="https://api.openai.com/v1",
    )
)
SPARE = Target(provider=replace(OPENAI.provider, name="spare", label="spare"), model="qwen3")

READING = Reading(
    usage=Usage(input_tokens=1284, output_tokens=312, cached_input_tokens=0, reasoning_tokens=0),
    usage_source=UsageSource.PROVIDER,
    finish_reason="stop",
    model="gpt-4.1-mini-2025-04-14",
    stream_end=StreamEnd.COMPLETE,
    first_token_ns=START_NS + 300 * MS,
    answer_head="Hello",
    output_chars=5,
)
PRICED = Cost(status=CostStatus.PRICED, total_usd=Decimal("0.0048"), source="table", pricing_version="2026-11-20")
SUCCESS = Fate(status=Status.SUCCESS, http_status=200)


def caller(**changes: Any) -> Caller:
    """A caller whom nothing is known of but what is named."""
    return replace(Caller(distinct_id="user_8f3a", trace_id="trace_1", request_id="req_1"), **changes)


def attempt(**changes: Any) -> Attempt:
    """One good attempt from 10 ms to 1.81 s after the request came."""
    made = Attempt(
        ordinal=0,
        target=OPENAI,
        started_ns=START_NS + 10 * MS,
        sent_ns=START_NS + 12 * MS,
        first_byte_ns=START_NS + 200 * MS,
        ended_ns=START_NS + 1_810 * MS,
        http_status=200,
        reading=READING,
        cost=PRICED,
        reached_provider=True,
    )
    return replace(made, **changes)


def running(endpoint: Endpoint = CHAT, **changes: Any) -> Exchange:
    """A streamed call that has only begun."""
    made = Exchange(
        exchange_id=EXCHANGE_ID,
        received_unix_us=RECEIVED_UNIX_US,
        received_ns=START_NS,
        endpoint=endpoint,
        caller=caller(),
        call=ModelCall(requested_model="gpt-4.1-mini", stream=True, message_count=2, tool_count=0, image_count=0),
    )
    return replace(made, **changes)


def finished(*attempts: Attempt, endpoint: Endpoint = CHAT, **changes: Any) -> Exchange:
    """A call that ended well 1.84 s after it came, unless changed."""
    made = running(endpoint, attempts=list(attempts or (attempt(),)))
    made.ended_ns, made.fate = START_NS + 1_840 * MS, SUCCESS
    return replace(made, **changes)
