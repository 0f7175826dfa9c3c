"""Admission: the body is read and understood as far as needed, and the caller is known."""

import asyncio

from proxy.domain import chat
from proxy.domain.endpoints import BodyKind, Dialect, gemini_model
from proxy.domain.errors import UnsupportedEncoding
from proxy.domain.exchange import Exchange
from proxy.domain.identity import Caller, VirtualKey, identify
from proxy.domain.ids import request_id_of, trace_id_of
from proxy.domain.request_facts import RequestFacts, read_facts
from proxy.pipeline.call import Body
from proxy.pipeline.client_body import StreamedBody, WholeBody, read_whole
from proxy.pipeline.services import RawRequest, Services, Snapshot
from proxy.pipeline.stitch import stitch

LARGE_BODY_BYTES = 131_072
"""A longer body is read in another process: to read it here would hold up every other call."""
FORM_PEEK_BYTES = 65_536
"""How far into a multipart body its `model` field is looked for; the file often stands before it."""


async def admit(
    raw: RawRequest, exchange: Exchange, key: VirtualKey | None, snapshot: Snapshot, services: Services
) -> Body:
    """Take the body and fill `exchange.call` and `exchange.caller`; the caller is known even when this raises."""
    body: Body
    prompt_hash = conversation = None
    try:
        if exchange.endpoint.body is BodyKind.STREAMED:
            body = await _streamed_body(raw, exchange, snapshot)
        else:
            body, facts = await _whole_body(raw, exchange, snapshot, services)
            exchange.call = _with_path_facts(facts.call, raw, exchange)
            prompt_hash, conversation = facts.prompt_hash, facts.conversation
        exchange.admitted_ns = services.clock.monotonic_ns()
        return body
    finally:
        exchange.caller = _identify(raw, exchange, key, prompt_hash, snapshot)
        if conversation is not None:
            stitch(conversation, exchange, raw, key, snapshot, services)


async def _streamed_body(raw: RawRequest, exchange: Exchange, snapshot: Snapshot) -> StreamedBody:
    body = StreamedBody(raw, snapshot.limits)
    if exchange.endpoint.is_model_call:
        exchange.call = chat.ModelCall(requested_model=await body.peek(FORM_PEEK_BYTES, chat.model_of_form))
    return body


async def _whole_body(
    raw: RawRequest, exchange: Exchange, snapshot: Snapshot, services: Services
) -> tuple[WholeBody, RequestFacts]:
    """The body, and what it says: parsed it is larger than the bytes, so a stream does not keep it."""
    encoding = (raw.headers.first("content-encoding") or "identity").strip().lower()
    if "," in encoding:
        raise UnsupportedEncoding("Send the body with at most one Content-Encoding.", code="unsupported_encoding")
    data = await read_whole(raw, snapshot.limits)
    exchange.body_received_ns = services.clock.monotonic_ns()
    decoded = data
    if encoding != "identity":
        decoded = await asyncio.to_thread(services.decode_copy, data, encoding, snapshot.limits.body_bytes)
    if len(decoded) > LARGE_BODY_BYTES:
        facts = await services.read_elsewhere(decoded, exchange.endpoint, snapshot.hashing)
    else:
        facts = read_facts(decoded, exchange.endpoint, snapshot.hashing)
    return WholeBody(raw=data, decoded=decoded, facts=facts), facts


def _with_path_facts(call: chat.ModelCall, raw: RawRequest, exchange: Exchange) -> chat.ModelCall:
    if exchange.endpoint.dialect is Dialect.GEMINI:
        return chat.with_path_facts(call, model=gemini_model(raw.target.raw_path), raw_path=raw.target.raw_path)
    return call


def _identify(
    raw: RawRequest,
    exchange: Exchange,
    key: VirtualKey | None,
    prompt_hash: str | None,
    snapshot: Snapshot,
) -> Caller:
    call = exchange.call or chat.ModelCall()
    return identify(
        raw.headers,
        call,
        key,
        snapshot.identity,
        new_trace_id=trace_id_of(exchange.exchange_id),
        new_request_id=request_id_of(exchange.exchange_id),
        prompt_hash=prompt_hash,
    )
