"""Every provider-facing path: aiohttp's request → RawRequest; Reply → the client's bytes. Decides nothing."""

import logging
import socket
import struct
from collections.abc import AsyncIterator

from aiohttp import HttpVersion11, web
from aiohttp.web_protocol import RequestPayloadError

from proxy.domain.errors import BadRequest, NotFound, ProxyError
from proxy.domain.ids import new_exchange_id
from proxy.domain.paths import RequestTarget
from proxy.pipeline.handle import endpoint_of, handle
from proxy.pipeline.services import RawRequest, Reply, Services
from proxy.web.errors import error_response, new_incident_id

log = logging.getLogger(__name__)


async def relay_call(request: web.BaseRequest, target: RequestTarget, services: Services) -> web.StreamResponse:
    """Carry one call to its provider and back."""
    raw = _raw_request(request, target, services)
    response: web.StreamResponse | None = None
    try:
        async with handle(raw, services) as reply:
            response = _response(reply)
            await _write(response, reply, request)
    except ConnectionError:
        return _broken(response, request)
    except ProxyError as error:
        return _failed(error, response, request, raw)
    except Exception:
        log.exception("a bug while relaying a call", extra={"exchange_id": raw.exchange_id})
        public = ProxyError("The proxy failed to handle the request. Quote the incident id to its operator.")
        return _failed(public, response, request, raw)
    assert response is not None
    return response


def _raw_request(request: web.BaseRequest, target: RequestTarget, services: Services) -> RawRequest:
    headers = tuple(request.headers.items())
    received_unix_us = services.clock.unix_us()
    return RawRequest(
        exchange_id=new_exchange_id(received_unix_us, services.random_bytes(10)),
        method=request.method,
        target=target,
        headers=headers,
        body=_body(request),
        has_body=request.body_exists,
        content_length=request.content_length,
        received_ns=services.clock.monotonic_ns(),
        received_unix_us=received_unix_us,
    )


async def _body(request: web.BaseRequest) -> AsyncIterator[bytes]:
    """The request's body pieces. A body that is no valid chunked encoding is the client's fault.

    A client that asked whether to go on is told so here, when its body is wanted, and not before it was let in.
    HTTP/1.0 knows no interim replies.
    """
    if request.headers.get("Expect", "").lower() == "100-continue" and request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    try:
        async for chunk in request.content.iter_any():
            yield chunk
    except RequestPayloadError:
        raise BadRequest("The request body is not validly framed.", code="bad_framing") from None


def _response(reply: Reply) -> web.StreamResponse:
    response = web.StreamResponse(status=reply.status, reason=reply.reason)
    for name, value in reply.headers:
        response.headers.add(name, value)
    response.headers.setdefault("Server", "promptlane")
    return response


async def _write(response: web.StreamResponse, reply: Reply, request: web.BaseRequest) -> None:
    """Hand each piece on as it comes. A piece counts as handed when the socket's buffer has room again."""
    if isinstance(reply.body, bytes):
        response.content_length = len(reply.body)
        await response.prepare(request)
        await response.write(reply.body)
    else:
        await response.prepare(request)
        async for piece in reply.body:
            await response.write(piece)
    await response.write_eof()


def _failed(
    error: ProxyError, response: web.StreamResponse | None, request: web.BaseRequest, raw: RawRequest
) -> web.StreamResponse:
    """Answer with an envelope while that is possible; once the reply has begun, break the connection."""
    incident_id = new_incident_id()
    said = {"incident_id": incident_id, "exchange_id": raw.exchange_id, "code": error.code}
    log.info("call failed", extra={**said, "http_status": error.http_status})
    if response is not None and response.prepared:
        return _broken(response, request)
    answer = error_response(error, endpoint_of(raw).dialect, incident_id)
    if not request.content.at_eof():
        answer.force_close()
    return answer


def _broken(response: web.StreamResponse | None, request: web.BaseRequest) -> web.StreamResponse:
    """End the connection without the end of the body, so that no client takes the reply for whole.

    HTTP/1.0 knows no chunks, and a body there lasts until the connection ends in order: so it is reset.
    """
    if request.transport is not None:
        if request.version < HttpVersion11:
            connection: socket.socket = request.transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.close()
    return response or web.Response(status=499)


def not_found(target: RequestTarget) -> NotFound:
    """The error for a path that is none of ours, with the likeliest remedy."""
    if target.raw_path.startswith(("/chat/", "/responses", "/embeddings", "/completions", "/models")):
        return NotFound("Not found. Set the SDK's base URL to this address with /v1 at its end.", code="missing_v1")
    return NotFound("Not found. The gateway serves /v1/… and /v1beta/…", code="not_found")
