"""The one async stage: attempts in the plan's order until one is willing, then the byte pump.

Before commit (the head goes to the client) another attempt may be made; after it, never. Each attempt is built
from the original request. A client's leaving is never the target's failure.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass

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
    call: Call
    patience: Patience
    reply: UpstreamReply
    pump: Pump
    held: bytes | None = None

    def close(self) -> None:
        """Leave the provider, and close the books of the attempt."""
        self.pump.finish(is_broken=True)
        self.reply.close()
        self.patience.close()
        _seal(self.attempt, self.call)


@asynccontextmanager
async def relay(plan: Plan, call: Call) -> AsyncIterator[Reply]:
    """Yield the reply of the first willing target. Raises UpstreamError when the last one could not be reached."""
    try:
        trial = await _first_willing(plan, call)
        try:
            reply = await reply_of(trial.reply, trial.pump, trial.attempt, call, held=trial.held)
            call.exchange.committed_ns = call.services.clock.monotonic_ns()
            yield reply
        finally:
            trial.close()
    except UpstreamError:
        if (fault := _fault_of_client(call)) is not None:
            raise fault from None
        raise


def _fault_of_client(call: Call) -> RequestError | None:
    """What was wrong with a body that was passed on as it came; the HTTP client tells it as a broken connection."""
    return call.body.error if isinstance(call.body, StreamedBody) else None


async def _first_willing(plan: Plan, call: Call) -> _Trial:
    """Try each candidate once; the trial that is returned is open."""
    candidates = _candidates(plan, call)
    while True:
        target = candidates.pop(0)
        attempt = _new_attempt(target, call)
        with_usage = wants_injection(call, target)
        try:
            trial = await _try(attempt, call, with_usage=with_usage)
        except UpstreamError as error:
            if not candidates or not may_retry(plan.retries, error=error):
                raise
            candidates = await _still_worth_asking(candidates, attempt, None, call)
            continue
        with ExitStack() as leaving:
            leaving.callback(trial.close)
            if with_usage and await _refuses_usage(trial, call):
                candidates.insert(0, target)
                continue
            if may_retry(plan.retries, status=trial.reply.status):
                retry_after = header(trial.reply.headers, "retry-after")
                candidates = await _still_worth_asking(candidates, attempt, retry_after, call)
                if candidates:
                    continue
            leaving.pop_all()
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


async def _try(attempt: Attempt, call: Call, *, with_usage: bool) -> _Trial:
    """Send one attempt and wait until its reply has begun. Raises UpstreamError."""
    clock = call.services.clock

    def begun() -> None:
        attempt.first_byte_ns = clock.monotonic_ns()
        patience.begin()

    request = build_request(call, attempt, with_usage=with_usage, on_begun=begun)
    patience = Patience(request.timeouts)
    attempt.sent_ns = clock.monotonic_ns()
    try:
        reply = await _send(request, patience, call)
    except BaseException as error:
        if isinstance(error, UpstreamError) and _fault_of_client(call) is None:
            attempt.error_type = error.error_type
        patience.close()
        _seal(attempt, call)
        raise
    attempt.http_status = reply.status
    pump = _pump_of(reply, attempt, call, patience, with_usage=with_usage)
    return _Trial(attempt=attempt, call=call, patience=patience, reply=reply, pump=pump)


async def _send(request: UpstreamRequest, patience: Patience, call: Call) -> UpstreamReply:
    """Wait until the reply begins, be it before the request has ended; from then on it is awaited as any other."""
    body = call.body if isinstance(call.body, StreamedBody) else None
    if body is not None:
        body.on_turn = patience.on_turn
    try:
        with patience:
            return await call.services.upstream.send(request)
    finally:
        if body is not None:
            body.on_turn = nobody_waits
            patience.on_turn(False)


def _pump_of(reply: UpstreamReply, attempt: Attempt, call: Call, patience: Patience, *, with_usage: bool) -> Pump:
    endpoint = call.exchange.endpoint
    encoding = (header(reply.headers, "content-encoding") or "identity").lower()
    strips_usage = with_usage and reply.status < 300 and encoding == "identity"
    editors: list[Editor] = [UsageStripper()] if strips_usage else []
    if attempt.target.provider.api_key is not None and reply.status >= 400:
        editors.append(KeyMask(attempt.target.provider.api_key))
    return Pump(
        reply,
        attempt,
        decoder_for(endpoint.api, header(reply.headers, "content-type") or "", reply.status),
        call.services.clock,
        patience,
        editors=editors,
        tap=call.exchange.tap,
        keeps_length=not strips_usage,
        side=None if encoding == "identity" else call.services.side_decompressor(encoding),
    )


async def _refuses_usage(trial: _Trial, call: Call) -> bool:
    """True when the provider turned the call down because of the injected `stream_options`."""
    if trial.reply.status not in (400, 422):
        return False
    trial.held = await trial.pump.read(REFUSAL_LIMIT_BYTES)
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
