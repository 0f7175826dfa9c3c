"""aiohttp's client behind the `Upstream` port: one session for all providers. The fallback of our own client.

aiohttp's error messages quote URLs and reply bytes, so none of them goes further than this file.
"""

import asyncio
import io
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import aiohttp
from aiohttp import hdrs
from yarl import URL

from proxy.adapters.upstream.wire import (
    HEADER_LIMIT_BYTES,
    IDLE_CONNECTION_S,
    LARGE_BODY_BYTES,
    ChunkSink,
    Request,
    Sink,
    broken,
    no_http,
)
from proxy.domain.errors import (
    UpstreamConnectTimeout,
    UpstreamDns,
    UpstreamError,
    UpstreamTls,
    UpstreamUnreachable,
)
from proxy.domain.fields import Fields, fields_of

_AUTOMATIC = (hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.USER_AGENT, hdrs.CONTENT_TYPE)


class AiohttpReply:
    """A reply that has begun."""

    def __init__(self, response: aiohttp.ClientResponse, uploading: "_Upload | None") -> None:
        self._response = response
        self._uploading = uploading
        self.status = response.status
        self.reason = response.reason or ""
        self.headers = fields_of(response.headers.items())
        self._connection_end = _connection_end(response)
        self._ahead = b""
        self._may_go_on = asyncio.Event()
        self._may_go_on.set()

    def peek(self) -> bytes:
        """What has arrived; see the port for this and what follows."""
        return self._ahead

    async def read(self, limit_bytes: int) -> bytes | None:
        """The whole body, if it is short enough."""
        pieces, size_bytes = [self._ahead], len(self._ahead)
        while size_bytes <= limit_bytes and (piece := await self.receive()):
            pieces.append(piece)
            size_bytes += len(piece)
        self._ahead = b"".join(pieces)
        return self._ahead if size_bytes <= limit_bytes else None

    async def pour(self, sink: Sink, _: ChunkSink | None = None) -> None:
        """Piece by piece; of the provider's framing aiohttp shows nothing."""
        piece = self._ahead or await self.receive()
        while piece:
            sink(piece)
            await self._may_go_on.wait()
            piece = await self.receive()

    def pause(self) -> None:
        """Take no more; what aiohttp has read ahead stays with it."""
        self._may_go_on.clear()

    def resume(self) -> None:
        """Go on."""
        self._may_go_on.set()

    def close(self) -> None:
        """Keep the connection where the body has ended, else abort it."""
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()

    async def begin(self) -> bool:
        """Wait for the first byte of the body, or its end: then False."""
        if self.status < 200:  # nobody asked to switch protocols
            raise no_http()
        self._ahead = await self.receive()
        return bool(self._ahead)

    async def receive(self) -> bytes:
        """The next bytes from the socket; none at the end. Raises UpstreamReset when the body breaks off."""
        with _mapped_errors(self._uploading):
            piece = await self._response.content.readany()
        end = self._connection_end
        if not piece and end is not None and end.done() and end.exception() is not None:
            raise broken()
        return piece


def _connection_end(response: aiohttp.ClientResponse) -> "asyncio.Future[None] | None":
    """For a body that lasts until the connection ends: how it ended. aiohttp takes a reset for a clean end."""
    has_framing = hdrs.CONTENT_LENGTH in response.headers or hdrs.TRANSFER_ENCODING in response.headers
    if has_framing or response.connection is None or response.connection.protocol is None:
        return None
    end = response.connection.protocol.closed
    if end is not None:
        end.add_done_callback(lambda ended: ended.exception())  # so that nobody misses it where the body is left
    return end


class AiohttpUpstream:
    """Owns the session and its connection pool; `close` ends both."""

    def __init__(self, *, ssl_context: ssl.SSLContext | None = None) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,  # aiohttp's 100 would queue the 101st stream
                ssl=ssl_context or True,
                keepalive_timeout=IDLE_CONNECTION_S,
            ),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            max_field_size=HEADER_LIMIT_BYTES,
            max_line_size=HEADER_LIMIT_BYTES,
            requote_redirect_url=False,
            skip_auto_headers=_AUTOMATIC,
            trace_configs=[_tell_when_sent()],
            trust_env=False,
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()

    async def send(self, request: Request) -> AiohttpReply:
        """Send one request; see the port."""
        limits = aiohttp.ClientTimeout(total=None, connect=request.timeouts.connect_s)
        body = request.body
        uploading = None if body is None or isinstance(body, bytes) else _Upload(body)
        with _mapped_errors(uploading):
            response = await self._session.request(
                request.method,
                URL(request.url, encoded=True),
                headers=_in_one_spelling(request.headers),
                data=uploading or _payload(body),
                allow_redirects=False,
                trace_request_ctx=request.on_sent,
                timeout=limits,
            )
        try:
            reply = AiohttpReply(response, uploading)
            if await reply.begin():
                request.on_begun()
        except BaseException:
            response.close()
            raise
        return reply


def _in_one_spelling(headers: Fields) -> list[tuple[str, str]]:
    """A repeated field as its first occurrence spells it: of `X-A` and `x-a`, aiohttp would send the last alone."""
    spellings: dict[str, str] = {}
    return [(spellings.setdefault(name.lower(), name), value) for name, value in headers]


class _Upload:
    """A body that passes through. aiohttp tells what that raises as a broken connection, so it is kept here."""

    def __init__(self, body: AsyncIterator[bytes]) -> None:
        self._body = body
        self.error: Exception | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._body:
                yield piece
        except Exception as error:
            self.error = error
            raise


def _payload(body: bytes | AsyncIterator[bytes] | None) -> io.BytesIO | bytes | AsyncIterator[bytes] | None:
    return io.BytesIO(body) if isinstance(body, bytes) and len(body) > LARGE_BODY_BYTES else body


def _tell_when_sent() -> aiohttp.TraceConfig:
    """Call what a request carries as its trace context when its head has been written to the connection."""

    async def on_sent(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
        context.trace_request_ctx()

    config = aiohttp.TraceConfig()
    config.on_request_headers_sent.append(on_sent)
    return config


@contextmanager
def _mapped_errors(uploading: _Upload | None) -> Iterator[None]:
    try:
        yield
    except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
        raise (uploading and uploading.error) or _upstream_error(error) from None


def _upstream_error(error: Exception) -> UpstreamError:
    """Say whose fault it was. Order matters: aiohttp's connection errors are a deep family."""
    match error:
        case aiohttp.ConnectionTimeoutError():
            return UpstreamConnectTimeout("The provider did not accept a connection in time.")
        case aiohttp.ClientConnectorDNSError():
            return UpstreamDns("The provider's host name did not resolve.")
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
            return UpstreamTls("No trusted TLS connection to the provider could be made.")
        case aiohttp.ClientConnectorError():
            return UpstreamUnreachable("The provider could not be reached.")
        case aiohttp.ClientPayloadError() if _is_malformed(error):
            return no_http()
        case aiohttp.ClientResponseError() | aiohttp.InvalidURL():
            return no_http()
        case _:
            return broken()


def _is_malformed(error: BaseException) -> bool:
    """True where a payload error was caused by bytes that are no HTTP, not by a connection that ended early."""
    return isinstance(error.__cause__, aiohttp.http_exceptions.HttpProcessingError) and not isinstance(
        error.__cause__, (aiohttp.http_exceptions.ContentLengthError, aiohttp.http_exceptions.TransferEncodingError)
    )
