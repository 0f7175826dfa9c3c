"""Every provider-facing path: a request as it was read → RawRequest; Reply → the client's bytes. Decides nothing."""

import logging
from collections.abc import AsyncIterator, Mapping
from functools import partial

from aiohttp import HttpVersion11, web
from aiohttp.web_protocol import RequestPayloadError

from proxy.domain.errors import BadRequest, NotFound, ProxyError
from proxy.domain.fields import Fields, fields_of, names_of
from proxy.domain.ids import new_exchange_id
from proxy.domain.paths import RequestTarget
from proxy.pipeline.handle import endpoint_of, handle
from proxy.pipeline.services import RawRequest, Services
from proxy.web.errors import error_reply, new_incident_id
from proxy.web.plain_head import PlainHead
from proxy.web.reply_writer import ReplyWriter
from proxy.web.server import message_of

_WITHOUT_VERSION = (
    "/chat/", "/responses", "/embeddings", "/completions", "/models", "/messages", "/images/", "/audio/",
    "/moderations",
)  # fmt: skip

log = logging.getLogger(__name__)


async def relay_call(raw: RawRequest, writer: ReplyWriter, services: Services) -> None:
    """Carry one call to its provider and back. What fails is told to the client, or breaks its connection."""
    try:
        await handle(raw, services, partial(writer.send, unix_s=raw.received_unix_us // 1_000_000))
    except ConnectionError:
        writer.cut()
    except ProxyError as error:
        await _fail(error, writer, raw)
    except Exception:
        log.exception("a bug while relaying a call", extra={"exchange_id": raw.exchange_id})
        public = ProxyError("The proxy failed to handle the request. Quote the incident id to its operator.")
        await _fail(public, writer, raw)


def raw_request(request: web.BaseRequest, target: RequestTarget, services: Services) -> RawRequest:
    """The request as the pipeline takes it, its body not yet read."""
    message = message_of(request)
    received_unix_us = services.clock.unix_us()
    arrived = _arrived(request)
    return RawRequest(
        exchange_id=new_exchange_id(received_unix_us, services.random_bytes(10)),
        method=message.method,
        target=target,
        headers=_fields(message.headers),
        body=_body(request) if arrived is None else _whole(arrived),
        arrived=arrived,
        has_body=request.body_exists,
        content_length=request.content_length,
        received_ns=services.clock.monotonic_ns(),
        received_unix_us=received_unix_us,
    )


def plain_request(head: PlainHead, body: bytes, services: Services) -> RawRequest:
    """The same of a request that has come whole."""
    received_unix_us = services.clock.unix_us()
    return RawRequest(
        exchange_id=new_exchange_id(received_unix_us, services.random_bytes(10)),
        method=head.method,
        target=head.target,
        headers=head.headers,
        body=_whole(body),
        arrived=body,
        has_body=bool(body),
        content_length=head.content_length,
        received_ns=services.clock.monotonic_ns(),
        received_unix_us=received_unix_us,
    )


def _fields(headers: Mapping[str, str]) -> Fields:
    spelled = tuple(headers)
    if len(spelled) < len(headers):  # iterating has left out what is repeated
        return fields_of(headers.items())
    return Fields(names_of(spelled), tuple(headers.values()))


def _arrived(request: web.BaseRequest) -> bytes | None:
    """The whole body, where it came with the head: most do, and need no waiting."""
    content = request.content
    return content.read_nowait() if content.is_eof() else None


async def _whole(body: bytes) -> AsyncIterator[bytes]:
    if body:
        yield body


async def _body(request: web.BaseRequest) -> AsyncIterator[bytes]:
    """The request's body pieces. A body that is no valid chunked encoding is the client's fault.

    A client that asked whether to go on is told so here, when its body is wanted, and not before it was let in.
    HTTP/1.0 knows no interim replies.
    """
    if request.headers.get("Expect", "").lower() == "100-continue" and request.version >= HttpVersion11:
        if request.transport is None:
            raise ConnectionResetError("The client is gone.")
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    try:
        async for chunk in request.content.iter_any():
            yield chunk
    except RequestPayloadError:
        raise BadRequest("The request body is not validly framed.", code="bad_framing") from None


async def _fail(error: ProxyError, writer: ReplyWriter, raw: RawRequest) -> None:
    """Answer with an envelope while that is possible; once the reply has begun, break the connection."""
    incident_id = new_incident_id()
    said = {"incident_id": incident_id, "exchange_id": raw.exchange_id, "code": error.code}
    log.info("call failed", extra={**said, "http_status": error.http_status})
    if writer.is_begun:
        writer.cut()
        return
    reply = error_reply(error, endpoint_of(raw).dialect, incident_id)
    try:
        await writer.send_error(reply, unix_s=raw.received_unix_us // 1_000_000)
    except ConnectionError:
        writer.cut()


def not_found(target: RequestTarget) -> NotFound:
    """The error for a path that is none of ours, with the likeliest remedy."""
    path = target.raw_path
    if path.startswith(_WITHOUT_VERSION):
        return NotFound("Not found. Set the SDK's base URL to this address with /v1 at its end.", code="missing_v1")
    if target.has_two_versions:
        said = "Not found. This SDK adds /v1 or /v1beta by itself: set its base URL to this address without it."
        return NotFound(said, code="version_twice")
    if path.startswith("/openai/"):
        said = "Not found. For Azure, use OpenAI's plain client, with this address and /v1 at its end as base URL."
        return NotFound(said, code="azure_path")
    return NotFound("Not found. The gateway serves /v1/… and /v1beta/…", code="not_found")
