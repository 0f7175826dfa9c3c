"""The one async stage: attempts in the plan's order until one is willing, then the byte pump.

Before commit (the head goes to the client) another attempt may be made; after it, never. Each attempt is built
from the original request. A client's leaving is never the target's failure.
"""

import asyncio
from collections.abc import Awaitable

from proxy.domain.errors import UpstreamError
from proxy.domain.exchange import Attempt
from proxy.domain.provider_errors import errors_of_provider
from proxy.domain.retry import may_retry, retry_pause_s
from proxy.domain.routing import Plan, Target
from proxy.pipeline.begin import introduce
from proxy.pipeline.call import Body, Call
from proxy.pipeline.client_body import StreamedBody, nobody_waits
from proxy.pipeline.patience import Patience
from proxy.pipeline.ports import Clock, UpstreamReply, UpstreamRequest
from proxy.pipeline.pump import Editor, KeyMask, Pump
from proxy.pipeline.reply import reply_of
from proxy.pipeline.services import Deliver
from proxy.pipeline.upstream_request import build_request, wants_injection
from proxy.providers.codecs import decoder_for, media_type_of
from proxy.providers.include_usage import UsageStripper

REFUSAL_LIMIT_BYTES = 65_536
"""How much of a 400 or 422 is read to learn whether it refuses the injected `stream_options`."""


async def relay(plan: Plan, body: Body, call: Call, deliver: Deliver) -> tuple[Pump, Awaitable[None]]:
    """The first willing target's reply, to be left when it has been delivered, and the delivery, which has not begun.

    Raises UpstreamError when the last target could not be reached.
    """
    pump = await _first_willing(plan, body, call)
    try:
        reply = await reply_of(pump, call)
    except BaseException:
        leave(pump, call.services.clock)
        raise
    call.exchange.committed_ns = call.services.clock.monotonic_ns()
    return pump, deliver(reply)


async def _first_willing(plan: Plan, body: Body, call: Call) -> Pump:
    """Try each candidate once; whoever gets the pump leaves it."""
    candidates = _candidates(plan, body)
    while True:
        target = candidates.pop(0)
        with_usage = wants_injection(call, target)
        try:
            pump = await _try(target, plan, body, call, with_usage=with_usage)
        except UpstreamError as error:
            if not candidates or not may_retry(plan.retries, error=error):
                raise
            candidates = await _still_worth_asking(candidates, None, call)
            continue
        try:
            if with_usage and await _refuses_usage(pump, call):
                candidates.insert(0, target)
            elif not candidates or not may_retry(plan.retries, status=pump.reply.status):
                return pump
            else:
                retry_after = pump.reply.headers.first("retry-after")
                candidates = await _still_worth_asking(candidates, retry_after, call)
                if not candidates:
                    return pump
        except BaseException:
            leave(pump, call.services.clock)
            raise
        leave(pump, call.services.clock)


async def _still_worth_asking(candidates: list[Target], retry_after: str | None, call: Call) -> list[Target]:
    """Pause before the same target is asked again; leave it out where it asks for more time than that."""
    failed = call.exchange.final_attempt
    assert failed is not None
    if candidates[:1] == [failed.target]:
        draw = call.services.random_bytes(1)[0] / 256
        pause_s = retry_pause_s(failed.ordinal, retry_after, draw)
        if pause_s is None:
            return [candidate for candidate in candidates if candidate != failed.target]
        await asyncio.sleep(pause_s)
    return candidates


def _candidates(plan: Plan, body: Body) -> list[Target]:
    """The drawn target as often as retries allow, then each fallback once; a streamed body can be sent only once."""
    first = plan.targets[0]
    return [first] if isinstance(body, StreamedBody) else [first] * plan.retries.max + [*plan.targets]


async def _try(target: Target, plan: Plan, body: Body, call: Call, *, with_usage: bool) -> Pump:
    """Send one attempt, get to know the caller meanwhile, and wait until the reply has begun. Raises UpstreamError."""
    exchange, now_ns = call.exchange, call.services.clock.monotonic_ns
    attempt = Attempt(ordinal=len(exchange.attempts), target=target, started_ns=now_ns())
    exchange.add(attempt)

    def sent() -> None:
        attempt.reached_provider = True
        introduce(call, plan)

    def begun() -> None:
        attempt.first_byte_ns = now_ns()
        patience.begin()

    request = build_request(body, target, call, with_usage=with_usage, on_sent=sent, on_begun=begun)
    patience = Patience(request.timeouts)
    attempt.sent_ns = now_ns()
    try:
        if isinstance(body, StreamedBody):
            reply = await _send_streamed(request, body, patience, call)
        else:
            with patience:
                reply = await call.services.upstream.send(request)
    except BaseException as error:
        if isinstance(error, UpstreamError):
            attempt.error_type = error.error_type
        patience.close()
        _seal(attempt, call.services.clock)
        raise
    attempt.http_status = reply.status
    return _pump_of(reply, attempt, call, patience, with_usage=with_usage)


async def _send_streamed(request: UpstreamRequest, body: StreamedBody, patience: Patience, call: Call) -> UpstreamReply:
    """Wait until the reply begins, be it before the request has ended; from then on it is awaited as any other."""
    body.on_turn = patience.on_turn
    try:
        with patience:
            return await call.services.upstream.send(request)
    finally:
        body.on_turn = nobody_waits
        patience.on_turn(False)


def _pump_of(reply: UpstreamReply, attempt: Attempt, call: Call, patience: Patience, *, with_usage: bool) -> Pump:
    status, content_type = reply.status, reply.headers.first("content-type") or ""
    encoding = (reply.headers.first("content-encoding") or "identity").lower()
    strips_usage = with_usage and status < 300 and encoding == "identity"
    editors: list[Editor] = [UsageStripper()] if strips_usage else []
    if status >= 400 and (our_key := attempt.target.provider.api_key) is not None:
        editors.append(KeyMask(our_key))
    return Pump(
        reply,
        attempt,
        decoder_for(call.exchange.endpoint.api, content_type, status),
        call.services.clock,
        patience,
        media_type=media_type_of(content_type),
        editors=editors,
        tap=call.exchange.tap,
        keeps_length=not strips_usage,
        side=None if encoding == "identity" else call.services.side_decompressor(encoding),
    )


async def _refuses_usage(pump: Pump, call: Call) -> bool:
    """True when the provider turned the call down because of the injected `stream_options`."""
    if pump.reply.status not in (400, 422):
        return False
    held = await pump.read(REFUSAL_LIMIT_BYTES)
    if held is None or not (b"stream_options" in held or b"include_usage" in held):
        return False
    call.services.refuses_usage.add(pump.attempt.target.provider.name)
    return True


def leave(pump: Pump, clock: Clock) -> None:
    """Leave the provider, and close the books of the attempt."""
    pump.close()
    _seal(pump.attempt, clock)


def _seal(attempt: Attempt, clock: Clock) -> None:
    """Close the books of one attempt when its connection is left."""
    if attempt.ended_ns is None:
        attempt.ended_ns = clock.monotonic_ns()
    if attempt.error_type is None and attempt.http_status is not None and attempt.http_status >= 300:
        raw_code = attempt.reading.error_code if attempt.reading else None
        attempt.error_type, attempt.error_code = errors_of_provider(attempt.http_status, raw_code)
