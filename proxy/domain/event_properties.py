"""The table of the properties of model calls: every name that may be sent, with its type, bound and meaning.

It is an allow-list. `ALLOWED` lets through what a row names, of the row's type, within the row's bounds; everything
else is absent, because a wrong value is worse than none. An over-long text is dropped, not cut: a cut id would join
the wrong things. The page on events is made from this table, and so is the list of names that clients may not use
for properties of their own.
"""

import math
from bisect import bisect_right

from proxy.domain.checks import CheckReason
from proxy.domain.endpoints import Dialect
from proxy.domain.errors import ErrorType, FailedPhase, Status
from proxy.domain.judges import PURPOSE
from proxy.domain.meter import OutputCategory
from proxy.domain.pricing import CostStatus
from proxy.domain.property_rows import (
    ANY,
    AllowList,
    Kind,
    Property,
    boolean,
    group,
    integer,
    many,
    number,
    one_of,
    text,
)
from proxy.domain.provider_errors import ERROR_CODES, FINISH_REASONS
from proxy.domain.rollout import Reason
from proxy.domain.trace_source import TraceSource
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
_BUCKET_BOUNDS, _BUCKET_NAMES = zip(*LENGTH_BUCKETS, strict=True)
SERVICE_TIERS = frozenset({"default", "standard", "auto", "flex", "priority", "batch", "scale", "fast"})


def length_bucket(tokens: int | None) -> str | None:
    """The bucket of a count, to break numbers down by size without telling the size."""
    return None if tokens is None else _BUCKET_NAMES[bisect_right(_BUCKET_BOUNDS, tokens)]


FLAG_PROPERTY = f"$feature/{ANY}"

