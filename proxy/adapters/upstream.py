"""The HTTP client behind the `Upstream` port, on aiohttp: one session for all providers.

Laws: bodies are never decoded, redirects never followed, the environment's proxies and netrc never read, and every
network error leaves as an `UpstreamError` whose text is ours (aiohttp's messages quote URLs and reply bytes).
Leaving `send` before the body ended closes the connection, so that a provider stops generating.
"""

import asyncio
import io
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from types import SimpleNamespace
from typing import Protocol

import aiohttp
from aiohttp import hdrs
from yarl import URL

from proxy.domain.errors import (
    UpstreamConnectTimeout,
    UpstreamDns,
    UpstreamError,
    UpstreamProtocol,
    UpstreamReset,
    UpstreamTls,
    UpstreamUnreachable,
)
from proxy.domain.routing import Timeouts

HEADER_LIMIT_BYTES = 65_536
"""Longest reply header line taken from a provider."""
IDLE_CONNECTION_S = 15.0
"""Shorter than any provider's own limit, so that a pooled connection is rarely found closed under a new call."""
LARGE_BODY_BYTES = 65_536
"""A longer body is written in pieces, so that the event loop is never held by one write."""
_AUTOMATIC = (hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.USER_AGENT, hdrs.CONTENT_TYPE)


class _Request(Protocol):
    """What `pipeline.ports.UpstreamRequest` offers; adapters satisfy the ports by shape."""

    @property
    def method(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def headers(self) -> Sequence[tuple[str, str]]: ...
    @property
    def body(self) -> bytes | AsyncIterator[bytes] | None: ...
    @property
    def timeouts(self) -> Timeouts: ...
    @property
    def on_sent(self) -> Callable[[], None]: ...


class AiohttpReply:
    """A reply whose head has arrived."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.reason = response.reason or ""
        self.headers: Sequence[tuple[str, str]] = tuple(response.headers.items())
        self._connection_end = _connection_end(response)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Body bytes as they come from the socket. Raises UpstreamReset when the body breaks off."""
        with _mapped_errors():
            async for chunk in self._response.content.iter_any():
                yield chunk
        end = self._connection_end
        if end is not None and end.done() and end.exception() is not None:
            raise UpstreamReset("The connection to the provider broke.")


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

    @asynccontextmanager
    async def send(self, request: _Request) -> AsyncIterator[AiohttpReply]:
        """Send one request; see the port."""
        limits = aiohttp.ClientTimeout(total=None, connect=request.timeouts.connect_s)
        with _mapped_errors():
            response = await self._session.request(
                request.method,
                URL(request.url, encoded=True),
                headers=_in_one_spelling(request.headers),
                data=_payload(request.body),
                allow_redirects=False,
                trace_request_ctx=request.on_sent,
                timeout=limits,
            )
        try:
            if response.status < 200:  # nobody asked to switch protocols
                raise UpstreamProtocol("The provider's reply was not valid HTTP.")
            yield AiohttpReply(response)
        finally:
            if response.content.at_eof():
                response.release()
            else:
                response.close()


def _in_one_spelling(headers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """A repeated field as its first occurrence spells it: of `X-A` and `x-a`, aiohttp would send the last alone."""
    spellings: dict[str, str] = {}
    return [(spellings.setdefault(name.lower(), name), value) for name, value in headers]


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
def _mapped_errors() -> Iterator[None]:
    try:
        yield
    except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
        raise _upstream_error(error) from None


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
            return UpstreamProtocol("The provider's reply was not valid HTTP.")
        case aiohttp.ClientResponseError() | aiohttp.InvalidURL():
            return UpstreamProtocol("The provider's reply was not valid HTTP.")
        case _:
            return UpstreamReset("The connection to the provider broke.")


def _is_malformed(error: BaseException) -> bool:
    """True where a payload error was caused by bytes that are no HTTP, not by a connection that ended early."""
    return isinstance(error.__cause__, aiohttp.http_exceptions.HttpProcessingError) and not isinstance(
        error.__cause__, (aiohttp.http_exceptions.ContentLengthError, aiohttp.http_exceptions.TransferEncodingError)
    )
