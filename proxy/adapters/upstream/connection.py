"""One connection to a provider: it carries one call at a time, and rests in the pool between two.

All that arrives is handed on in the very callback that brings it: no task wakes for a piece. Whole chunks, of which a
stream is made, go straight to who wants them. Bytes that arrive between two calls, where nobody waits for any, end the
connection; so a reply can never be taken for another call's.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

from proxy.adapters.upstream.address import Origin
from proxy.adapters.upstream.reply_parser import whole_chunk
from proxy.adapters.upstream.wire import ChunkSink, broken


class Listener(Protocol):
    """The call that a connection carries."""

    def arrived(self, data: bytes) -> None:
        """More of the reply."""

    def failed(self, error: Exception) -> None:
        """What takes the chunks has raised this."""

    def ended(self) -> None:
        """The provider has closed its side in order; nothing more arrives."""

    def broke(self) -> None:
        """The connection is gone."""


class Connection(asyncio.Protocol):
    """Made by the loop. `listener` is set while a call runs."""

    __slots__ = ("_is_full", "_is_paused", "_on_lost", "_room", "_transport", "chunk_sink", "listener", "origin")

    def __init__(self, origin: Origin, on_lost: Callable[["Connection"], None]) -> None:
        """`on_lost` is called when the connection is gone while no call runs on it."""
        self.origin = origin
        self.listener: Listener | None = None
        self.chunk_sink: ChunkSink | None = None
        """Set by the listener as long as the next bytes begin a chunk: what is one whole chunk goes there."""
        self._on_lost = on_lost
        self._transport: asyncio.Transport
        self._is_full = False
        self._is_paused = False
        self._room: asyncio.Future[None] | None = None

    @property
    def is_open(self) -> bool:
        """False once it is closing or gone."""
        return not self._transport.is_closing()

    def write(self, data: bytes | memoryview) -> None:
        """Hand bytes to the provider; what the socket cannot take yet is kept. Once it is closing, nothing happens."""
        if not self._transport.is_closing():
            self._transport.write(data)

    async def room(self) -> None:
        """Wait until the provider has taken what was written, but for a little. Raises UpstreamReset."""
        if self._is_full and self.is_open:
            self._room = asyncio.get_running_loop().create_future()
            try:
                await self._room
            finally:
                self._room = None
        if not self.is_open:
            raise broken()

    def pause(self) -> None:
        """Take nothing more from the provider, so that it is held back; safe to call twice."""
        if not self._is_paused and self.is_open:
            self._is_paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Go on; safe to call at any time."""
        if self._is_paused:
            self._is_paused = False
            if self.is_open:
                self._transport.resume_reading()

    def abort(self) -> None:
        """End it at once, whatever is under way, so that the provider stops."""
        self._transport.abort()

    # What the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Bytes have arrived."""
        listener, chunk_sink = self.listener, self.chunk_sink
        if listener is None:
            self.abort()
        elif chunk_sink is not None and (piece := whole_chunk(data)):
            try:
                chunk_sink(piece, data)
            except Exception as error:  # noqa: BLE001  whatever it is, the listener's `pour` raises it
                listener.failed(error)
        else:
            listener.arrived(data)

    def eof_received(self) -> None:
        """The provider sends nothing more; the loop then closes the connection."""
        if self.listener is not None:
            self.listener.ended()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        """It is gone, by the provider's will or ours."""
        self.resume_writing()
        if self.listener is None:
            self._on_lost(self)
        else:
            self.listener.broke()

    def pause_writing(self) -> None:
        """The provider takes less than we write."""
        self._is_full = True

    def resume_writing(self) -> None:
        """It has taken most of it."""
        self._is_full = False
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
