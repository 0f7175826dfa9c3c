"""The one async stage: attempts in the plan's order until one is willing, then the byte pump.

Before commit (the head goes to the client) another attempt may be made; after it, never. Each attempt is built
from the original request. A client's leaving is never the target's failure.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from proxy.domain.errors import RequestError, UpstreamError
from proxy.domain.exchange import Attempt
from proxy.domain.headers import header
from proxy.domain.provider_errors import errors_of_provider
from proxy.domain.retry import may_retry, retry_pause_s
from proxy.domain.routing import Plan, Target
from proxy.pipeline.call import Call
from proxy.pipeline.client_body import StreamedBody, nobody_waits
from proxy.pipeline.patience import Patience
from proxy.pipeline.ports import UpstreamReply, UpstreamRequest
from proxy.pipeline.pump import Editor, KeyMask, Pump
from proxy.pipeline.reply import reply_of
from proxy.pipeline.services import Reply
from proxy.pipeline.upstream_request import build_request, wants_injection
from proxy.providers.codecs import decoder_for
from proxy.providers.include_usage import UsageStripper

REFUSAL_LIMIT_BYTES = 65_536
"""How much of a 400 or 422 is read to learn whether it refuses the injected `stream_options`."""


@dataclass(slots=True, kw_only=True)
class _Trial:
    """One attempt whose reply has begun. `held` is its body where it had to be read already."""

    attempt: Attempt
    reply: UpstreamReply
    pump: Pump
    held: bytes | None = None


@asynccontextmanager
async def relay(plan: Plan, call: Call) -> AsyncIterator[Reply]:
    """Yield the reply of the first willing target. Raises UpstreamError when the last one could not be reached."""
    try:
        async with AsyncExitStack() as stack:
            trial = await _first_willing(plan, call, stack)
            reply = await reply_of(trial.reply, trial.pump, trial.attempt, call, held=trial.held)
            call.exchange.committed_ns = call.services.clock.monotonic_ns()
            yield reply
    except UpstreamError:
        if (fault := _fault_of_client(call)) is not None:
            raise fault from None
        raise


def _fault_of_client(call: Call) -> RequestError | None:
    """What was wrong with a body that was passed on as it came; the HTTP client tells it as a broken connection."""
    return call.body.error if isinstance(call.body, StreamedBody) else None


async def _first_willing(plan: Plan, call: Call, stack: AsyncExitStack) -> _Trial:
    """Try each candidate once; an open trial stays open on `stack`."""
    candidates = _candidates(plan, call)
    while True:
        target = candidates.pop(0)
        attempt = _new_attempt(target, call)
        async with AsyncExitStack() as trial_stack:
            with_usage = wants_injection(call, target)
            try:
                trial = await _try(attempt, call, trial_stack, with_usage=with_usage)
            except UpstreamError as error:
                if not candidates or not may_retry(plan.retries, error=error):
                    raise
                candidates = await _still_worth_asking(candidates, attempt, None, call)
                continue
            if with_usage and await _refuses_usage(trial, call):
                candidates.insert(0, target)
                continue
            if may_retry(plan.retries, status=trial.reply.status):
                retry_after = header(trial.reply.headers, "retry-after")
                candidates = await _still_worth_asking(candidates, attempt, retry_after, call)
                if candidates:
                    continue
            await stack.enter_async_context(trial_stack.pop_all())
            return trial


async def _still_worth_asking(
    candidates: list[Target], failed: Attempt, retry_after: str | None, call: Call
) -> list[Target]:
    """Pause before the same target is asked again; leave it out where it asks for more time than that."""
    if candidates[:1] == [failed.target]:
        draw = call.services.random_bytes(1)[0] / 256
        pause_s = retry_pause_s(failed.ordinal, retry_after, draw)
        if pause_s is None:
            return [candidate for candidate in candidates if candidate != failed.target]
        await asyncio.sleep(pause_s)
    return candidates


def _candidates(plan: Plan, call: Call) -> list[Target]:
    """The drawn target as often as retries allow, then each fallback once; a streamed body can be sent only once."""
    first, *fallbacks = plan.targets
    if isinstance(call.body, StreamedBody):
        return [first]
    return [first] * (1 + plan.retries.max) + fallbacks


def _new_attempt(target: Target, call: Call) -> Attempt:
    attempts = call.exchange.attempts
    attempt = Attempt(ordinal=len(attempts), target=target, started_ns=call.services.clock.monotonic_ns())
    attempts.append(attempt)
    return attempt


async def _try(attempt: Attempt, call: Call, stack: AsyncExitStack, *, with_usage: bool) -> _Trial:
    """Send one attempt and wait for the first byte of its reply. Raises UpstreamError."""
    request = build_request(call, attempt, with_usage=with_usage)
    stack.callback(_seal, attempt, call)
    attempt.sent_ns = call.services.clock.monotonic_ns()
    patience = Patience(request.timeouts)
    try:
        reply = await _send(request, patience, call, stack)
        attempt.http_status = reply.status
        pump = _pump_of(reply, attempt, call, patience, with_usage=with_usage)
        stack.callback(pump.finish, is_broken=True)
        await pump.prime()
    except UpstreamError as error:
        if _fault_of_client(call) is None:
            attempt.error_type = error.error_type
        raise
    return _Trial(attempt=attempt, reply=reply, pump=pump)


async def _send(request: UpstreamRequest, patience: Patience, call: Call, stack: AsyncExitStack) -> UpstreamReply:
    """Wait for the reply's head."""
    body = call.body if isinstance(call.body, StreamedBody) else None
    try:
        async with asyncio.timeout_at(patience.until_s(is_begun=False)) as limit:
            if body is not None:
                body.on_turn = partial(_take_turns, patience, limit)
            return await stack.enter_async_context(call.services.upstream.send(request))
    except TimeoutError:
        raise patience.error() from None
    finally:
        if body is not None:  # a reply may begin before the request has ended; from here on it is awaited as any other
            body.on_turn = nobody_waits
            patience.on_turn(False)


