"""The one table of event properties: every name that may be sent, with its type, bound and meaning.

It is an allow-list. `check` lets through what a row names, of the row's type, within the row's bounds; everything
else is absent, because a wrong value is worse than none. An over-long text is dropped, not cut: a cut id would join
the wrong things. The page on events is made from this table, and so is the list of names that clients may not use
for properties of their own.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

import orjson

from proxy.domain.endpoints import Dialect
from proxy.domain.errors import ErrorType, FailedPhase, Status
from proxy.domain.meter import OutputCategory
from proxy.domain.pricing import CostStatus
from proxy.domain.privacy import is_safe_text
from proxy.domain.provider_errors import ERROR_CODES, FINISH_REASONS
from proxy.domain.usage import UsageSource

OWN_PROPERTY_LIMIT_CHARS = 200
MAX_FLAGS = 20

STARTED = "llm_request_started"
COMPLETED = "llm_request_completed"
FAILED = "llm_request_failed"
ATTEMPT_FAILED = "llm_attempt_failed"
AI_GENERATION = "$ai_generation"
AI_EMBEDDING = "$ai_embedding"

EVENTS: dict[str, str] = {
    STARTED: "A model call was admitted; before the first upstream attempt.",
    COMPLETED: "The last byte of a good reply was handed to the client.",
    FAILED: "The call ended otherwise: refused, provider or transport error, timeout, filter, client gone, crash.",
    ATTEMPT_FAILED: "One attempt failed and another one followed: a retry or a fallback.",
    AI_GENERATION: "PostHog's own event: one for each attempt that reached a provider, failed ones too.",
    AI_EMBEDDING: "The same for embedding calls.",
}
"""Every event of a model call, and when it is made."""
_ENDS = (COMPLETED, FAILED)
_AI = (AI_GENERATION, AI_EMBEDDING)

LENGTH_BUCKETS = (
    (250, "0_250_tokens"),
    (500, "250_500_tokens"),
    (1_000, "500_1k_tokens"),
    (2_000, "1k_2k_tokens"),
    (4_000, "2k_4k_tokens"),
    (8_000, "4k_8k_tokens"),
    (16_000, "8k_16k_tokens"),
    (32_000, "16k_32k_tokens"),
    (64_000, "32k_64k_tokens"),
    (128_000, "64k_128k_tokens"),
    (math.inf, "128k_plus_tokens"),
)
"""(exclusive upper bound in tokens, name); a thousand is 1,000."""
SERVICE_TIERS = frozenset({"default", "standard", "auto", "flex", "priority", "batch", "scale", "fast"})


def length_bucket(tokens: int | None) -> str | None:
    """The bucket of a count, to break numbers down by size without telling the size."""
    return None if tokens is None else next(name for bound, name in LENGTH_BUCKETS if tokens < bound)


class Kind(StrEnum):
    """The JSON type of a value. `NUMBER` takes integers too."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    TEXTS = "list of texts"
    MAP = "map of texts"
    VARIANT = "text or boolean"


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """One row. `limit` is characters of a text (each one's), and the inclusive maximum of a number (minimum 0)."""

    name: str
    kind: Kind
    meaning: str
    limit: float
    most: int = 1
    """How many entries a list or a map may have."""
    values: frozenset[str] | None = None
    """The closed list, where there is one."""
    group: str = ""
    events: tuple[str, ...] = ()


def _text(name: str, meaning: str, limit: int = 1_000) -> Property:
    return Property(name=name, kind=Kind.TEXT, meaning=meaning, limit=limit)


def _one_of(name: str, values: Iterable[str], meaning: str) -> Property:
    return Property(name=name, kind=Kind.TEXT, meaning=meaning, limit=64, values=frozenset(map(str, values)))


def _many(name: str, kind: Kind, meaning: str, *, limit: int, most: int) -> Property:
    return Property(name=name, kind=kind, meaning=meaning, limit=limit, most=most)


def _integer(name: str, meaning: str, limit: int = 1_000_000_000) -> Property:
    return Property(name=name, kind=Kind.INTEGER, meaning=meaning, limit=limit)


def _number(name: str, meaning: str, limit: float = 1_000_000_000) -> Property:
    return Property(name=name, kind=Kind.NUMBER, meaning=meaning, limit=limit)


def _boolean(name: str, meaning: str) -> Property:
    return Property(name=name, kind=Kind.BOOLEAN, meaning=meaning, limit=1)


