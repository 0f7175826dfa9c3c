"""A TCP proxy that makes the way bad: between client and proxy, or between proxy and provider or PostHog.

`Toxics` may be changed while connections are open; each piece of data is treated by the values of that moment. Delays
are the only place in the test bed that sleeps, because a delay is what they are.
"""

import asyncio
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

from tests.harness.listener import Listener

_READ_BYTES = 1 << 14


@dataclass(slots=True, kw_only=True)
class Toxics:
    """What happens to the bytes of one direction."""

    latency_s: float = 0.0
    rate_bytes_per_s: float | None = None
    slice_bytes: int | None = None
    """Forward in writes of at most this many bytes."""
    is_blackhole: bool = False
    """Take bytes and forward none; connections stay open."""
    corrupt_at: int | None = None
    """Flip every bit of the byte at this offset of the direction."""
    cut_after: int | None = None
    """End the connection once this many bytes were forwarded, as `cut_resets` says."""
    cut_resets: bool = True
    """RST if true, else FIN."""
    half_close_after: int | None = None
    """Send FIN in this direction alone once this many bytes were forwarded."""


@dataclass(eq=False)
class _Pipe:
    """One direction of one connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    toxics: Toxics
    forwarded: int = 0

    async def run(self) -> bool:
        """Forward until the end; True where the whole connection must be cut."""
        while data := await self.reader.read(_READ_BYTES):
            for piece in self._pieces(data):
                if self.toxics.is_blackhole:
                    continue
                await self._delay(len(piece))
                self.writer.write(self._corrupted(piece))
                self.forwarded += len(piece)
                await self.writer.drain()
                if self.forwarded == self.toxics.cut_after:
                    return True
                if self.forwarded == self.toxics.half_close_after:
                    break
            else:
                continue
            break
        if self.writer.can_write_eof():
            self.writer.write_eof()
        return False

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        while data:
            limits = [self.toxics.slice_bytes or len(data)]
            limits += [
                limit - self.forwarded
                for limit in (self.toxics.cut_after, self.toxics.half_close_after)
                if limit is not None and limit > self.forwarded
            ]
            size = min(limits)
            yield data[:size]
            data = data[size:]

    def _corrupted(self, piece: bytes) -> bytes:
        at = self.toxics.corrupt_at
        if at is None or not self.forwarded <= at < self.forwarded + len(piece):
            return piece
        at -= self.forwarded
        return piece[:at] + bytes([piece[at] ^ 0xFF]) + piece[at + 1 :]

    async def _delay(self, size: int) -> None:
        rate = self.toxics.rate_bytes_per_s
        delay_s = self.toxics.latency_s + (size / rate if rate else 0.0)
        if delay_s:
            await asyncio.sleep(delay_s)


@dataclass(eq=False)
class ToxicProxy:
    """`async with ToxicProxy(port) as toxic:` forwards to 127.0.0.1:port. `up` treats what clients send."""

    target_port: int
    up: Toxics = field(default_factory=Toxics)
    down: Toxics = field(default_factory=Toxics)
    connections: int = 0

    def __post_init__(self) -> None:
        self._listener = Listener(self._connection)

    @property
    def port(self) -> int:
        return self._listener.port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self._listener.listen()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._listener.stop()

    async def cut_all(self) -> None:
        """Reset every open connection."""
        await self._listener.cancel_all()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            _abort(writer)
            return
        pipes = (_Pipe(reader, to_writer, self.up), _Pipe(to_reader, writer, self.down))
        try:
            await self._run(pipes)
        finally:
            for each in (writer, to_writer):
                _abort(each)

    async def _run(self, pipes: tuple[_Pipe, _Pipe]) -> None:
        pending = {asyncio.ensure_future(pipe.run()): pipe for pipe in pipes}
        try:
            while pending:
                done, _ = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for finished in done:
                    pipe = pending.pop(finished)
                    if finished.exception() is not None:
                        return
                    if finished.result():
                        await self._cut(pipe, pipes)
                        return
            await _close(*(pipe.writer for pipe in pipes))
        finally:
            for each in pending:
                each.cancel()

    @staticmethod
    async def _cut(pipe: _Pipe, pipes: tuple[_Pipe, _Pipe]) -> None:
        if not pipe.toxics.cut_resets:
            await _close(*(each.writer for each in pipes))


async def _close(*writers: asyncio.StreamWriter) -> None:
    for writer in writers:
        writer.close()
    for writer in writers:
        with suppress(ConnectionError):
            await writer.wait_closed()


def _abort(writer: asyncio.StreamWriter) -> None:
    if not writer.transport.is_closing():
        sock: socket.socket = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
