"""What spans say of a call that has ended, by the record that the journal keeps of it.

Our own names are those of the event properties, with their values and bounds, so that a span and an event of one call
read alike. Nothing here is content, and nothing tells who called: no distinct id, no session, no group, no own
property.
"""

from collections.abc import Mapping
from typing import Any

from proxy.adapters.otel.attributes import (
    ERROR_TYPE,
    HTTP_STATUS,
    OPERATION,
    PROVIDER,
    PROVIDERS,
    REQUEST_MODEL,
    RESPONSE_MODEL,
    TARGET,
    Attributes,
    failure,
    known,
    operation,
)
from proxy.domain.event_properties import COMPLETED
from proxy.domain.tool_results import StepStatus

Record = Mapping[str, Any]
"""As `domain.events.recorded` reads it."""
Servers = Mapping[str, tuple[str | None, int]]
"""Host and port of each configured provider."""

CALL_PROPERTIES = (
    "exchange_id", "trace_id", "environment", "key_alias", "prompt_name", "prompt_version_id", "task_type",
    "requested_model", "target", "status", "error_code", "failed_phase", "attempt_count", "fallback_used", "ttft_ms",
    "proxy_overhead_ms", "estimated_cost_usd", "cost_status",
)  # fmt: skip
"""The event properties of a call's end that its span carries."""
STEP_PROPERTIES = (
    "exchange_id",
    "trace_id",
    "environment",
    "agent_step_name",
    "step_index",
    "step_status",
    "retry_count",
)
"""Those of a step that its span carries."""

EXCHANGE_ID = "promptlane.exchange_id"
TOOL = "gen_ai.tool.name"
STEP_FAILED = "_OTHER"
"""`error.type` where nobody says which, by the conventions."""
_USAGE = {
    "gen_ai.usage.input_tokens": "input_tokens",
    "gen_ai.usage.output_tokens": "output_tokens",
    "gen_ai.usage.cache_read.input_tokens": "cached_input_tokens",
    "gen_ai.usage.cache_creation.input_tokens": "cache_creation_input_tokens",
    "gen_ai.usage.reasoning.output_tokens": "reasoning_tokens",
}
"""Both sides count inclusively: a detail is part of its total."""


def of_call(record: Record) -> Attributes:
    """The span of a whole call. Its tokens stand on the attempts alone, or they would be counted twice."""
    told = record["properties"]
    return {
        **known({HTTP_STATUS: told.get("http_status"), ERROR_TYPE: failure(told.get("error_type"))}),
        **_ours(told, CALL_PROPERTIES),
    }


def of_attempt(record: Record, attempt: Record, servers: Servers) -> Attributes:
    """The span of one request to a provider. What only the end of the call tells is said of the last one."""
    told, is_last = record["properties"], attempt is record["attempts"][-1]
    end: Mapping[str, Any] = told if is_last else {}
    counted = end if is_last else attempt
    address, port = servers.get(str(attempt.get("target", "")).partition("/")[0], (None, None))
    reason, cost_usd = end.get("finish_reason"), attempt.get("cost_usd")
    return known(
        {
            OPERATION: operation(told["endpoint"]),
            PROVIDER: PROVIDERS.get(attempt.get("provider", ""), attempt.get("provider")),
            REQUEST_MODEL: attempt.get("asked_model") or attempt.get("model"),
            RESPONSE_MODEL: attempt.get("model") if "asked_model" in attempt else None,
            "gen_ai.request.stream": told.get("stream") or None,
            "gen_ai.request.temperature": told.get("temperature"),
            "gen_ai.request.max_tokens": attempt.get("max_tokens"),
            "gen_ai.response.finish_reasons": (reason,) if reason else None,
            "gen_ai.response.time_to_first_chunk": _first_chunk_s(told, attempt),
            **{name: counted.get(ours) for name, ours in _USAGE.items()},
            HTTP_STATUS: attempt.get("http_status"),
            ERROR_TYPE: failure(attempt.get("error_type") or _error_of_end(record, end)),
            "server.address": address,
            "server.port": port,
            TARGET: attempt.get("target"),
            "promptlane.attempt": attempt.get("attempt"),
            "promptlane.usage_source": end.get("usage_source"),
            "promptlane.estimated_cost_usd": float(cost_usd) if cost_usd is not None else None,
        }
    )


def of_step(told: Mapping[str, Any]) -> Attributes:
    """The span of a step, by the properties of its event: a tool's where it names one."""
    tool = told.get("tool_name")
    has_failed = told.get("step_status") == StepStatus.ERROR or told.get("$ai_is_error") is True
    return {
        **known(
            {
                OPERATION: "execute_tool" if tool else None,
                TOOL: tool,
                ERROR_TYPE: STEP_FAILED if has_failed else None,
            }
        ),
        **_ours(told, STEP_PROPERTIES),
    }


def _ours(told: Mapping[str, Any], names: tuple[str, ...]) -> Attributes:
    return {f"promptlane.{name}": value for name, value in known({name: told.get(name) for name in names}).items()}


def _first_chunk_s(told: Record, attempt: Record) -> float | None:
    """From the request's sending to the first bytes of a streamed reply."""
    first_us = attempt.get("first_byte_us")
    if first_us is None or not told.get("stream"):
        return None
    return float(first_us - attempt.get("sent_us", attempt["started_us"])) / 1e6


def _error_of_end(record: Record, end: Record) -> str | None:
    """What ended the call (the client's leaving, a cut stream) is the last attempt's error, where it had none."""
    return end.get("error_type") if record.get("event") != COMPLETED else None
