"""The byte pump of one attempt: provider's pieces in, client's pieces out, the meter fed behind them.

Order is the law here. The arrival of a piece is stamped, the piece is handed on, and only then does the decoder see
it. So no analysis stands between a provider's byte and the client, and a client that leaves during a write is still
metered up to that piece. The first two happen in the very callback in which the piece arrived. So does the third until
the first output was seen; from then on, times matter no more to the meter, and it is fed with several pieces at once,
since reading ten events in a row costs less than ten times one.
"""

from collections.abc import Sequence
from typing import Protocol

from proxy.domain.capture import Tap
from proxy.domain.exchange import Attempt
from proxy.domain.meter import Decoder
from proxy.pipeline.patience import Patience
from proxy.pipeline.ports import Clock, SideDecompressor, Sink, UpstreamReply

UNREAD_BYTES = 4_096
"""How much of a stream may wait for the decoder: some twenty events, and little for each of thousands of streams."""


class Editor(Protocol):
    """A named rule that changes bytes on their way to the client (law 1 lists them)."""

    def feed(self, chunk: bytes) -> bytes:
        """The bytes that may go on now."""

    def flush(self) -> bytes:
        """What was held back; the body has ended."""


class Pump:
    """One body on its way: `read` whole or `pour`ed. `finish` seals the attempt's reading, whatever happened."""

    __slots__ = (
        "_at_ns", "_clock", "_decoder", "_editors", "_ended_ns", "_is_timing", "_patience", "_side", "_tap", "_unread",
        "_unread_bytes", "_write", "_write_chunk", "attempt", "held", "keeps_length", "media_type", "reply",
    )  # fmt: skip

    def __init__(
        self,
        reply: UpstreamReply,
        attempt: Attempt,
        decoder: Decoder,
        clock: Clock,
        patience: Patience,
        *,
        media_type: str = "",
        editors: Sequence[Editor] = (),
        side: SideDecompressor | None = None,
        tap: Tap | None = None,
        keeps_length: bool = True,
    ) -> None:
        self.media_type = media_type
        """What the provider says that the body is."""
        self.keeps_length = keeps_length
        """The client's body is as long as the provider's."""
        self.held: bytes | None = None
        """The whole body, edited, where it was `read`."""
        self.reply = reply
        self.attempt = attempt
        self._decoder = decoder
        self._clock = clock
        self._patience = patience
        self._editors = editors
        self._side = side
        self._tap = tap
        if tap is not None:
            tap.begin()
        self._write: Sink = _nowhere
        self._write_chunk: Sink | None = None
        self._is_timing = True
        """What arrives is metered at once, and with its time."""
        self._at_ns = 0
        self._unread: list[bytes] = []
        self._unread_bytes = 0
        self._ended_ns: int | None = None

    async def read(self, limit_bytes: int) -> bytes | None:
        """The whole body if the provider's is at most `limit_bytes`; else None, and nothing is lost.

        Raises UpstreamError.
        """
        with self._patience:
            body = await self.reply.read(limit_bytes)
        if body is None:
            return None
        self._ended_ns = self._at_ns = self._clock.monotonic_ns()
        if body:
            self._unread.append(body)
        self.held = self._edited(body) + self._rest() if self._editors else body
        return self.held

    async def pour(self, write: Sink, write_chunk: Sink | None = None) -> None:
        """Hand each piece to the client as it arrives. Raises UpstreamError, and what `write` raises.

        `write_chunk` is there where the client gets chunks: through it go the provider's, with their framing.
        """
        self._write = write
        if not self._editors:
            self._write_chunk = write_chunk
        take = self._take
        with self._patience:
            await self.reply.pour(take, take)
        self._ended_ns = self._clock.monotonic_ns()
        if rest := self._rest():
            write(rest)

    def pause(self) -> None:
        """The client has no room for more."""
        self._patience.hold()
        self.reply.pause()

    def resume(self) -> None:
        """It has room again."""
        self._patience.release()
        self.reply.resume()

    def finish(self, *, is_broken: bool) -> None:
        """Seal the reading; safe to call twice. `is_broken`: the body did not end by itself."""
        if self.attempt.reading is None:
            self._meter()
            self.attempt.reading = self._decoder.finish(broken=is_broken and self._ended_ns is None)
            self.attempt.ended_ns = self._ended_ns or self._clock.monotonic_ns()

    def close(self) -> None:
        """Leave the provider, once, wherever its body is."""
        self.finish(is_broken=True)
        self.reply.close()
        self._patience.close()

    def _take(self, piece: bytes, chunk: bytes | None = None) -> None:
        """`chunk` is the piece with its framing, where that may go on with it."""
        patience, write_chunk = self._patience, self._write_chunk
        patience.heard_at_s = patience.now_s()
        if self._is_timing:
            self._at_ns = self._clock.monotonic_ns()
        try:
            if chunk is not None and write_chunk is not None:
                write_chunk(chunk)
            elif out := self._edited(piece) if self._editors else piece:
                self._write(out)
        finally:
            self._unread.append(piece)
            self._unread_bytes += len(piece)
            if self._is_timing or self._unread_bytes > UNREAD_BYTES:
                self._meter()

    def _meter(self) -> None:
        """Feed the decoder with what waits for it."""
        if not self._unread:
            return
        read = b"".join(self._unread)
        self._unread.clear()
        self._unread_bytes = 0
        if self._side is not None:
            read = self._side.feed(read)
        self._decoder.feed(read, self._at_ns)
        if self._is_timing:
            self._is_timing = self._decoder.needs_times
        if self._tap is not None:
            self._tap.feed(read)

    def _rest(self) -> bytes:
        """What editors have held back; the body has ended."""
        rest = b""
        for editor in self._editors:
            rest = editor.feed(rest) + editor.flush()
        return rest

    def _edited(self, chunk: bytes) -> bytes:
        for editor in self._editors:
            chunk = editor.feed(chunk)
        return chunk


def _nowhere(_: bytes) -> None:
    """Before anything is poured, there is nothing to pour."""


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
