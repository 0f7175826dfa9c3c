"""Where a client's connection begins. Plain calls are served here; everything else is aiohttp's.

aiohttp's server is made for any request: a parser, a stream for the body, two tasks, a dictionary of headers and their
bytes for each. A call of an SDK needs none of it. Served here is a request of which nothing is left to be decided: a
plain head (`plain_head`) of a path of the gateway, and behind it exactly the bytes of its body. What is odd, large,
slow in coming, or followed by more than it says, is handed over with its connection, for good and from its first byte
on. So nothing is refused here: each refusal, limit and time-out of a request has one place, which is `server`.
"""

import asyncio
from typing import cast

from aiohttp import web

from proxy.domain.fields import Names
from proxy.pipeline.services import RawRequest
from proxy.web.edge import Edge
from proxy.web.gateway import plain_request
from proxy.web.plain_head import END, PlainHead, read_head
from proxy.web.reply_writer import Flow, ReplyWriter, client_gone
from proxy.web.server import KEEPALIVE_S, HardenedServer, guard

REQUEST_BYTES = 262_144
"""A longer request is handed over: aiohttp, too, reads so much ahead."""
PATIENCE_S = 0.2
"""How long a request may be incomplete before it is handed over. Many clients send a body in a write of its own."""


class Front(HardenedServer):
    """Makes the protocol objects of connections, and ends them."""

    def __init__(self, edge: Edge) -> None:
        super().__init__(edge)
        self.edge = edge
        self.plain: set[PlainConnection] = set()
        """The connections that have not been handed over."""

    def __call__(self) -> "PlainConnection":  # type: ignore[override]  # the loop asks for a protocol, whichever
        """Make the protocol object of one connection."""
        return PlainConnection(self)

    def hand_over(self, transport: asyncio.Transport, data: bytes) -> None:
        """From here on the connection is aiohttp's, which is given what has come and was not served."""
        handler: web.RequestHandler = super().__call__()
        transport.set_protocol(handler)
        handler.connection_made(transport)
        handler.data_received(data)

    def pre_shutdown(self) -> None:
        """Take no further request: idle connections end now."""
        for connection in list(self.plain):
            connection.close()
        super().pre_shutdown()

    async def shutdown(self, timeout: float | None = None) -> None:  # noqa: ASYNC109  aiohttp's signature
        """End all connections; what runs on them has so many seconds."""
        await asyncio.gather(*[connection.shutdown(timeout) for connection in self.plain])
        await super().shutdown(timeout)


