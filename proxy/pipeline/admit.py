"""Admission: the body is taken, and read as far as must be known to send it on."""

import asyncio

from proxy.domain import chat
from proxy.domain.endpoints import BodyKind, Dialect, gemini_model
from proxy.domain.errors import UnsupportedEncoding
from proxy.domain.request_facts import read_facts
from proxy.pipeline.acquaint import acquaint
from proxy.pipeline.call import Body, Call
from proxy.pipeline.client_body import StreamedBody, WholeBody, read_whole

LARGE_BODY_BYTES = 131_072
"""A longer body is read in another process: to read it here would hold up every other call."""
FORM_PEEK_BYTES = 65_536
"""How far into a multipart body its `model` field is looked for; the file often stands before it."""


async def admit(call: Call) -> Body:
    """Take the body and fill `exchange.call` with what decides where it goes."""
    exchange = call.exchange
    if exchange.endpoint.body is BodyKind.STREAMED:
        body: Body = await _streamed_body(call)
    else:
        body = await _whole_body(call)
    exchange.admitted_ns = call.services.clock.monotonic_ns()
    return body


async def _streamed_body(call: Call) -> StreamedBody:
    body = StreamedBody(call.raw, call.snapshot.limits)
    if call.exchange.endpoint.is_model_call:
        call.exchange.call = chat.ModelCall(requested_model=await body.peek(FORM_PEEK_BYTES, chat.model_of_form))
    return body


async def _whole_body(call: Call) -> WholeBody:
    raw, exchange, snapshot, services = call.raw, call.exchange, call.snapshot, call.services
    encoding = (raw.headers.first("content-encoding") or "identity").strip().lower()
    if "," in encoding:
        raise UnsupportedEncoding("Send the body with at most one Content-Encoding.", code="unsupported_encoding")
    data = decoded = await read_whole(raw, snapshot.limits)
    exchange.body_received_ns = services.clock.monotonic_ns()
    if encoding != "identity":
        decoded = await asyncio.to_thread(services.decode_copy, data, encoding, snapshot.limits.body_bytes)
    if len(decoded) > LARGE_BODY_BYTES:
        facts, parsed = await services.read_elsewhere(decoded, exchange.endpoint, snapshot.hashing), None
    else:
        parsed = chat.parse(decoded)
        facts = read_facts(parsed, decoded, exchange.endpoint)
    model_call = facts.call
    if exchange.endpoint.dialect is Dialect.GEMINI:
        path = raw.target.raw_path
        model_call = chat.with_path_facts(model_call, model=gemini_model(path), raw_path=path)
    exchange.call, exchange.parsed = model_call, parsed
    if facts.provenance is not None:
        acquaint(call, facts.provenance)
    return WholeBody(raw=data, decoded=decoded, facts=facts)
