"""Traces and steps of agents that say nothing of either: what a call goes on with, and what may go on from it.

`stitch` runs when a request has been read, `remember` when its reply has ended, before the caller can have answered it.
What both rely on stands in the shared memory, so it does not matter which worker serves the next call.
"""

import logging
from collections.abc import Iterator, Sequence
from functools import partial

from proxy.domain import agent_steps
from proxy.domain.conversation import Conversation, said
from proxy.domain.exchange import Exchange
from proxy.domain.identity import Caller, joined
from proxy.domain.meter import Reading
from proxy.domain.stitching import (
    NOBODYS,
    Asked,
    Keys,
    Thread,
    Trail,
    asked_of,
    claimed,
    packed_request,
    repeats_before,
    tenant_of,
    trail_of,
)
from proxy.domain.tool_calls import ToolCall, is_drawn
from proxy.domain.trace_source import TraceSource
from proxy.pipeline.call import Call
from proxy.pipeline.ports import SharedMemory
from proxy.pipeline.services import Services, Snapshot

log = logging.getLogger(__name__)

_NEW = TraceSource.NEW


def stitch(conversation: Conversation, call: Call) -> None:
    """Find the trace that the call goes on with, and the steps that its request ends. Never raises."""
    exchange, raw, snapshot, services = call.exchange, call.raw, call.snapshot, call.services
    try:
        caller = exchange.caller
        assert caller is not None
        tenant = tenant_of(raw.headers, raw.target.raw_query, call.credentials.key)
        keys = Keys(tenant, "" if caller.is_anonymous else caller.distinct_id, snapshot.secret)
        thread = exchange.thread = Thread(keys=keys, conversation=conversation)
        if conversation.results:
            _find_steps(thread, services.shared)
        if caller.trace_source is _NEW and (found := _found(thread, exchange, services.shared)) is not None:
            source, trail = found
            exchange.caller = joined(caller, trail.trace_id, source, snapshot.identity.secret)
            thread.step = max(thread.step, trail.step)
        if thread.steps or not caller.is_anonymous:
            services.later(partial(_follow_up, exchange, thread, snapshot, services))
    except Exception:
        log.exception("a trace could not be stitched", extra={"exchange_id": exchange.exchange_id})


def remember(exchange: Exchange, services: Services) -> None:
    """Note by what the next request of the conversation will be known. Never raises."""
    thread, caller, attempt = exchange.thread, exchange.caller, exchange.final_attempt
    if thread is None or caller is None or attempt is None:
        return
    try:
        reading = attempt.reading
        if reading is not None and attempt.http_status is not None and attempt.http_status < 300:
            _remember_reply(exchange, thread, caller, reading, services)
        if exchange.fate is None or not exchange.fate.is_completed:
            request = thread.keys.trace_of_request(thread.conversation.asked, _model(exchange))
            _claim(request, Trail(caller.trace_id, thread.step).packed(), services.shared)
    except Exception:
        log.exception("a reply could not be remembered", extra={"exchange_id": exchange.exchange_id})


def _find_steps(thread: Thread, shared: SharedMemory) -> None:
    conversation, steps = thread.conversation, []
    for result in conversation.results:
        asked = asked_of(shared.recall(thread.keys.asked(result.call_id, conversation.followed)))
        if asked is not None:
            steps.append((result, asked))
            thread.step = max(thread.step, asked.step)
    thread.steps = tuple(steps)


def _found(thread: Thread, exchange: Exchange, shared: SharedMemory) -> tuple[TraceSource, Trail] | None:
    """The first trail that may be followed."""
    is_anonymous = exchange.caller is None or exchange.caller.is_anonymous
    for source, key in _ways(thread, exchange):
        trail = trail_of(shared.recall(key))
        if trail is not None and source is not TraceSource.RESPONSE:  # which the caller names, as often as it likes
            by_stranger = source is TraceSource.PREFIX and is_anonymous
            trail = trail.followed(thread.conversation.asked, by_stranger=by_stranger)
            if trail is not None:
                shared.remember(key, trail.packed() or NOBODYS)
        if trail is not None:
            return source, trail
    return None


