"""The byte pump of one attempt: provider's chunks in, client's chunks out, the meter fed behind them.

Order is the law here. A chunk's arrival is stamped, the chunk is handed on, and only when the next one is asked for
(the edge has then written it) does the decoder see it. So no analysis stands between a provider's byte and the
client, and a client that leaves during a write is still metered up to that chunk.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from proxy.domain.exchange import Attempt
from proxy.domain.meter import Decoder
from proxy.pipeline.patience import Patience
from proxy.pipeline.ports import Clock
from proxy.pipeline.services import SideDecompressor


class Editor(Protocol):
    """A named rule that changes bytes on their way to the client (law 1 lists them)."""

    def feed(self, chunk: bytes) -> bytes:
        """The bytes that may go on now."""

    def flush(self) -> bytes:
        """What was held back; the body has ended."""


class Pump:
    """An async iterator over what the client gets. `finish` seals the attempt's reading, whatever happened."""

    def __init__(
        self,
        chunks: AsyncIterator[bytes],
        attempt: Attempt,
        decoder: Decoder,
        clock: Clock,
        patience: Patience,
        *,
        editors: Sequence[Editor] = (),
        side: SideDecompressor | None = None,
        keeps_length: bool = True,
    ) -> None:
        self.keeps_length = keeps_length
        self._chunks = chunks
        self._attempt = attempt
        self._decoder = decoder
        self._clock = clock
        self._patience = patience
        self._editors = editors
        self._side = side
        self._unread: tuple[bytes, int] | None = None
        self._ahead = b""
        self._has_ended = False
        self._ended_ns: int | None = None

    def __aiter__(self) -> "Pump":
        return self

    async def __anext__(self) -> bytes:
        """The next piece for the client; never empty. Raises UpstreamError."""
        if self._ahead:
            piece, self._ahead = self._ahead, b""
            return piece
        while not self._has_ended:
            self._meter()
            chunk = await self._receive()
            out = self._edit(chunk)
            if out:
                return out
        self._meter()
        raise StopAsyncIteration

    async def take(self, limit_bytes: int) -> bytes | None:
        """Read the whole rest of the body if it is at most `limit_bytes`; else None, and nothing is lost."""
        held = bytearray()
        async for piece in self:
            held += piece
            if len(held) > limit_bytes:
                self._ahead = bytes(held)
                return None
        return bytes(held)

    async def prime(self) -> bytes:
        """Wait for the first piece, so that nothing is promised to the client before; b"" for an empty body."""
        self._ahead = await anext(self, b"")
        return self._ahead

    def finish(self, *, is_broken: bool) -> None:
        """Seal the reading; safe to call twice. `is_broken`: the body did not end by itself."""
        self._meter()
        if self._attempt.reading is None:
            self._attempt.reading = self._decoder.finish(broken=is_broken and not self._has_ended)
            self._attempt.ended_ns = self._ended_ns or self._clock.monotonic_ns()

    def _meter(self) -> None:
        if self._unread is not None:
            chunk, at_ns = self._unread
            self._unread = None
            self._decoder.feed(chunk if self._side is None else self._side.feed(chunk), at_ns)

    def _edit(self, chunk: bytes) -> bytes:
        for editor in self._editors:
            chunk = editor.feed(chunk) if not self._has_ended else editor.feed(chunk) + editor.flush()
        return chunk

    async def _receive(self) -> bytes:
        try:
            async with asyncio.timeout_at(self._patience.until_s(is_begun=self._attempt.first_byte_ns is not None)):
                chunk = await anext(self._chunks)
        except StopAsyncIteration:
            self._has_ended = True
            self._ended_ns = self._clock.monotonic_ns()
            return b""
        except TimeoutError:
            raise self._patience.error() from None
        now_ns = self._clock.monotonic_ns()
        if self._attempt.first_byte_ns is None:
            self._attempt.first_byte_ns = now_ns
        self._unread = (chunk, now_ns)
        return chunk


class KeyMask:
    """Cuts the proxy's own provider key out of a provider's error body: each byte of it becomes an asterisk."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        """Mask whole occurrences; hold back what may be the beginning of one."""
        data = (self._held + chunk).replace(self._key, b"*" * len(self._key))
        keep = next((n for n in range(min(len(self._key) - 1, len(data)), 0, -1) if self._key.startswith(data[-n:])), 0)
        self._held = data[len(data) - keep :]
        return data[: len(data) - keep]

    def flush(self) -> bytes:
        """The rest, which was no key after all."""
        held, self._held = self._held, b""
        return held