def _group(group: str, events: Iterable[str], *rows: Property) -> tuple[Property, ...]:
    return tuple(replace(row, group=group, events=tuple(events)) for row in rows)


FLAG_PROPERTY = "$feature/<key>"

TABLE: tuple[Property, ...] = (
    *_group(
        "identity",
        EVENTS,
        _text("exchange_id", "The call, always the proxy's own id (UUIDv7).", 36),
        _text("trace_id", "The trace that the call belongs to."),
        _text("request_id", "The client's `X-Request-Id`, or a new one. Not unique: apps reuse it.", 200),
        _text("trace_url", "A page that shows the trace.", 4_096),
        _text("task_id", "The task that the call works on."),
        _text("$session_id", "The PostHog session."),
        _many("$groups", Kind.MAP, "The accounts (PostHog groups) that the user acts for.", limit=200, most=5),
        _text("environment", "production, staging, …: from the key or the configuration."),
        _text("key_alias", "The alias of the proxy key, never the key.", 200),
        _text("proxy_version", "The version of Promptlane.", 64),
        _boolean("distinct_id_hashed", "The distinct id is an HMAC of what the client sent."),
    ),
    *_group(
        "prompt",
        EVENTS,
        _text("prompt_name", "The prompt's stable name."),
        _text("prompt_version_id", "The immutable version that ran."),
        _one_of(
            "prompt_version_source",
            ("header", "body", "rollout", "inferred", "missing"),
            "Where the version id comes from.",
        ),
        _text("prompt_hash", "Keyed digest of system text and tool schemas, less what changes each call.", 200),
        _text("posthog_flag", "The first feature flag that was named.", 200),
        _text("posthog_flag_variant", "Its variant.", 200),
        _one_of("posthog_flag_source", ("asserted", "assigned"), "Who says so: the client, or the proxy by itself."),
        Property(name=FLAG_PROPERTY, kind=Kind.VARIANT, meaning="Variant of each flag, for experiments.", limit=200),
        _many("$active_feature_flags", Kind.TEXTS, "Flags that are not `false`, sorted.", limit=200, most=MAX_FLAGS),
        _number("temperature", "As the request asked.", 100),
        _text("retrieval_config_id", "The retrieval configuration."),
        _text("agent_config_id", "The agent's or chain's version."),
        _text("agent_step_name", "The agent's step."),
        _text("dataset_example_id", "The example, where the call comes from an evaluation set."),
        _text("document_type", "The kind of document worked on."),
        _text("task_type", "The kind of task."),
    ),
    *_group(
        "model",
        EVENTS,
        _text("provider", "openai, anthropic, google, azure_openai, or the name that configuration gives.", 200),
        _text("model", "The model that answered; before an answer, the one that was asked.", 200),
        _text("requested_model", "The name that the client used.", 200),
        _text("target", "Provider and model by configuration.", 500),
        _text("endpoint", "chat, responses, embeddings, messages, …", 64),
        _one_of("dialect", Dialect, "The wire language."),
        _boolean("stream", "The reply was asked for as a stream."),
        _integer("attempt", "Which attempt, counted from 1.", 1_000),
    ),
    *_group(
        "time",
        (*_ENDS, ATTEMPT_FAILED),
        _number("latency_ms", "Request received → last byte handed to the client. Of an attempt: its own duration."),
        _number("upstream_ms", "Sum of the attempts' durations."),
        _number("ttft_ms", "Request received → first content token. Streams only."),
        _number("first_byte_ms", "Request received → first byte of the reply's body or head."),
        _number("tokens_per_second", "Output tokens ÷ duration of the attempt that gave them."),
        _number("proxy_overhead_ms", "`latency_ms` less the attempts and the receipt of the request's body."),
    ),
    *_group(
        "size",
        _ENDS,
        _integer("input_tokens", "All input, cached and cache-written tokens included."),
        _integer("output_tokens", "All output, reasoning included."),
        _integer("cached_input_tokens", "Part of the input that was read from a cache."),
        _integer("cache_creation_input_tokens", "Part of the input that was written to a cache."),
        _integer("reasoning_tokens", "Part of the output that was reasoning."),
        _one_of(
            "usage_source",
            (UsageSource.PROVIDER, UsageSource.MIXED, UsageSource.ESTIMATED, UsageSource.UNKNOWN),
            "Who counted: the provider, the proxy, or each a part.",
        ),
        _one_of("input_length_bucket", (name for _, name in LENGTH_BUCKETS), "Size class of the input."),
        _one_of("output_length_bucket", (name for _, name in LENGTH_BUCKETS), "Size class of the output."),
    ),
    *_group(
        "size",
        (STARTED, *_ENDS),
        _integer("message_count", "Messages, input items or texts in the request."),
        _integer("tool_count", "Tools offered to the model."),
        _integer("image_count", "Images in the request."),
    ),
    *_group(
        "money",
        _ENDS,
        _number("estimated_cost_usd", "Cost of all attempts in USD. Absent where it is not known.", 1_000_000),
        _one_of("cost_status", CostStatus, "`partial`: a part had no price, or counts were estimated."),
        _text("pricing_version", "The price list that was used.", 200),
    ),
    *_group(
        "fate",
        (*_ENDS, ATTEMPT_FAILED),
        _one_of("error_type", ErrorType, "What went wrong."),
        _one_of("error_code", ERROR_CODES, "The provider's or the proxy's code; unknown ones are `other`."),
        _integer("http_status", "Of the provider's reply, or the proxy's refusal.", 999),
    ),
    *_group(
        "fate",
        _ENDS,
        _one_of("status", Status, "How the call ended."),
        _one_of("failed_phase", FailedPhase, "The stage in which the call failed."),
        _one_of("finish_reason", FINISH_REASONS, "The provider's word in lower case; unknown ones are `other`."),
        _one_of("output_category", OutputCategory, "What kind of output; derived in the proxy, the text discarded."),
        _integer("attempt_count", "Requests to providers, retries and fallbacks included.", 1_000),
        _integer("retry_count", "The client's own retries before this call.", 10_000),
        _boolean("fallback_used", "More than one target was tried."),
    ),
    *_group(
        "tools",
        _ENDS,
        _integer("tool_call_count", "Tool calls in the reply."),
        _many("tools_called", Kind.TEXTS, "Names of the tools called; never their arguments.", limit=128, most=100),
    ),
    *_group(
        "health",
        EVENTS,
        _many(
            "analytics_warnings",
            Kind.TEXTS,
            "`source:reason` of dropped analytics values; `user-agent:posthog_wrapper`: PostHog's own wrapper captures "
            "the call too.",
            limit=100,
            most=20,
        ),
    ),
    *_group(
        "PostHog",
        EVENTS,
        _text("$lib", "promptlane", 64),
        _text("$lib_version", "The version of Promptlane.", 64),
        _boolean("$geoip_disable", "Always true: the address would be the proxy's."),
        _boolean("$ignore_sent_at", "Always true: the timestamp stands, also on a late delivery."),
        _boolean("$process_person_profile", "False where no user id was given; else absent."),
    ),
    *_group(
        "AI family",
        _AI,
        _text("$ai_trace_id", "The trace id with characters outside PostHog's set replaced by `_`."),
        _text("$ai_session_id", "The session."),
        _text("$ai_span_id", "The event's own uuid.", 36),
        _text("$ai_span_name", "The agent's step, or the prompt's name."),
        _text("$ai_provider", "The provider by PostHog's name.", 200),
        _text("$ai_model", "The model that answered.", 200),
        _text("$ai_base_url", "The provider's origin by configuration.", 500),
        _integer("$ai_http_status", "Status of the provider's reply.", 999),
        _number("$ai_latency", "Duration of the attempt, in seconds.", 10_000_000),
        _integer("$ai_input_tokens", "As `input_tokens`."),
        _number("$ai_total_cost_usd", "Cost of the attempt in USD.", 1_000_000),
        _boolean("$ai_cost_passthrough", "True where the cost is ours, so that PostHog does not make its own."),
        _boolean("$ai_is_error", "The attempt failed."),
        _one_of("$ai_error", ErrorType, "As `error_type`; never a provider's text."),
        _one_of("$ai_error_type", ERROR_CODES, "As `error_code`."),
        _text("$ai_prompt_name", "As `prompt_name`."),
        _text("$ai_prompt_version", "As `prompt_version_id`."),
    ),
    *_group(
        "AI family",
        (AI_GENERATION,),
        _boolean("$ai_stream", "As `stream`."),
        _number(
            "$ai_time_to_first_token", "Attempt begun → first content token, in seconds. Streams only.", 10_000_000
        ),
        _number("$ai_temperature", "As `temperature`.", 100),
        _integer("$ai_max_tokens", "As the request asked."),
        _integer("$ai_output_tokens", "As `output_tokens`."),
        _integer("$ai_cache_read_input_tokens", "As `cached_input_tokens`."),
        _integer("$ai_cache_creation_input_tokens", "As `cache_creation_input_tokens`."),
        _integer("$ai_cache_creation_5m_input_tokens", "Cache writes that live five minutes."),
        _integer("$ai_cache_creation_1h_input_tokens", "Cache writes that live an hour."),
        _boolean("$ai_cache_reporting_exclusive", "Always false: cached tokens are part of the input."),
        _integer("$ai_reasoning_tokens", "As `reasoning_tokens`; absent where PostHog would add it to the output."),
        _integer("$ai_audio_input_tokens", "Part of the input that was audio."),
        _integer("$ai_audio_output_tokens", "Part of the output that was audio."),
        _integer("$ai_image_input_tokens", "Part of the input that was images."),
        _integer("$ai_image_output_tokens", "Part of the output that was images."),
        _integer("$ai_web_search_count", "Searches that the provider bills."),
        _one_of("$ai_service_tier", SERVICE_TIERS, "The tier that the provider served."),
        _one_of("$ai_stop_reason", FINISH_REASONS, "As `finish_reason`."),
        _text("$ai_tools_called", "Names of the tools called, joined by commas.", 16_000),
        _integer("$ai_tool_call_count", "As `tool_call_count`."),
    ),
)