class PlainConnection(asyncio.Protocol):
    """A client's connection as long as its requests are plain; one call at a time, each in a task."""

    __slots__ = (
        "_call", "_front", "_head", "_idle_since_s", "_is_full", "_is_held", "_loop", "_names", "_room", "_timer",
        "_waiting", "flow", "is_ending", "transport",
    )  # fmt: skip

    def __init__(self, front: Front) -> None:
        self._front = front
        self._loop = asyncio.get_running_loop()
        self._waiting = b""
        """What has come of a request that is not whole, or whose turn it is not."""
        self._is_held = False
        """The client is not read from: more than enough waits."""
        self._head: PlainHead | None = None
        """The head of the request that is not whole, where it has come."""
        self._names: Names | None = None
        """Those of the last head."""
        self._call: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        """Ends patience with an idle connection, or with a request that is not whole."""
        self._idle_since_s = 0.0
        self.is_ending = False
        """No further request is taken."""
        self._is_full = False
        self._room: asyncio.Future[None] | None = None
        self.flow: Flow | None = None
        self.transport: asyncio.Transport | None = None

    # What the loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a request."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self._front.plain.add(self)
        guard(transport)
        self._be_idle()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        """The client has left: nobody waits for the reply."""
        self._let_go()
        if self._call is not None:
            self._call.cancel()

    def data_received(self, data: bytes) -> None:
        """Serve what is whole; while a call runs, what comes must wait."""
        if self._waiting:
            data = self._waiting + data
        if self._call is None:
            self._take(data)
        else:
            self._waiting = data
            if len(data) > REQUEST_BYTES and not self._is_held:
                self._is_held = True
                self._open_transport().pause_reading()

    def pause_writing(self) -> None:
        """The transport holds more than its limit."""
        self._is_full = True
        if self.flow is not None:
            self.flow.pause()

    def resume_writing(self) -> None:
        """It holds little again."""
        self._is_full = False
        if self.flow is not None:
            self.flow.resume()
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    # Requests

    def _take(self, data: bytes) -> None:
        end = data.find(END)
        if end < 0:
            self._wait_for_more(data)
            return
        head = self._head = self._head or read_head(data[:end], self._names)
        self._names = None if head is None else head.headers.names
        body_at = end + len(END)
        length = body_at + (head.content_length or 0) if head is not None else 0
        if head is None or len(data) > length or length > REQUEST_BYTES:
            self._hand_over(data)
        elif len(data) < length:
            self._wait_for_more(data)
        else:
            self._serve(plain_request(head, data[body_at:], self._front.edge.services), keep_alive=head.keep_alive)

    def _wait_for_more(self, data: bytes) -> None:
        if len(data) > REQUEST_BYTES:
            self._hand_over(data)
            return
        if not self._waiting:
            self._stop_timer()
            self._timer = self._loop.call_later(PATIENCE_S, self._lose_patience)
        self._waiting = data

    def _lose_patience(self) -> None:
        self._hand_over(self._waiting)

    def _hand_over(self, data: bytes) -> None:
        transport = self._open_transport()
        self._let_go()
        self._front.hand_over(transport, data)

    def _serve(self, raw: RawRequest, *, keep_alive: bool) -> None:
        if self._waiting:
            self._waiting = b""
            self._stop_timer()
        self._head = None
        writer = ReplyWriter(self, raw.method, keep_alive=keep_alive)
        self._call = self._loop.create_task(self._relay(raw, writer))

    async def _relay(self, raw: RawRequest, writer: ReplyWriter) -> None:
        goes_on = False
        try:
            await self._front.edge.relay(raw, writer)
            goes_on = writer.keep_alive and not self.is_ending
        finally:
            self._call = None
            if goes_on and self.transport is not None:
                self._be_idle()
                self._take_up()
            elif self.transport is not None:
                self.transport.close()

    def _take_up(self) -> None:
        """Go on with what has come while the call ran."""
        if self._is_held:
            self._is_held = False
            self._open_transport().resume_reading()
        if self._waiting:
            data, self._waiting = self._waiting, b""
            self._take(data)

    # The connection's own life

    def _be_idle(self) -> None:
        """The timer is not set anew for each call, which would cost more than to look again when it rings."""
        self._idle_since_s = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(KEEPALIVE_S, self._end_if_idle)

    def _end_if_idle(self) -> None:
        self._timer = None
        if self._call is not None:
            return
        left_s = self._idle_since_s + KEEPALIVE_S - self._loop.time()
        if left_s > 0:
            self._timer = self._loop.call_later(left_s, self._end_if_idle)
        else:
            self.close()

    def close(self) -> None:
        """Take no further request; the connection ends when no call runs."""
        self.is_ending = True
        if self._call is None and self.transport is not None:
            self.transport.close()

    async def shutdown(self, limit_s: float | None) -> None:
        """End, at the latest after so many seconds."""
        self.close()
        if self._call is not None:
            await asyncio.wait([self._call], timeout=limit_s)
        if self._call is not None:
            self._call.cancel()
            await asyncio.wait([self._call])

    def _let_go(self) -> None:
        self._front.plain.discard(self)
        self._stop_timer()
        self.transport = None

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _open_transport(self) -> asyncio.Transport:
        assert self.transport is not None
        return self.transport

    # What a reply needs

    def begin_stream(self, flow: Flow) -> None:
        """A reply begins that may take long."""
        self.flow = flow
        self._stop_timer()

    @property
    def has_room(self) -> bool:
        """The client is there, and takes what it is sent."""
        return self.transport is not None and not self._is_full

    async def room(self) -> None:
        """Wait until the client has room. Raises ConnectionError when it is gone."""
        if self.transport is None:
            raise client_gone()
        if self._is_full:
            self._room = self._loop.create_future()
            await self._room

    @property
    def is_request_read(self) -> bool:
        """Always: what is served here was whole."""
        return True