TABLE: tuple[Property, ...] = (
    *group(
        "identity",
        EVENTS,
        text("exchange_id", "The call, always the proxy's own id (UUIDv7).", 36),
        text("trace_id", "The trace that the call belongs to."),
        one_of("trace_source", TraceSource, "How the trace was found; `new` where the call is the first of it."),
        text("request_id", "The client's `X-Request-Id`, or a new one. Not unique: apps reuse it.", 200),
        text("trace_url", "A page that shows the trace.", 4_096),
        text("task_id", "The task that the call works on."),
        text("$session_id", "The PostHog session."),
        many("$groups", Kind.MAP, "The accounts (PostHog groups) that the user acts for.", limit=200, most=5),
        text("environment", "production, staging, …: from the key or the configuration."),
        one_of("call_purpose", (PURPOSE,), "Only on calls that the proxy makes by itself: what for."),
        text("key_alias", "The alias of the proxy key, never the key.", 200),
        text("proxy_version", "The version of Promptlane.", 64),
        boolean("distinct_id_hashed", "The distinct id is an HMAC of what the client sent."),
    ),
    *group(
        "prompt",
        EVENTS,
        text("prompt_name", "The prompt's stable name."),
        text("prompt_version_id", "The immutable version that ran."),
        one_of(
            "prompt_version_source",
            ("header", "body", "rollout", "inferred", "missing"),
            "Where the version id comes from; `inferred`: from the prompt's hash, since nobody named one.",
        ),
        text("prompt_hash", "Keyed digest of system text and tool schemas, less what changes each call.", 200),
        text("posthog_flag", "The feature flag that decided; else the first that the client named.", 200),
        text("posthog_flag_variant", "Its variant.", 200),
        one_of(
            "posthog_flag_source",
            ("asserted", "assigned", "default"),
            "Who says so: the client, the proxy's decision, or nobody, so that the default runs.",
        ),
        one_of("posthog_flag_reason", Reason, "Why the proxy served this variant."),
        Property(name=FLAG_PROPERTY, kind=Kind.VARIANT, meaning="Variant of each flag, for experiments.", limit=200),
        many("$active_feature_flags", Kind.TEXTS, "Flags that are not `false`, sorted.", limit=200, most=MAX_FLAGS),
        number("temperature", "As the request asked.", 100),
        text("retrieval_config_id", "The retrieval configuration."),
        text("agent_config_id", "The agent's or chain's version."),
        text("agent_step_name", "The agent's step."),
        text("dataset_example_id", "The example, where the call comes from an evaluation set."),
        text("document_type", "The kind of document worked on."),
        text("task_type", "The kind of task."),
    ),
    *group(
        "model",
        EVENTS,
        text("provider", "openai, anthropic, google, azure_openai, or the name that configuration gives.", 200),
        text("model", "The model that answered; before an answer, the one that was asked.", 200),
        text("requested_model", "The name that the client used.", 200),
        text("target", "Provider and model by configuration.", 500),
        text("endpoint", "chat, responses, embeddings, messages, …", 64),
        one_of("dialect", Dialect, "The wire language."),
        boolean("stream", "The reply was asked for as a stream."),
        integer("attempt", "Which attempt, counted from 1.", 1_000),
    ),
    *group(
        "time",
        (*_ENDS, ATTEMPT_FAILED),
        number("latency_ms", "Request received → last byte handed to the client. Of an attempt: its own duration."),
        number("upstream_ms", "Sum of the attempts' durations."),
        number("ttft_ms", "Request received → first content token. Streams only."),
        number("first_byte_ms", "Request received → first byte of the reply's body or head."),
        number("tokens_per_second", "Output tokens ÷ duration of the attempt that gave them."),
        number(
            "proxy_overhead_ms",
            "`latency_ms` less the attempts and the receipt of the request's body. Absent where that never came whole.",
        ),
    ),
    *group(
        "size",
        _ENDS,
        integer("input_tokens", "All input, cached and cache-written tokens included."),
        integer("output_tokens", "All output, reasoning included."),
        integer("cached_input_tokens", "Part of the input that was read from a cache."),
        integer("cache_creation_input_tokens", "Part of the input that was written to a cache."),
        integer("reasoning_tokens", "Part of the output that was reasoning."),
        one_of(
            "usage_source",
            (UsageSource.PROVIDER, UsageSource.MIXED, UsageSource.ESTIMATED, UsageSource.UNKNOWN),
            "Who counted: the provider, the proxy, or each a part.",
        ),
        one_of("input_length_bucket", _BUCKET_NAMES, "Size class of the input."),
        one_of("output_length_bucket", _BUCKET_NAMES, "Size class of the output."),
    ),
    *group(
        "size",
        (STARTED, *_ENDS),
        integer("message_count", "Messages, input items or texts in the request."),
        integer("tool_count", "Tools offered to the model."),
        integer("image_count", "Images in the request."),
    ),
    *group(
        "money",
        _ENDS,
        number("estimated_cost_usd", "Cost of all attempts in USD. Absent where it is not known.", 1_000_000),
        one_of("cost_status", CostStatus, "`partial`: a part had no price, or counts were estimated."),
        text("pricing_version", "The price list that was used.", 200),
    ),
    *group(
        "fate",
        (*_ENDS, ATTEMPT_FAILED),
        one_of("error_type", ErrorType, "What went wrong."),
        one_of("error_code", ERROR_CODES, "The provider's or the proxy's code; unknown ones are `other`."),
        integer("http_status", "Of the provider's reply, or the proxy's refusal.", 999),
    ),
    *group(
        "fate",
        _ENDS,
        one_of("status", Status, "How the call ended."),
        one_of("failed_phase", FailedPhase, "The stage in which the call failed."),
        one_of("finish_reason", FINISH_REASONS, "The provider's word in lower case; unknown ones are `other`."),
        one_of("output_category", OutputCategory, "What kind of output; derived in the proxy, the text discarded."),
        integer("attempt_count", "Requests to providers, retries and fallbacks included.", 1_000),
        integer("retry_count", "The client's own retries before this call.", 10_000),
        integer("repeat_count", "How often the user had sent the same request, within two minutes each.", 100_000),
        boolean("fallback_used", "More than one target was tried."),
    ),
    *group(
        "tools",
        _ENDS,
        integer("tool_call_count", "Tool calls in the reply."),
        many("tools_called", Kind.TEXTS, "Names of the tools called; never their arguments.", limit=128, most=100),
    ),
    *group(
        "quality",
        _ENDS,
        boolean("eval_passed", "All checks of the route were passed; absent where one could not be decided."),
        number("eval_score", "The share of the decided checks that were passed.", 1),
        text("eval_name", "The check that tells most: the first not passed, else not decided, else the first.", 64),
        one_of("eval_reason_code", CheckReason, "Why that check was not passed, or not decided."),
        many("eval_failed", Kind.TEXTS, "The checks that were not passed.", limit=64, most=20),
    ),
    *group(
        "health",
        EVENTS,
        many(
            "analytics_warnings",
            Kind.TEXTS,
            "`source:reason` of dropped analytics values; `user-agent:posthog_wrapper`: PostHog's own wrapper captures "
            "the call too.",
            limit=100,
            most=30,
        ),
    ),
    *group(
        "PostHog",
        EVENTS,
        text("$lib", "promptlane", 64),
        text("$lib_version", "The version of Promptlane.", 64),
        boolean("$geoip_disable", "Always true: the address would be the proxy's."),
        boolean("$ignore_sent_at", "Always true: the timestamp stands, also on a late delivery."),
        boolean("$process_person_profile", "False where no user id was given; else absent."),
    ),
    *group(
        "AI family",
        _AI,
        text("$ai_trace_id", "The trace id with characters outside PostHog's set replaced by `_`."),
        text("$ai_session_id", "The session."),
        text("$ai_span_id", "The event's own uuid.", 36),
        text("$ai_span_name", "The agent's step, or the prompt's name."),
        text("$ai_provider", "The provider by PostHog's name.", 200),
        text("$ai_model", "The model that answered.", 200),
        text("$ai_base_url", "The provider's origin by configuration.", 500),
        integer("$ai_http_status", "Status of the provider's reply.", 999),
        number("$ai_latency", "Duration of the attempt, in seconds.", 10_000_000),
        integer("$ai_input_tokens", "As `input_tokens`."),
        number("$ai_total_cost_usd", "Cost of the attempt in USD.", 1_000_000),
        boolean("$ai_cost_passthrough", "True where the cost is ours, so that PostHog does not make its own."),
        boolean("$ai_is_error", "The attempt failed."),
        one_of("$ai_error", ErrorType, "As `error_type`; never a provider's text."),
        one_of("$ai_error_type", ERROR_CODES, "As `error_code`."),
        text("$ai_prompt_name", "As `prompt_name`."),
        text("$ai_prompt_version", "As `prompt_version_id`."),
    ),
    *group(
        "AI family",
        (AI_GENERATION,),
        boolean("$ai_stream", "As `stream`."),
        number("$ai_time_to_first_token", "Attempt begun → first content token, in seconds. Streams only.", 10_000_000),
        number("$ai_temperature", "As `temperature`.", 100),
        integer("$ai_max_tokens", "As the request asked."),
        integer("$ai_output_tokens", "As `output_tokens`."),
        integer("$ai_cache_read_input_tokens", "As `cached_input_tokens`."),
        integer("$ai_cache_creation_input_tokens", "As `cache_creation_input_tokens`."),
        integer("$ai_cache_creation_5m_input_tokens", "Cache writes that live five minutes."),
        integer("$ai_cache_creation_1h_input_tokens", "Cache writes that live an hour."),
        boolean("$ai_cache_reporting_exclusive", "Always false: cached tokens are part of the input."),
        integer("$ai_reasoning_tokens", "As `reasoning_tokens`; absent where PostHog would add it to the output."),
        integer("$ai_audio_input_tokens", "Part of the input that was audio."),
        integer("$ai_audio_output_tokens", "Part of the output that was audio."),
        integer("$ai_image_input_tokens", "Part of the input that was images."),
        integer("$ai_image_output_tokens", "Part of the output that was images."),
        integer("$ai_web_search_count", "Searches that the provider bills."),
        one_of("$ai_service_tier", SERVICE_TIERS, "The tier that the provider served."),
        one_of("$ai_stop_reason", FINISH_REASONS, "As `finish_reason`."),
        text("$ai_tools_called", "Names of the tools called, joined by commas.", 16_000),
        integer("$ai_tool_call_count", "As `tool_call_count`."),
    ),
)

RESERVED_NAMES = frozenset(row.name for row in TABLE) | {
    "api_key", "distinct_id", "event", "properties", "sent_at", "timestamp", "token", "uuid",
}  # fmt: skip
"""Names of calls, and of PostHog's batches; `outcome_properties` has all that no client may use."""


EVERY = "every event"
"""Stands for all events at once: what may be said on each of them."""

ALLOWED = {event: AllowList(row for row in TABLE if event in row.events) for event in EVENTS}
ALLOWED[EVERY] = AllowList(row for row in TABLE if set(row.events) == set(EVENTS))
