"""Content for keeping: held back while the call runs, handed over when it has ended. References alone, no work."""

from proxy.domain.call_properties import latency_ns
from proxy.domain.capture import Captured, CapturePolicy, Tap, tap_of
from proxy.domain.errors import Status
from proxy.domain.exchange import Exchange
from proxy.pipeline.acquaint import acquaint
from proxy.pipeline.call import Call
from proxy.pipeline.services import Services

REQUEST_LIMIT_BYTES = 8 << 20
"""A longer request is left out: it would have to pass through a pipe."""


def tap_for(policy: CapturePolicy, call: Call) -> Tap | None:
    """What is to be held of this call; None where nothing is, as for all that is no model call."""
    exchange = call.exchange
    if exchange.call is None or not exchange.endpoint.is_model_call:
        return None
    caller = acquaint(call)  # whole traces are kept or left
    model = exchange.call.requested_model
    return tap_of(policy, call.raw.headers, model=model, key_alias=caller.key_alias, trace_id=caller.trace_id)


def hand_over(exchange: Exchange, services: Services) -> None:
    """Give what was held to whoever keeps it. The fate must be known; returns at once."""
    tap, caller, fate = exchange.tap, exchange.caller, exchange.fate
    if tap is None or services.content is None or caller is None or fate is None:
        return
    exchange.tap = None
    if tap.rule.on_error_only and fate.status is Status.SUCCESS:
        return
    has_request = tap.with_request and tap.request is not None and len(tap.request) <= REQUEST_LIMIT_BYTES
    services.content.keep(
        Captured(
            exchange_id=exchange.exchange_id,
            trace_id=caller.trace_id,
            distinct_id=caller.distinct_id,
            ended_unix_us=exchange.received_unix_us + latency_ns(exchange) // 1_000,
            level=tap.rule.level,
            max_bytes=tap.rule.max_bytes,
            request=tap.request if has_request else None,
            reply=tap.pieces,
        )
    )
