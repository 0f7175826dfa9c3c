"""The byte pump of one attempt: provider's chunks in, client's chunks out, the meter fed behind them.

Order is the law here. A chunk's arrival is stamped, the chunk is handed on, and only when the next one is asked for
(the edge has then written it) does the decoder see it. So no analysis stands between a provider's byte and the
client, and a client that leaves during a write is still metered up to that chunk.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from proxy.domain.errors import UpstreamError, UpstreamIdleTimeout, UpstreamTimeout, UpstreamTotalTimeout
from proxy.domain.exchange import Attempt
from proxy.domain.meter import Decoder
from proxy.domain.routing import Timeouts
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
        timeouts: Timeouts,
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
        self._timeouts = timeouts
        self._editors = editors
        self._side = side
        self._unread: tuple[bytes, int] | None = None
        self._ahead: list[bytes] = []
        self._has_ended = False
        self._ended_ns: int | None = None
        self._total_deadline_s = None if timeouts.total_s is None else _now_s() + timeouts.total_s

    def __aiter__(self) -> "Pump":
        return self

    async def __anext__(self) -> bytes:
        """The next piece for the client; never empty. Raises UpstreamError."""
        if self._ahead:
            return self._ahead.pop(0)
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
        held: list[bytes] = []
        size_bytes = 0
        async for piece in self:
            held.append(piece)
            size_bytes += len(piece)
            if size_bytes > limit_bytes:
                self._ahead = held
                return None
        return b"".join(held)

    async def prime(self) -> bytes:
        """Wait for the first piece, so that nothing is promised to the client before; b"" for an empty body."""
        piece = await anext(self, b"")
        if piece:
            self._ahead.insert(0, piece)
        return piece

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
            async with asyncio.timeout(self._patience_s()):
                chunk = await anext(self._chunks)
        except StopAsyncIteration:
            self._has_ended = True
            self._ended_ns = self._clock.monotonic_ns()
            return b""
        except TimeoutError:
            raise self._timeout_error() from None
        now_ns = self._clock.monotonic_ns()
        if self._attempt.first_byte_ns is None:
            self._attempt.first_byte_ns = now_ns
        self._unread = (chunk, now_ns)
        return chunk

    def _patience_s(self) -> float:
        is_first = self._attempt.first_byte_ns is None
        limit_s = self._timeouts.first_byte_s if is_first else self._timeouts.idle_s
        if self._total_deadline_s is not None:
            limit_s = min(limit_s, self._total_deadline_s - _now_s())
        return limit_s

    def _timeout_error(self) -> UpstreamError:
        if self._total_deadline_s is not None and _now_s() >= self._total_deadline_s:
            return UpstreamTotalTimeout("The provider's reply took longer than the total limit.")
        if self._attempt.first_byte_ns is None:
            return UpstreamTimeout("The provider sent no byte of a reply in time.")
        return UpstreamIdleTimeout("The provider fell silent in the middle of its reply.")


def _now_s() -> float:
    return asyncio.get_running_loop().time()


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
