"""aiohttp's server, hardened. The only file that touches its private parts; pyproject pins the range it fits.

What stock aiohttp does that a gateway must not (measured on 3.14.5): it writes the offending bytes of a malformed
request, credentials and prompt included, into both its 400 reply and its error log; it gives a half-sent header block
as long as an idle connection; it decompresses request bodies; it lets a handler wait for the rest of a body whose
framing has broken; and while it drains, it leaves idle connections open and hears nothing on them.

What `reply_writer` needs of it, so that a reply is written without aiohttp's own response objects, is here too:
`flow`, `room` and `written`. `tests/web/test_server.py` and `tests/web/test_reply_writer.py` are the contract tests.
"""

import asyncio
import logging
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any, cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from aiohttp.http_parser import HttpRequestParser, HttpRequestParserPy, RawRequestMessage
from aiohttp.web_protocol import RequestHandler, RequestPayloadError, _ErrInfo

from proxy.domain.endpoints import Dialect
from proxy.domain.errors import ProxyError, RequestError
from proxy.web.errors import error_response
from proxy.web.reply_writer import Flow, ReplyWriter

log = logging.getLogger(__name__)

HEADER_BLOCK_BYTES = 32_768
HEADER_COUNT = 128
HEADER_DEADLINE_S = 10.0
"""From the first byte of a request to the end of its header block."""
CLIENT_SILENCE_S = 600.0
"""How long a client may leave bytes lying that were sent to it: as long as a silent provider is borne by default."""
KEEPALIVE_S = 75.0
"""How long an idle connection is kept: nginx's default."""

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class MalformedRequest(RequestError):
    """The bytes are no HTTP request."""


class HeadersTooLarge(RequestError):
    """A line or the number of fields is over the limit."""

    http_status = 431


class HardenedRequestHandler(RequestHandler):
    """One client connection: errors echo nothing, and a header block has a deadline of its own."""

    __slots__ = ("_head_begun", "flow")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_begun = False
        self.flow: Flow | None = None
        """Told at once when the client has no room, and when it has again."""

    def pause_writing(self) -> None:
        """The transport holds more than its limit."""
        super().pause_writing()
        if self.flow is not None:
            self.flow.pause()

    def resume_writing(self) -> None:
        """It holds little again."""
        super().resume_writing()
        if self.flow is not None:
            self.flow.resume()

    def begin_stream(self, flow: Flow) -> None:
        """A reply begins that may take long. aiohttp would keep the timer of an idle connection through all of it."""
        self.flow = flow
        if self._keepalive_handle is not None:
            self._keepalive_handle.cancel()
            self._keepalive_handle = None

    @property
    def is_ending(self) -> bool:
        """No further request is taken."""
        return self._close

    @property
    def has_room(self) -> bool:
        """The client is there, and takes what it is sent."""
        return self.transport is not None and not self._paused

    async def room(self) -> None:
        """Wait until the client has room. Raises ConnectionError when it is gone."""
        await self._drain_helper()

    @property
    def is_request_read(self) -> bool:
        """The client has sent all of the request that is being answered."""
        return self._current_request is None or self._current_request.content.at_eof()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As aiohttp does, and give up a client that no longer reads."""
        super().connection_made(transport)
        guard(transport)

    def data_received(self, data: bytes) -> None:
        """Parse; when a request has begun but its head is not whole, start the header deadline."""
        super().data_received(data)
        self._end_broken_body()
        is_waiting = not self._messages and self._current_request is None
        if is_waiting and not self._head_begun and self._keepalive_handle is not None:
            self._keepalive_handle.cancel()
            self._next_keepalive_close_time = self._loop.time() + HEADER_DEADLINE_S
            self._keepalive_handle = self._loop.call_at(self._next_keepalive_close_time, self._process_keepalive)
        self._head_begun = is_waiting

    def close(self) -> None:
        """Take no further request. A connection that waits for one ends now: aiohttp would leave it open and deaf."""
        is_idle = self._waiter is not None and not self._messages
        super().close()
        if is_idle and self.transport is not None:
            self.transport.close()

    def _end_broken_body(self) -> None:
        """Bytes that are no HTTP came where a body should go on: tell its reader, who would wait in vain."""
        running = self._current_request
        if running is None or running.content.is_eof():
            return
        if self._messages and isinstance(self._messages[-1][0], _ErrInfo):
            running.content.set_exception(RequestPayloadError())

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what could not be parsed or handled, in our words alone; the connection closes."""
        if exc is not None and not isinstance(exc, HttpProcessingError | RequestPayloadError):
            log.error("a bug outside of a call", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("The reply had begun; nothing more can be said on this connection.")
        response = error_response(_public_error(status, exc), Dialect.OPENAI)
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Say nothing: aiohttp's messages quote the request. `handle_error` tells of what is ours."""

    def log_debug(self, *args: Any, **kw: Any) -> None:
        """Say nothing, for the same reason."""


def _public_error(status: int, exc: BaseException | None) -> ProxyError:
    if isinstance(exc, LineTooLong) or getattr(exc, "message", "") == "Too many headers received":
        return HeadersTooLarge("A header line, or the header block, is too large.", code="headers_too_large")
    if status == MalformedRequest.http_status:
        return MalformedRequest("The request is not valid HTTP/1.1.", code="malformed_request")
    return ProxyError("The proxy failed to handle the request. Quote the incident id to its operator.")


def guard(transport: asyncio.BaseTransport) -> None:
    """Let the kernel end a connection whose client is gone or no longer reads; nothing here would ever notice it."""
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sys.platform == "linux":
        silence_ms = int(CLIENT_SILENCE_S * 1_000)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, silence_ms)


