"""The load client: raw sockets under asyncio, one request at a time on each connection, every reply checked."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import cast

from tools.bench.payload import Exchange


@dataclass(slots=True)
class Window:
    """What one measuring window saw. Times in seconds; `first_body_s` from the request to the first body byte."""

    seconds: float = 0.0
    replies: int = 0
    errors: int = 0
    received_bytes: int = 0
    latency_s: list[float] = field(default_factory=list)
    first_body_s: list[float] = field(default_factory=list)


async def at_full_speed(port: int, exchange: Exchange, *, connections: int, seconds: float) -> Window:
    """As many exchanges as `connections` give, each sending its next request when it has its reply."""
    load = _Load(port, exchange)
    opened = [await load.connect() for _ in range(connections)]
    started = perf_counter()
    deadline = started + seconds

    def again(connection: "_Connection") -> None:
        if perf_counter() < deadline:
            connection.send()

    load.on_reply = again
    for connection in opened:
        connection.send()
    await asyncio.sleep(seconds)
    await load.settle(opened)
    load.window.seconds = perf_counter() - started
    return load.window


async def at_rate(port: int, exchange: Exchange, *, per_second: float, seconds: float) -> Window:
    """Exchanges begun at fixed times, whether or not earlier ones have ended."""
    load = _Load(port, exchange)
    opened: list[_Connection] = []
    idle: list[_Connection] = []
    load.on_reply = idle.append
    started = perf_counter()
    for number in range(int(per_second * seconds)):
        await asyncio.sleep(max(0.0, started + number / per_second - perf_counter()))
        if not idle:
            opened.append(await load.connect())
            idle.append(opened[-1])
        idle.pop().send()
    await load.settle(opened)
    load.window.seconds = perf_counter() - started
    return load.window


class _Load:
    """What the connections of one window share."""

    def __init__(self, port: int, exchange: Exchange) -> None:
        self.port = port
        self.request = exchange.request(f"127.0.0.1:{port}")
        self.expected = exchange.reply
        self.window = Window()
        self.on_reply: Callable[[_Connection], None] = lambda _: None
        self._busy = 0
        self._all_idle = asyncio.Event()
        self._all_idle.set()

    async def connect(self) -> "_Connection":
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: _Connection(self), "127.0.0.1", self.port)
        return connection

    def begin(self) -> None:
        self._busy += 1
        self._all_idle.clear()

    def end(self) -> None:
        self._busy -= 1
        if not self._busy:
            self._all_idle.set()

    async def settle(self, connections: "list[_Connection]") -> None:
        """Wait for the replies that are under way, then close; what is still missing is an error."""
        try:
            async with asyncio.timeout(5):
                await self._all_idle.wait()
        except TimeoutError:
            self.window.errors += self._busy
        for connection in connections:
            connection.transport.abort()


class _Connection(asyncio.Protocol):
    """Sends one request, takes its reply whole, and tells the load."""

    def __init__(self, load: _Load) -> None:
        self._load = load
        self._received = bytearray()
        self._body_start = 0
        self._end: int | None = None
        self._is_busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def send(self) -> None:
        self._received.clear()
        self._body_start = 0
        self._first_body = 0.0
        self._is_busy = True
        self._load.begin()
        self._sent = perf_counter()
        self.transport.write(self._load.request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._body_start and not self._read_head():
            return
        if not self._first_body and len(self._received) > self._body_start:
            self._first_body = perf_counter()
        is_whole = self._received.endswith(b"0\r\n\r\n") if self._end is None else len(self._received) >= self._end
        if is_whole:
            self._finish()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        if self._is_busy:
            self._is_busy = False
            self._load.window.errors += 1
            self._load.end()

    def _read_head(self) -> bool:
        head_end = self._received.find(b"\r\n\r\n")
        if head_end < 0:
            return False
        self._body_start = head_end + 4
        head = bytes(self._received[:head_end]).lower()
        if b"\r\ntransfer-encoding: chunked" in head:
            self._end = None
        else:
            length = int(head.partition(b"\r\ncontent-length:")[2].split(b"\r\n", 1)[0])
            self._end = self._body_start + length
        return True

    def _finish(self) -> None:
        now = perf_counter()
        window = self._load.window
        window.received_bytes += len(self._received)
        window.latency_s.append(now - self._sent)
        window.first_body_s.append(self._first_body - self._sent)
        body = bytes(self._received[self._body_start :])
        if self._end is None:
            body = _unchunked(body)
        if self._received.startswith(b"HTTP/1.1 200 ") and body == self._load.expected:
            window.replies += 1
        else:
            window.errors += 1
        self._is_busy = False
        self._load.on_reply(self)
        self._load.end()


def _unchunked(body: bytes) -> bytes:
    pieces = []
    at = 0
    while (size_end := body.find(b"\r\n", at)) >= 0 and (size := int(body[at:size_end], 16)):
        pieces.append(body[size_end + 2 : size_end + 2 + size])
        at = size_end + 4 + size
    return b"".join(pieces)
