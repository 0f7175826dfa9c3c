"""What an exchange says, as event properties.

Every value comes from a typed slot: a count, a time, an enum, a name from configuration, or a client's analytics
value that `identity` has checked. What a provider may choose freely (tool names, finish reasons, codes, tiers) is
mapped onto a closed list or a strict form here. Unknown is None; the table's check drops it.
"""

import re
from collections.abc import Sequence

from proxy import __version__
from proxy.domain.chat import ModelCall
from proxy.domain.checks import Evaluation
from proxy.domain.errors import ErrorType, Status
from proxy.domain.event_properties import length_bucket
from proxy.domain.exchange import Attempt, Exchange
from proxy.domain.flag_properties import of_flags
from proxy.domain.identity import Caller
from proxy.domain.meter import OutputCategory, Reading, output_category
from proxy.domain.pricing import CostStatus
from proxy.domain.provider_errors import OTHER, error_code, finish_reason
from proxy.domain.routing import Target
from proxy.domain.usage import Usage, UsageSource

Properties = dict[str, object]

_TOOL_NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,128}")
NO_USAGE = Usage()
NO_CALL = ModelCall()
_UNKNOWN, _UNKNOWN_COST = UsageSource.UNKNOWN, CostStatus.UNKNOWN
_BLOCKED, _CONTENT_FILTER = Status.BLOCKED, ErrorType.CONTENT_FILTER
_REPORTED = {UsageSource.PARTIAL: UsageSource.PROVIDER, UsageSource.NONE: UsageSource.UNKNOWN}
"""What was on the wire before estimating, told as what stands after it."""


def of_call(exchange: Exchange, caller: Caller, trace_url: str) -> Properties:
    """What is said, and the same, on every event of the call."""
    return {**ids_of_call(exchange, caller, trace_url), **words_of_call(exchange, caller)}


def ids_of_call(exchange: Exchange, caller: Caller, trace_url: str) -> Properties:
    """Of what is said on every event, that which is another for each call, user or prompt."""
    return {
        "exchange_id": exchange.exchange_id,
        "trace_id": caller.trace_id,
        "request_id": caller.request_id,
        "trace_url": trace_url or None,
        "task_id": caller.task_id,
        "$session_id": caller.session_id,
        "$groups": dict(caller.groups) if caller.groups else None,
        "prompt_hash": caller.prompt_hash,
        "dataset_example_id": caller.dataset_example_id,
        "analytics_warnings": list(caller.warnings) if caller.warnings else None,
        **of_flags(exchange.decisions, caller.flags),
    }


def words_of_call(exchange: Exchange, caller: Caller) -> Properties:
    """Of what is said on every event, that which many calls have in common."""
    call = exchange.call or NO_CALL
    return {
        "trace_source": caller.trace_source,
        "environment": caller.environment,
        "key_alias": caller.key_alias,
        "proxy_version": __version__,
        "distinct_id_hashed": True if caller.distinct_id_hashed else None,
        "prompt_name": caller.prompt_name,
        "prompt_version_id": caller.prompt_version_id,
        "prompt_version_source": caller.prompt_version_source,
        "temperature": call.temperature,
        "retrieval_config_id": caller.retrieval_config_id,
        "agent_config_id": caller.agent_config_id,
        "agent_step_name": caller.agent_step_name,
        "document_type": caller.document_type,
        "task_type": caller.task_type,
        "requested_model": call.requested_model,
        "endpoint": exchange.endpoint.name,
        "dialect": exchange.endpoint.dialect,
        "stream": call.stream if exchange.call else None,
        "$lib": "promptlane",
        "$lib_version": __version__,
        "$geoip_disable": True,
        "$ignore_sent_at": True,
        "$process_person_profile": False if caller.is_anonymous else None,
    }


def of_start(exchange: Exchange, planned: Target | None) -> Properties:
    """What was asked, and who is to answer."""
    return {**of_request(exchange), **_planned(exchange, planned)}