def message_of(request: web.BaseRequest) -> RawRequestMessage:
    """The head as it was parsed, with plain attributes: each property of a request is a call."""
    return request._message  # noqa: SLF001  the one file that may


def reply_writer(request: web.BaseRequest) -> ReplyWriter:
    """What writes the reply to a request straight to its connection; `written` tells aiohttp of it."""
    assert isinstance(request.protocol, HardenedRequestHandler)
    message = message_of(request)
    return ReplyWriter(request.protocol, message.method, keep_alive=not message.should_close, version=message.version)


class _Written:
    """All that aiohttp asks of a handler's response when nothing is left to be written."""

    __slots__ = ("keep_alive",)

    def __init__(self, *, keep_alive: bool) -> None:
        self.keep_alive = keep_alive

    async def prepare(self, request: web.BaseRequest) -> None:
        """The head is out."""

    async def write_eof(self) -> None:
        """The body is out."""


_GOES_ON, _ENDS = _Written(keep_alive=True), _Written(keep_alive=False)


def written(*, keep_alive: bool) -> web.StreamResponse:
    """What a handler returns that has written its reply to the transport itself."""
    return cast("web.StreamResponse", _GOES_ON if keep_alive else _ENDS)


class HardenedServer(web.Server):
    """Makes hardened connections; a client's leaving cancels its handler."""

    def __init__(self, handler: Handler) -> None:
        """Raises RuntimeError where aiohttp runs on its Python parser, which lets smuggled requests through."""
        if HttpRequestParser is HttpRequestParserPy:
            raise RuntimeError("aiohttp's C parser is not loaded: unset AIOHTTP_NO_EXTENSIONS, or install its wheel")
        super().__init__(
            handler,
            handler_cancellation=True,
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=KEEPALIVE_S,
            lingering_time=2.0,
            max_field_size=HEADER_BLOCK_BYTES,
            max_headers=HEADER_COUNT,
            max_line_size=HEADER_BLOCK_BYTES,
        )

    def __call__(self) -> RequestHandler:
        """Make the protocol object of one connection."""
        return HardenedRequestHandler(self, loop=self._loop, **self._kwargs)