RESERVED_NAMES = frozenset(row.name for row in TABLE) | {
    "api_key", "distinct_id", "event", "properties", "sent_at", "timestamp", "token", "uuid",
}  # fmt: skip
"""Names that no client may use for a property of its own; neither may it use any that begins with `$`."""


Test = Callable[[object], bool]


def _test_of(row: Property) -> Test:
    """The row's test, made once: every property of every event passes through one."""
    match row.kind:
        case Kind.TEXT:
            return _text_test(row)
        case Kind.BOOLEAN:
            return lambda value: isinstance(value, bool)
        case Kind.INTEGER:
            return lambda value: type(value) is int and 0 <= value <= row.limit
        case Kind.NUMBER:
            return lambda value: type(value) in (int, float) and 0 <= value <= row.limit  # type: ignore[operator]
        case Kind.VARIANT:
            is_text = _text_test(row)
            return lambda value: isinstance(value, bool) or is_text(value)
        case Kind.TEXTS | Kind.MAP:
            return _container_test(row)


def _text_test(row: Property) -> Test:
    limit, values = row.limit, row.values
    if values is not None:
        return lambda value: isinstance(value, str) and value in values
    return lambda value: (
        isinstance(value, str) and 0 < len(value) <= limit and (value.isprintable() or is_safe_text(value))
    )