def of_request(exchange: Exchange) -> Properties:
    """How much was asked."""
    call = exchange.call or NO_CALL
    return {"message_count": call.message_count, "tool_count": call.tool_count, "image_count": call.image_count}


def _planned(exchange: Exchange, target: Target | None) -> Properties:
    """Who is to answer; None where the call was refused before that was known."""
    asked = exchange.asked_model
    if target is None:
        return {"model": asked}
    return {"provider": target.provider.label, "model": target.model or asked, "target": target.label}


def of_attempt(exchange: Exchange, attempt: Attempt | None) -> Properties:
    """Who answered, or was asked last."""
    if attempt is None:
        return _planned(exchange, None)
    target, reading = attempt.target, attempt.reading
    answered = reading.model if reading is not None else None
    return {
        "provider": target.provider.label,
        "model": answered or target.model or exchange.asked_model,
        "target": target.label,
        "attempt": attempt.ordinal + 1,
    }


def measures_of_end(exchange: Exchange) -> Properties:
    """Time, size and money of the whole call, and the names that its reply and its checks brought."""
    attempt = exchange.final_attempt
    told = _times(exchange, attempt)
    told["repeat_count"] = exchange.thread.repeat_count if exchange.thread else None
    if attempt is None:
        return told
    if (reading := attempt.reading) is not None:
        usage = reading.usage
        told["input_tokens"] = usage.input_tokens
        told["output_tokens"] = usage.output_tokens
        told["cached_input_tokens"] = usage.cached_input_tokens
        told["cache_creation_input_tokens"] = usage.cache_creation_input_tokens
        told["reasoning_tokens"] = usage.reasoning_tokens
        told["tools_called"] = tool_names(reading)
    told["estimated_cost_usd"] = _cost_usd(exchange.attempts)
    if exchange.evaluation is not None:
        told |= _quality(exchange.evaluation)
    return told


def words_of_end(exchange: Exchange) -> Properties:
    """How the whole call ended, in words and small counts, beside who answered (`of_attempt`)."""
    attempt, fate, caller = exchange.final_attempt, exchange.fate, exchange.caller
    assert fate is not None
    assert caller is not None
    reading = attempt.reading if attempt else None
    return {
        **(_words_of_attempt(attempt) if attempt else {}),
        "status": fate.status,
        "error_type": fate.error_type,
        "error_code": error_code(fate.error_code),
        "http_status": fate.http_status,
        "failed_phase": fate.failed_phase,
        "finish_reason": finish_reason(reading.finish_reason) if reading else None,
        "output_category": _category(exchange, attempt),
        "attempt_count": len(exchange.attempts),
        "retry_count": caller.retry_count,
        "fallback_used": _fell_back(exchange),
        "tool_call_count": reading.tool_call_count if reading else None,
    }


def _fell_back(exchange: Exchange) -> bool:
    attempts = exchange.attempts
    return len(attempts) > 1 and any(tried.target.label != attempts[0].target.label for tried in attempts)


def _quality(evaluation: Evaluation) -> Properties:
    check, finding = evaluation.telling
    return {
        "eval_passed": evaluation.passed,
        "eval_score": evaluation.score,
        "eval_name": check.name,
        "eval_reason_code": finding.reason,
        "eval_failed": [check.name for check in evaluation.failed],
    }


def latency_ns(exchange: Exchange) -> int:
    """Request received → last byte handed to the client; where that never was, until the call ended."""
    return max(0, (exchange.ended_ns or exchange.received_ns) - exchange.received_ns)


def attempt_ns(exchange: Exchange, attempt: Attempt) -> int:
    """How long an attempt took; one that was left open ended with the call."""
    return max(0, (attempt.ended_ns or exchange.ended_ns or attempt.started_ns) - attempt.started_ns)


