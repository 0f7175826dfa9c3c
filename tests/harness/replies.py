"""Replies as values: a status, headers, pieces with gates between them, and how it all ends."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import cycle

import orjson

from tests.harness.call import Call
from tests.harness.http1 import encode_chunk


class Framing(Enum):
    """How the reply tells its end; `NONE` leaves it to the headers that the test gives."""

    CHUNKED = auto()
    LENGTH = auto()
    UNTIL_CLOSE = auto()
    NONE = auto()


class End(Enum):
    """What happens after the last piece. Only `KEEP` and `CLOSE` send what ends the framing."""

    KEEP = auto()
    CLOSE = auto()
    FIN = auto()
    RESET = auto()
    HANG = auto()


Piece = bytes | asyncio.Event
"""Bytes to send, or a gate to wait at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A reply, sent piece by piece; `headers` go out as they are, after the status line."""

    status: int = 200
    reason: str = "Scripted"
    headers: tuple[tuple[str, str], ...] = ()
    pieces: Sequence[Piece] = ()
    framing: Framing = Framing.CHUNKED
    end: End = End.KEEP
    is_early: bool = False
    """Answer without having read the request's body."""

    @property
    def body(self) -> bytes:
        return b"".join(piece for piece in self.pieces if isinstance(piece, bytes))

    def head(self) -> bytes:
        fields = list(self.headers)
        if self.framing is Framing.CHUNKED:
            fields.append(("Transfer-Encoding", "chunked"))
        elif self.framing is Framing.LENGTH:
            fields.append(("Content-Length", str(len(self.body))))
        if self.end is End.CLOSE or self.framing is Framing.UNTIL_CLOSE:
            fields.append(("Connection", "close"))
        lines = [f"HTTP/1.1 {self.status} {self.reason}", *(f"{name}: {value}" for name, value in fields), "", ""]
        return "\r\n".join(lines).encode("latin-1")

    async def __call__(self, call: Call) -> None:
        if not self.is_early:
            await call.read_body()
        await call.send(self.head())
        if call.record.method == "HEAD":
            return
        for piece in self.pieces:
            if isinstance(piece, asyncio.Event):
                await piece.wait()
            elif piece:
                await call.send(encode_chunk(piece) if self.framing is Framing.CHUNKED else piece)
        await self._end(call)

    async def _end(self, call: Call) -> None:
        if self.end in (End.KEEP, End.CLOSE) and self.framing is Framing.CHUNKED:
            await call.send(encode_chunk(b""))
        if self.end is End.RESET:
            call.reset()
        elif self.end is End.HANG:
            await call.hang()
        elif self.end is not End.KEEP or self.framing is Framing.UNTIL_CLOSE:
            call.finish()


def split(body: bytes, sizes: Sequence[int] = (7, 1, 64, 3, 1024)) -> list[bytes]:
    """The body in pieces of these sizes, over and over. At least one size must be positive."""
    pieces: list[bytes] = []
    at = 0
    for size in cycle(sizes):
        if at >= len(body):
            return pieces
        pieces.append(body[at : at + size])
        at += size
    return pieces


def text_reply(status: int, content_type: str, body: bytes, *headers: tuple[str, str]) -> Reply:
    """A reply of known length."""
    return Reply(
        status=status, headers=(("Content-Type", content_type), *headers), pieces=[body], framing=Framing.LENGTH
    )


def json_reply(status: int, value: object, *headers: tuple[str, str]) -> Reply:
    return text_reply(status, "application/json", orjson.dumps(value), *headers)