def _container_test(row: Property) -> Test:
    is_text = _text_test(row)

    def is_good(value: object) -> bool:
        if isinstance(value, dict):
            value = [part for pair in value.items() for part in pair] if row.kind is Kind.MAP else None
            most = 2 * row.most
        else:
            most = row.most if row.kind is Kind.TEXTS else 0
        return isinstance(value, list) and 0 < len(value) <= most and all(map(is_text, value))

    return is_good


EVERY = "every event"
"""Stands for all events at once: what may be said on each of them."""

_TESTS = {event: {row.name: _test_of(row) for row in TABLE if event in row.events} for event in EVENTS}
_TESTS[EVERY] = {row.name: _TESTS[STARTED][row.name] for row in TABLE if set(row.events) == set(EVENTS)}


def members(event: str, properties: Mapping[str, object]) -> bytes:
    """What `check` lets through, as members of a JSON object: without its braces, empty where there is nothing."""
    return orjson.dumps(check(event, properties))[1:-1]


def check(event: str, properties: Mapping[str, object]) -> dict[str, object]:
    """What of `properties` may go out with the event: known names with good values, in the given order."""
    tests = _TESTS[event]
    kept: dict[str, object] = {}
    for name, value in properties.items():
        if value is None:
            continue
        test = tests.get(name) or (tests[FLAG_PROPERTY] if name.startswith("$feature/") else None)
        if test is not None and test(value):
            kept[name] = value
    return kept
