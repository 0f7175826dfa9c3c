"""What OpenTelemetry is told of a call: names of the GenAI semantic conventions, and ours under `promptlane.`.

The conventions' names stand here as text, because their home moves between packages. Ours are those of the event
properties, with their values and bounds, so that a span and an event of one call read alike. Nothing here is content,
and nothing tells who called: no distinct id, no session, no group, no own property.
"""

from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from proxy.domain.ai_properties import error_of
from proxy.domain.call_properties import NO_CALL, NO_USAGE, of_end, of_usage
from proxy.domain.endpoints import Endpoint
from proxy.domain.errors import ErrorType
from proxy.domain.event_properties import COMPLETED, FAILED, check
from proxy.domain.exchange import Attempt, Exchange
from proxy.domain.provider_errors import finish_reason
from proxy.domain.usage import Usage, UsageSource

Value = str | bool | int | float | tuple[str, ...]
Attributes = dict[str, Value]

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
RESPONSE_MODEL = "gen_ai.response.model"
TOKEN_TYPE = "gen_ai.token.type"  # noqa: S105 - a name of the conventions
ERROR_TYPE = "error.type"
HTTP_STATUS = "http.response.status_code"
TARGET = "promptlane.target"

CALL_PROPERTIES = (
    "exchange_id", "trace_id", "environment", "key_alias", "prompt_name", "prompt_version_id", "task_type",
    "requested_model", "target", "status", "error_code", "failed_phase", "attempt_count", "fallback_used", "ttft_ms",
    "proxy_overhead_ms", "estimated_cost_usd", "cost_status",
)  # fmt: skip
"""The event properties of a call's end that its span carries."""

_OPERATIONS = {
    "responses": "chat",
    "messages": "chat",
    "completions": "text_completion",
    "complete": "text_completion",
    "embed_content": "embeddings",
}
"""Endpoints whose operation has another name in the conventions."""
_PROVIDERS = {
    "google": "gcp.gemini",
    "azure_openai": "azure.ai.openai",
    "mistral": "mistral_ai",
    "xai": "x_ai",
}
"""Labels of providers that have another name in the conventions."""
_USAGE = {
    "gen_ai.usage.input_tokens": "input_tokens",
    "gen_ai.usage.output_tokens": "output_tokens",
    "gen_ai.usage.cache_read.input_tokens": "cached_input_tokens",
    "gen_ai.usage.cache_creation.input_tokens": "cache_creation_input_tokens",
    "gen_ai.usage.reasoning.output_tokens": "reasoning_tokens",
}
"""Both sides count inclusively: a detail is part of its total."""
_INT64 = range(-(2**63), 2**63)


def operation(endpoint: Endpoint) -> str:
    """`gen_ai.operation.name`; from a closed list."""
    return _OPERATIONS.get(endpoint.name, endpoint.name)


def of_call(exchange: Exchange) -> Attributes:
    """The span of a whole call. Its tokens stand on the attempts alone, or they would be counted twice."""
    fate, caller = exchange.fate, exchange.caller
    assert fate is not None
    assert caller is not None
    told = {
        "exchange_id": exchange.exchange_id,
        "trace_id": caller.trace_id,
        "environment": caller.environment,
        "key_alias": caller.key_alias,
        "prompt_name": caller.prompt_name,
        "prompt_version_id": caller.prompt_version_id,
        "task_type": caller.task_type,
        "requested_model": (exchange.call or NO_CALL).requested_model,
        **of_end(exchange),
    }
    chosen = check(COMPLETED if fate.is_completed else FAILED, {name: told.get(name) for name in CALL_PROPERTIES})
    return {
        **_known({HTTP_STATUS: fate.http_status, ERROR_TYPE: failure(fate.error_type)}),
        **{f"promptlane.{name}": value for name, value in _known(chosen).items()},
    }


def of_attempt(exchange: Exchange, attempt: Attempt) -> Attributes:
    """The span of one request to a provider."""
    call, reading, cost = exchange.call or NO_CALL, attempt.reading, attempt.cost
    asked = check(COMPLETED, {"model": attempt.target.model or exchange.asked_model})
    answered = check(COMPLETED, {"model": reading.model if reading else None})
    counted = check(COMPLETED, of_usage(attempt))
    reason = finish_reason(reading.finish_reason) if reading else None
    return {
        **of_target(exchange, attempt),
        **_known(
            {
                REQUEST_MODEL: asked.get("model"),
                RESPONSE_MODEL: answered.get("model"),
                "gen_ai.request.stream": call.stream or None,
                "gen_ai.request.temperature": call.temperature,
                "gen_ai.request.max_tokens": call.max_tokens,
                "gen_ai.response.finish_reasons": (reason,) if reason else None,
                "gen_ai.response.time_to_first_chunk": first_chunk_s(exchange, attempt),
                **{name: counted.get(ours) for name, ours in _USAGE.items()},
                HTTP_STATUS: attempt.http_status,
                "promptlane.attempt": attempt.ordinal + 1,
                "promptlane.usage_source": counted.get("usage_source"),
                "promptlane.estimated_cost_usd": float(cost.total_usd) if cost and cost.total_usd is not None else None,
            }
        ),
    }


def of_target(exchange: Exchange, attempt: Attempt) -> Attributes:
    """What holds for spans and metrics alike: closed lists and configuration, and nothing that came from outside.

    So the model is that of the target. Where configuration names none, only the span tells what the client asked for.
    """
    provider = attempt.target.provider
    address, port = _host_and_port(provider.base_url)
    return _known(
        {
            OPERATION: operation(exchange.endpoint),
            PROVIDER: _PROVIDERS.get(provider.label, provider.label),
            REQUEST_MODEL: attempt.target.model,
            "server.address": address,
            "server.port": port,
            TARGET: attempt.target.label,
            ERROR_TYPE: failure(error_of(exchange, attempt)[0]),
        }
    )


def failure(error_type: ErrorType | None) -> str | None:
    """`error.type`. A client that leaves has not failed, and nobody has failed it."""
    return None if error_type in (None, ErrorType.CLIENT_DISCONNECT) else error_type.value


def first_chunk_s(exchange: Exchange, attempt: Attempt) -> float | None:
    """From the request's sending to the first bytes of a streamed reply."""
    if attempt.first_byte_ns is None or not (exchange.call or NO_CALL).stream:
        return None
    return (attempt.first_byte_ns - (attempt.sent_ns or attempt.started_ns)) / 1e9


def reported_usage(attempt: Attempt) -> Usage:
    """The tokens that the provider itself reported; where some are our estimate, none."""
    reading = attempt.reading
    is_reported = reading is not None and reading.usage_source in (UsageSource.PROVIDER, UsageSource.PARTIAL)
    return reading.usage if reading is not None and is_reported else NO_USAGE


def _known(values: Mapping[str, object]) -> Attributes:
    """Without what is not known, or is too large to encode; a member of an enumeration becomes plain text."""
    return {
        name: str(value) if isinstance(value, str) else value  # type: ignore[misc]
        for name, value in values.items()
        if value is not None and not (isinstance(value, int) and value not in _INT64)
    }


@lru_cache(maxsize=256)
def _host_and_port(base_url: str) -> tuple[str | None, int]:
    parts = urlsplit(base_url)
    return parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
