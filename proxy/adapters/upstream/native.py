"""Our own HTTP/1.1 client: what the hot path needs of one and nothing else, at a fraction of the cost.

`address` says where to go, `pool` and `dial` give a connection; `request_head` and `upload` make what goes out,
`reply_parser` and `native_reply` take what comes back. A POST is sent once: whether the provider had begun with it when
a kept connection broke, nobody knows.
"""

import ssl

from proxy.adapters.upstream.address import Origin, origin_of, split_url
from proxy.adapters.upstream.connection import Connection
from proxy.adapters.upstream.dial import Dialer
from proxy.adapters.upstream.native_reply import NativeReply
from proxy.adapters.upstream.pool import Pool
from proxy.adapters.upstream.request_head import RequestHead, request_head
from proxy.adapters.upstream.wire import LARGE_BODY_BYTES, Request
from proxy.domain.errors import UpstreamReset

_MAY_BE_SENT_AGAIN = ("GET", "HEAD")


class NativeUpstream:
    """Owns the connections; `close` ends those that rest."""

    def __init__(self, *, ssl_context: ssl.SSLContext | None = None) -> None:
        self._dialer = Dialer(ssl_context)
        self._pool = Pool()
        self._rest, self._forget = self._pool.rest, self._pool.forget  # bound once, and not for each connection
        self._origins: dict[str, Origin] = {}

    async def close(self) -> None:
        """End what rests; running calls end theirs."""
        self._dialer.close()
        self._pool.close()

    async def send(self, request: Request) -> NativeReply:
        """Send one request; see the port."""
        base, target = split_url(request.url)
        origin = self._origins.get(base)
        if origin is None:
            origin = self._origins[base] = origin_of(base)
        head = request_head(request, target, origin)
        if (kept := self._pool.take(origin)) is not None:
            reply = self._start(kept, request, head)
            try:
                await reply.begin()
            except UpstreamReset:
                if reply.has_heard or request.body is not None or request.method not in _MAY_BE_SENT_AGAIN:
                    raise
            else:
                return reply
        fresh = await self._dialer.dial(origin, request.timeouts.connect_s, self._forget)
        reply = self._start(fresh, request, head)
        await reply.begin()
        return reply

    def _start(self, connection: Connection, request: Request, head: RequestHead) -> NativeReply:
        """Put the request on its way; what will take the reply is made while it travels."""
        body = request.body
        small = body if isinstance(body, bytes) and len(body) <= LARGE_BODY_BYTES else b""
        connection.write(head.line_and_fields + small)
        reply = NativeReply(connection, request, self._rest)
        if body and not small:
            reply.send_body(body, is_chunked=head.is_chunked)
        try:
            request.on_sent()
        except BaseException:
            reply.close()
            raise
        return reply
