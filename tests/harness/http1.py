"""HTTP/1.1 framing by hand, for both ends of the test bed.

The scripted provider and the client must be able to see and to send what an HTTP library would hide or refuse, and
must not share a parser with the product. Only what the tests need is here: heads, and bodies by length, by chunks
or until the end of the connection. Nothing is repaired: what does not fit raises `Broken`.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import cached_property

HEAD_LIMIT_BYTES = 1 << 20
_READ_BYTES = 1 << 16


class Broken(Exception):
    """The peer's bytes end early or are not HTTP."""


@dataclass(frozen=True)
class Head:
    """A start line with its fields; `raw` holds every byte up to and with the empty line."""

    raw: bytes

    @cached_property
    def start_line(self) -> str:
        return self.raw.split(b"\r\n", 1)[0].decode("latin-1")

    @cached_property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """In order, duplicates kept, values trimmed, latin-1."""
        lines = self.raw.decode("latin-1").split("\r\n")[1:-2]
        return tuple((name, value.strip(" \t")) for name, _, value in (line.partition(":") for line in lines))

    def get(self, name: str) -> str | None:
        """The first value, by name in any case."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def get_all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def is_chunked(self) -> bool:
        return (self.get("transfer-encoding") or "").lower() == "chunked"

    @property
    def content_length(self) -> int | None:
        value = self.get("content-length")
        return None if value is None else int(value)

    @property
    def status(self) -> int:
        """Of a reply."""
        parts = self.start_line.split(" ", 2)
        if len(parts) < 2 or not parts[0].startswith("HTTP/1.") or not parts[1].isdigit():
            raise Broken(f"not a status line: {self.start_line!r}")
        return int(parts[1])


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """The next head, or None where the connection ended cleanly before it."""
    try:
        return Head(await reader.readuntil(b"\r\n\r\n"))
    except asyncio.IncompleteReadError as error:
        if not error.partial:
            return None
        raise Broken(f"the connection ended within a head, after {len(error.partial)} bytes") from None


async def _exactly(reader: asyncio.StreamReader, count: int) -> AsyncIterator[bytes]:
    while count:
        data = await reader.read(min(count, _READ_BYTES))
        if not data:
            raise Broken(f"the connection ended {count} bytes early")
        count -= len(data)
        yield data


async def _chunked(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while True:
        line = await reader.readline()
        if not line.endswith(b"\r\n"):
            raise Broken("the connection ended without the last chunk")
        size = int(line.split(b";")[0], 16)
        if size == 0:
            while (trailer := await reader.readline()) != b"\r\n":
                if not trailer:
                    raise Broken("the connection ended within the trailers")
            return
        async for data in _exactly(reader, size):
            yield data
        if await reader.read(1) != b"\r" or await reader.read(1) != b"\n":
            raise Broken("a chunk has no end")


async def _to_the_end(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while data := await reader.read(_READ_BYTES):
        yield data


def iter_request_body(reader: asyncio.StreamReader, head: Head) -> AsyncIterator[bytes]:
    """The body's bytes without their framing, as they come. Raises Broken where it is cut short."""
    return _chunked(reader) if head.is_chunked else _exactly(reader, head.content_length or 0)


def iter_reply_body(reader: asyncio.StreamReader, head: Head, method: str) -> AsyncIterator[bytes]:
    """As above, for the reply to `method`; without any framing the body lasts until the connection ends."""
    if method == "HEAD" or head.status in (204, 304) or head.status < 200:
        return _exactly(reader, 0)
    if head.is_chunked:
        return _chunked(reader)
    if head.content_length is not None:
        return _exactly(reader, head.content_length)
    return _to_the_end(reader)


def encode_chunk(data: bytes) -> bytes:
    """One chunk; of no bytes, the last one."""
    return b"%x\r\n%b\r\n" % (len(data), data)
