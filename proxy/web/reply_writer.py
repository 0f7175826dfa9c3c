"""The reply to a gateway call, written straight to the client's transport: a head, pieces, an end.

aiohttp's response objects would cost more than the rest of the edge, and a task's wake-up for each piece. What the
client cannot take yet lies in the transport; beyond its limit the provider is paused, so that a slow client holds
little memory here. The names and values of the head are checked as a whole: nothing in them can end a line.
"""

import asyncio
import socket
import struct
from email.utils import formatdate
from functools import lru_cache
from typing import Protocol

from proxy.domain.fields import fields_of
from proxy.domain.headers import encode_head
from proxy.pipeline.pump import Pump
from proxy.pipeline.services import Reply

_COPIED_BYTES = 16_384
"""Up to this size it is cheaper to copy a piece into its frame than to hand three buffers on."""
_WITHOUT_BODY = frozenset({204, 304})
_HTTP_1_1 = (1, 1)


class Flow(Protocol):
    """What is being written to a client."""

    def pause(self) -> None:
        """The client's socket buffer is full."""

    def resume(self) -> None:
        """It has room again."""


class Connection(Protocol):
    """A client's connection, as far as a reply is concerned."""

    transport: asyncio.Transport | None
    flow: Flow | None
    """Told at once when the client has no room, and when it has again."""

    @property
    def is_ending(self) -> bool:
        """No further request is taken from it, which the client is told if it can be told yet."""

    def begin_stream(self, flow: Flow) -> None:
        """A reply begins that may take long: `flow` is set, and no timer of an idle connection is kept through it."""

    @property
    def has_room(self) -> bool:
        """The client is there, and takes what it is sent."""

    async def room(self) -> None:
        """Wait until the client has room. Raises ConnectionError when it is gone."""

    @property
    def is_request_read(self) -> bool:
        """The client has sent all of the request: what it sends next is another one."""


class ReplyWriter:
    """Writes one reply, once. Raises ConnectionError where the client is gone."""

    __slots__ = (
        "_connection", "_is_chunked", "_is_head", "_lead", "_transport", "_version", "is_begun", "keep_alive",
    )  # fmt: skip

    def __init__(
        self, connection: Connection, method: str, *, keep_alive: bool, version: tuple[int, int] = _HTTP_1_1
    ) -> None:
        self._connection = connection
        self._transport = connection.transport
        self._is_head = method == "HEAD"
        self._version = version
        self._is_chunked = False
        self._lead = b""
        """The head of a stream until the first piece takes it along: one system call, and one packet, for both."""
        self.keep_alive = keep_alive
        """Whether the connection goes on after the reply."""
        self.is_begun = False
        """True once the head is made, which the client is sent whatever happens: an error can no longer be told."""

    async def send(self, reply: Reply, *, unix_s: int) -> None:
        """Write all of it. `unix_s` is the time that the head tells, where the provider told none."""
        transport, body, head = self._open_transport(), reply.body, self._head(reply, unix_s)
        self.is_begun = True
        if isinstance(body, bytes):
            transport.write(head + body if self._has_body(reply.status) else head)
        else:
            self._lead = head
            self._connection.begin_stream(body)
            del reply, head  # not to hold its head for as long as the stream lasts
            try:
                if self._is_chunked:
                    await body.pour(self._write_chunk, self._write)
                else:
                    await body.pour(self._write)
            finally:
                self._connection.flow = None
                self._send_lead()
            if self._is_chunked:
                self._open_transport().write(b"0\r\n\r\n")
        if not self._connection.has_room:
            await self._connection.room()

    async def send_error(self, reply: Reply, *, unix_s: int) -> None:
        """Write it instead of a reply; where the client has not sent all of its request, the connection then closes."""
        self.keep_alive = self.keep_alive and self._connection.is_request_read
        await self.send(reply, unix_s=unix_s)

    def cut(self) -> None:
        """End the connection without the end of the body, so that no client takes the reply for whole.

        HTTP/1.0 knows no chunks, and a body there lasts until the connection ends in order: so it is reset.
        """
        if self._transport is not None:
            if self._version < _HTTP_1_1:
                connection: socket.socket = self._transport.get_extra_info("socket")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.close()
        self.keep_alive = False

    def _send_lead(self) -> None:
        """Alone, where no piece takes it along."""
        lead, self._lead = self._lead, b""
        if lead and self._transport is not None and not self._transport.is_closing():
            self._transport.write(lead)

    def _write(self, piece: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            raise client_gone()
        if self._lead:
            piece, self._lead = self._lead + piece, b""
        transport.write(piece)

    def _write_chunk(self, piece: bytes) -> None:
        if len(piece) <= _COPIED_BYTES:
            self._write(b"%x\r\n%b\r\n" % (len(piece), piece))
        else:
            self._send_lead()
            self._open_transport().writelines((b"%x\r\n" % len(piece), piece, b"\r\n"))

    def _open_transport(self) -> asyncio.Transport:
        if self._transport is None or self._transport.is_closing():
            raise client_gone()
        return self._transport

    def _head(self, reply: Reply, unix_s: int) -> bytes:
        """The status line and the fields; settles how the body is framed and whether the connection goes on."""
        fields, has_body = reply.headers, self._has_body(reply.status)
        is_measured = reply.status == 204 or (has_body and isinstance(reply.body, bytes))
        if is_measured and "content-length" in fields.names.at:
            fields = fields_of(field for field in fields if field[0].lower() != "content-length")
        names = fields.names.at
        after = []
        if "server" not in names:
            after.append("Server: promptlane")
        if "date" not in names:
            after.append(f"Date: {_http_date(unix_s)}")
        if has_body and "content-length" not in names:
            after += self._framing(reply.body)
        if not self.keep_alive or self._connection.is_ending:
            self.keep_alive = False
            after.append("Connection: close")
        elif self._version < _HTTP_1_1:
            after.append("Connection: keep-alive")
        major, minor = self._version
        return encode_head((f"HTTP/{major}.{minor} {reply.status} {reply.reason}",), fields, after)

    def _has_body(self, status: int) -> bool:
        return not self._is_head and status not in _WITHOUT_BODY

    def _framing(self, body: bytes | Pump) -> list[str]:
        """A body of unknown length ends with its last chunk, or where there are no chunks with the connection."""
        if isinstance(body, bytes):
            return [f"Content-Length: {len(body)}"]
        self._is_chunked = self._version >= _HTTP_1_1
        if self._is_chunked:
            return ["Transfer-Encoding: chunked"]
        self.keep_alive = False
        return []


def client_gone() -> ConnectionResetError:
    """What a write raises then."""
    return ConnectionResetError("The client is gone.")


@lru_cache(maxsize=1)
def _http_date(unix_s: int) -> str:
    """One second's date serves all of its replies."""
    return formatdate(unix_s, usegmt=True)