def _times(exchange: Exchange, attempt: Attempt | None) -> Properties:
    call, received_ns = exchange.call or NO_CALL, exchange.received_ns
    whole_ns = latency_ns(exchange)
    attempts_ns = [attempt_ns(exchange, tried) for tried in exchange.attempts]
    upstream_ns = sum(attempts_ns)
    body_ns = (exchange.body_received_ns or received_ns) - received_ns
    has_begun = exchange.body_received_ns is not None or attempt is not None
    reading = attempt.reading if attempt else None
    first_token_ns = reading.first_token_ns if reading and call.stream else None
    return {
        "latency_ms": _ms(whole_ns),
        "upstream_ms": _ms(upstream_ns) if attempt else None,
        "ttft_ms": _ms(first_token_ns - received_ns) if first_token_ns else None,
        "first_byte_ms": _ms(attempt.first_byte_ns - received_ns) if attempt and attempt.first_byte_ns else None,
        "tokens_per_second": _rate(attempt, attempts_ns[-1]) if attempt else None,
        "proxy_overhead_ms": _ms(max(0, whole_ns - upstream_ns - body_ns)) if has_begun else None,
    }


def _ms(duration_ns: int) -> float:
    """To the microsecond. Whole numbers are divided: `round` of a fraction takes five times as long."""
    return (duration_ns + 500) // 1_000 / 1_000


def _rate(attempt: Attempt, duration_ns: int) -> float | None:
    tokens = attempt.reading.usage.output_tokens if attempt.reading else None
    return round(tokens * 1e9 / duration_ns, 3) if tokens and duration_ns else None


def _words_of_attempt(attempt: Attempt) -> Properties:
    """Who counted the tokens, the classes of their counts, and how sure the cost is."""
    reading, cost = attempt.reading, attempt.cost
    usage, source = (reading.usage, reading.usage_source) if reading else (NO_USAGE, _UNKNOWN)
    return {
        "usage_source": _REPORTED.get(source, source),
        "input_length_bucket": length_bucket(usage.input_tokens),
        "output_length_bucket": length_bucket(usage.output_tokens),
        "cost_status": cost.status if cost else _UNKNOWN_COST,
        "pricing_version": cost.pricing_version if cost else None,
    }


def _cost_usd(attempts: Sequence[Attempt]) -> float | None:
    """Of the whole call: an attempt that failed may have been billed too."""
    known = [tried.cost.total_usd for tried in attempts if tried.cost and tried.cost.total_usd is not None]
    return float(sum(known)) if known else None


def _category(exchange: Exchange, attempt: Attempt | None) -> OutputCategory | None:
    """None where nothing was read that could be categorised; `blocked` also where the filter let nothing through."""
    fate = exchange.fate
    if fate is not None and fate.status is _BLOCKED and fate.error_type is _CONTENT_FILTER:
        return OutputCategory.BLOCKED
    reading = attempt.reading if attempt else None
    if reading is None or not exchange.endpoint.api or exchange.endpoint.is_embedding:
        return None
    is_empty_handed = not reading.output_chars and not reading.tool_call_count and not reading.has_media
    if is_empty_handed and not (fate and fate.is_whole):
        return None
    return output_category(reading, wants_json=(exchange.call or NO_CALL).wants_json)


def tool_names(reading: Reading | None) -> list[str] | None:
    """None where no tool is called. A model can call one that was never offered, by any name that it likes."""
    if reading is None or not reading.tool_names:
        return None
    return list(dict.fromkeys(map(tool_name, reading.tool_names)))


def tool_name(said: str) -> str:
    """The name as the model said it, where it has the form of one."""
    return said if _TOOL_NAME.fullmatch(said) else OTHER


def of_failed_attempt(exchange: Exchange, attempt: Attempt) -> Properties:
    """How an attempt ended that another one followed, beside who was asked (`of_attempt`)."""
    return {
        "latency_ms": _ms(attempt_ns(exchange, attempt)),
        "error_type": attempt.error_type,
        "error_code": error_code(attempt.error_code),
        "http_status": attempt.http_status,
    }