def _ways(thread: Thread, exchange: Exchange) -> Iterator[tuple[TraceSource, bytes]]:
    """By what the trace may be known, the surest first."""
    keys, conversation = thread.keys, thread.conversation
    for stored in (conversation.response_id, conversation.conversation_id):
        if stored is not None:
            yield TraceSource.RESPONSE, keys.response(stored)
    for result in conversation.results:
        if is_drawn(result.call_id):
            yield TraceSource.TOOL_CALL, keys.tool_call(result.call_id)
    if exchange.caller is not None and exchange.caller.retry_count:
        yield TraceSource.RETRY, keys.trace_of_request(conversation.asked, _model(exchange))
    if conversation.followed is not None:
        yield TraceSource.PREFIX, keys.conversation(conversation.followed)
    if conversation.earlier_call is not None and is_drawn(conversation.earlier_call):
        yield TraceSource.TOOL_CALL, keys.tool_call(conversation.earlier_call)


def _remember_reply(exchange: Exchange, thread: Thread, caller: Caller, reading: Reading, services: Services) -> None:
    keys, conversation, shared = thread.keys, thread.conversation, services.shared
    trail = Trail(caller.trace_id, thread.step + bool(reading.tool_call_count))
    packed = trail.packed()
    if exchange.endpoint.api == "responses":
        for stored in (reading.response_id, conversation.conversation_id):
            if stored is not None and packed is not None:
                shared.remember(keys.response(stored), packed)
    digest = said(conversation.asked, reading.answer_head, reading.tool_names, keys.secret)
    if digest is not None:
        _claim(keys.conversation(digest), packed, shared)
    if reading.tool_calls:
        _remember_calls(exchange, thread, trail, reading.tool_calls, digest, services)


def _remember_calls(
    exchange: Exchange,
    thread: Thread,
    trail: Trail,
    calls: Sequence[ToolCall],
    digest: bytes | None,
    services: Services,
) -> None:
    keys, shared, packed = thread.keys, services.shared, trail.packed()
    now_unix_ms = services.clock.unix_us() // 1_000
    for ordinal, call in enumerate(calls):
        if not call.id:
            continue
        retries = int.from_bytes(shared.revise(keys.same_call(trail.trace_id, call), _one_more) or b"")
        if is_drawn(call.id):
            _claim(keys.tool_call(call.id), packed, shared)
        asked = Asked(
            at_unix_ms=now_unix_ms,
            step=trail.step,
            retries=retries,
            ordinal=ordinal,
            attempt=len(exchange.attempts) - 1,
            exchange_id=exchange.exchange_id,
            name=call.name,
        )
        shared.remember(keys.asked(call.id, digest), asked.packed())


def _one_more(known: bytes | None) -> bytes:
    return min(int.from_bytes(known or b"") + 1, 255).to_bytes(1)


def _claim(key: bytes, packed: bytes | None, shared: SharedMemory) -> None:
    shared.revise(key, lambda known: claimed(known, packed))


def _follow_up(exchange: Exchange, thread: Thread, snapshot: Snapshot, services: Services) -> None:
    """What has time until the caller is served. Never raises."""
    try:
        if exchange.caller is not None and not exchange.caller.is_anonymous:
            _count_repeat(exchange, thread, services.shared)
        for result, asked in thread.steps:
            if services.shared.remember(thread.keys.reported(asked.exchange_id, asked.ordinal), b""):
                row = agent_steps.step_row(exchange, result, asked, snapshot.events)
                if row.events:
                    services.journal.note(row)
    except Exception:
        log.exception("a step could not be reported", extra={"exchange_id": exchange.exchange_id})


def _count_repeat(exchange: Exchange, thread: Thread, shared: SharedMemory) -> None:
    now_unix_ms = exchange.received_unix_us // 1_000

    def counted(known: bytes | None) -> bytes:
        repeats = thread.repeat_count = repeats_before(known, now_unix_ms)
        return packed_request(now_unix_ms, repeats)

    shared.revise(thread.keys.request(thread.conversation.asked, _model(exchange)), counted)


def _model(exchange: Exchange) -> str:
    return (exchange.call.requested_model if exchange.call else None) or ""
