"""What one attempt says in PostHog's own vocabulary, for its traces and costs.

Times are in seconds here, and counts are inclusive: `$ai_cache_reporting_exclusive` is always sent as false, because
PostHog would else take cached tokens for extra ones wherever the model's name begins with `claude`.
"""

import re
from decimal import Decimal
from functools import lru_cache
from urllib.parse import urlsplit

from proxy.domain.call_properties import NO_CALL, Properties, attempt_ns, tool_names
from proxy.domain.errors import ErrorType
from proxy.domain.event_properties import SERVICE_TIERS
from proxy.domain.exchange import Attempt, Exchange
from proxy.domain.provider_errors import error_code, finish_reason
from proxy.domain.usage import Usage

_NOT_IN_TRACE_ID = re.compile(r"[^A-Za-z0-9_~.@()!':|-]")
_POSTHOG_PROVIDERS = {"azure_openai": "azure"}


def measures_of_generation(exchange: Exchange, attempt: Attempt, who: Properties, uuid: str) -> Properties:
    """PostHog's own properties for one attempt that reached a provider: which it is, its times in seconds, its tokens
    and its money. The caller must be known, and `who` answered (`of_attempt`).

    Where our cost is not known PostHog makes its own, and adds reasoning to the output of Gemini's models, which here
    includes it.
    """
    call, caller = exchange.call or NO_CALL, exchange.caller
    assert caller is not None
    told: Properties = {
        "$ai_trace_id": ai_trace_id(caller.trace_id),
        "$ai_session_id": caller.session_id,
        "$ai_span_id": uuid,
        "$ai_latency": attempt_ns(exchange, attempt) / 1e9,
    }
    total_usd = _total_usd(attempt)
    if total_usd is not None:
        told["$ai_total_cost_usd"] = float(total_usd)
    if (reading := attempt.reading) is not None:
        told |= _ai_usage(reading.usage)
        if total_usd is not None or "gemini" not in str(who["model"]):
            told["$ai_reasoning_tokens"] = reading.usage.reasoning_tokens
        if call.stream and reading.first_token_ns:
            told["$ai_time_to_first_token"] = (reading.first_token_ns - attempt.started_ns) / 1e9
        if tools := tool_names(reading):
            told["$ai_tools_called"] = ",".join(tools)
    return told


def words_of_generation(exchange: Exchange, attempt: Attempt, who: Properties) -> Properties:
    """What the same attempt has in common with many, beside `who` answered (`of_attempt`). The caller must be known."""
    call, caller = exchange.call or NO_CALL, exchange.caller
    assert caller is not None
    provider = str(who["provider"])
    error_type, code = error_of(exchange, attempt)
    reading = attempt.reading
    tier = reading.usage.service_tier if reading else None
    return {
        "$ai_span_name": caller.agent_step_name or caller.prompt_name,
        "$ai_provider": _POSTHOG_PROVIDERS.get(provider, provider),
        "$ai_model": who["model"],
        "$ai_base_url": _origin(attempt.target.provider.base_url),
        "$ai_http_status": attempt.http_status,
        "$ai_cache_reporting_exclusive": False,
        "$ai_cost_passthrough": None if _total_usd(attempt) is None else True,  # PostHog is not to make its own
        "$ai_is_error": error_type is not None,
        "$ai_error": error_type,
        "$ai_error_type": code,
        "$ai_prompt_name": caller.prompt_name,
        "$ai_prompt_version": caller.prompt_version_id,
        "$ai_stream": call.stream,
        "$ai_temperature": call.temperature,
        "$ai_max_tokens": call.max_tokens,
        "$ai_stop_reason": finish_reason(reading.finish_reason) if reading else None,
        "$ai_tool_call_count": reading.tool_call_count if reading else None,
        "$ai_service_tier": tier if tier in SERVICE_TIERS else None,
    }


def ai_trace_id(trace_id: str) -> str:
    """The trace id with characters outside PostHog's set replaced by `_`."""
    return _NOT_IN_TRACE_ID.sub("_", trace_id)


def error_of(exchange: Exchange, attempt: Attempt) -> tuple[ErrorType | None, str | None]:
    """The attempt's own error; for the last one also what ended the call (the client's leaving, a cut stream)."""
    fate = exchange.fate
    if attempt.error_type is None and attempt is exchange.final_attempt and fate and not fate.is_completed:
        return fate.error_type, error_code(fate.error_code)
    return attempt.error_type, error_code(attempt.error_code)


def _ai_usage(usage: Usage) -> Properties:
    return {
        "$ai_input_tokens": usage.input_tokens,
        "$ai_output_tokens": usage.output_tokens,
        "$ai_cache_read_input_tokens": usage.cached_input_tokens,
        "$ai_cache_creation_input_tokens": usage.cache_creation_input_tokens,
        "$ai_cache_creation_5m_input_tokens": usage.cache_creation_5m_tokens,
        "$ai_cache_creation_1h_input_tokens": usage.cache_creation_1h_tokens,
        "$ai_audio_input_tokens": usage.audio_input_tokens,
        "$ai_audio_output_tokens": usage.audio_output_tokens,
        "$ai_image_input_tokens": usage.image_input_tokens,
        "$ai_image_output_tokens": usage.image_output_tokens,
        "$ai_web_search_count": usage.web_search_calls,
    }


def _total_usd(attempt: Attempt) -> Decimal | None:
    return attempt.cost.total_usd if attempt.cost else None


@lru_cache(maxsize=256)
def _origin(base_url: str) -> str:
    """Scheme, host and port alone; whatever else configuration put into the URL stays at home."""
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
