"""One request at the scripted provider: what is recorded of it, and what a script may do with it."""

import asyncio
import hashlib
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tests.harness.http1 import Head, iter_request_body

CALL_ID_HEADER = "X-Call-Id"
SCRIPT_HEADER = "X-Script"
PATIENCE_S = 10.0
"""How long any wait of the test bed may last before the test fails."""


@dataclass(eq=False)
class Record:
    """One request that reached the provider, and what became of it. Times are monotonic nanoseconds."""

    head: Head
    connection: int
    """Ordinal of the connection: equal for requests that shared one."""
    arrived_ns: int
    body: bytes = b""
    is_body_whole: bool = False
    bytes_sent: int = 0
    """Bytes of the reply as handed to the socket, head and framing included."""
    is_replied: bool = False
    """The script ran to its end."""
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the peer has closed or reset the connection."""
    closed_ns: int | None = None

    @property
    def method(self) -> str:
        return self.head.start_line.split(" ")[0]

    @property
    def target(self) -> str:
        """As it stood on the wire."""
        return self.head.start_line.split(" ")[1]

    @property
    def body_sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()

    @property
    def call_id(self) -> str | None:
        return self.head.get(CALL_ID_HEADER)

    async def wait_closed(self) -> None:
        """Until the peer has closed; fails after `PATIENCE_S`."""
        async with asyncio.timeout(PATIENCE_S):
            await self.closed.wait()


class Call:
    """What a script holds while it serves one request."""

    def __init__(self, record: Record, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.record = record
        self.keeps_connection = True
        self._reader = reader
        self._writer = writer

    async def read_body(self) -> bytes:
        """The whole body of the request; a second call gives the same bytes."""
        record = self.record
        if not record.is_body_whole:
            pieces = [piece async for piece in iter_request_body(self._reader, record.head)]
            record.body = b"".join(pieces)
            record.is_body_whole = True
        return record.body

    async def send(self, data: bytes) -> None:
        """Raw bytes, at once. Raises ConnectionError once the peer has gone."""
        if self.record.closed.is_set():
            raise ConnectionResetError
        self._writer.write(data)
        self.record.bytes_sent += len(data)
        await self._writer.drain()

    async def hang(self) -> None:
        """Until the peer closes, or the provider itself stops."""
        self.keeps_connection = False
        await self.record.closed.wait()

    def finish(self) -> None:
        """Close in order, with FIN."""
        self.keeps_connection = False
        self._writer.close()

    def reset(self) -> None:
        """Close with RST."""
        self.keeps_connection = False
        if not self._writer.transport.is_closing():
            sock: socket.socket = self._writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._writer.transport.abort()


Script = Callable[[Call], Awaitable[None]]