def _take_turns(patience: Patience, limit: asyncio.Timeout, is_clients: bool) -> None:
    patience.on_turn(is_clients)
    if not limit.expired():
        limit.reschedule(patience.until_s(is_begun=False))


def _pump_of(reply: UpstreamReply, attempt: Attempt, call: Call, patience: Patience, *, with_usage: bool) -> Pump:
    endpoint = call.exchange.endpoint
    encoding = (header(reply.headers, "content-encoding") or "identity").lower()
    strips_usage = with_usage and reply.status < 300 and encoding == "identity"
    editors: list[Editor] = [UsageStripper()] if strips_usage else []
    if attempt.target.provider.api_key is not None and reply.status >= 400:
        editors.append(KeyMask(attempt.target.provider.api_key))
    return Pump(
        reply.chunks(),
        attempt,
        decoder_for(endpoint.api, header(reply.headers, "content-type") or "", reply.status),
        call.services.clock,
        patience,
        editors=editors,
        keeps_length=not strips_usage,
        side=None if encoding == "identity" else call.services.side_decompressor(encoding),
    )


async def _refuses_usage(trial: _Trial, call: Call) -> bool:
    """True when the provider turned the call down because of the injected `stream_options`."""
    if trial.reply.status not in (400, 422):
        return False
    trial.held = await trial.pump.take(REFUSAL_LIMIT_BYTES)
    if trial.held is None or not (b"stream_options" in trial.held or b"include_usage" in trial.held):
        return False
    call.services.refuses_usage.add(trial.attempt.target.provider.name)
    return True


def _seal(attempt: Attempt, call: Call) -> None:
    """Close the books of one attempt when its connection is left."""
    if attempt.ended_ns is None:
        attempt.ended_ns = call.services.clock.monotonic_ns()
    if attempt.error_type is None and attempt.http_status is not None and attempt.http_status >= 300:
        raw_code = attempt.reading.error_code if attempt.reading else None
        attempt.error_type, attempt.error_code = errors_of_provider(attempt.http_status, raw_code)
