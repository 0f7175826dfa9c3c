"""Reading a copy of a compressed body, within bounds, while the bytes themselves pass on unchanged.

A few compressed bytes may ask for gigabytes. Input is taken in small slices and output in pieces, and every piece is
counted before the next is made, so that a bomb costs at most the limit in memory and the time to fill it. A
gzip body of many small members is bounded too: each member costs a new decoder.

Everything here is synchronous; zlib, brotli and zstandard release the interpreter's lock, so large bodies belong
in a thread.
"""

import zlib
from collections.abc import Callable
from typing import IO, Protocol, cast

import brotli  # type: ignore[import-untyped]
import zstandard

from proxy.domain.errors import BadRequest, TooLarge, UnsupportedEncoding

SLICE_BYTES = 16 * 1024
"""Input taken at a time: what a decoder hands back unread is copied, so slices keep that cheap."""
PIECE_BYTES = 256 * 1024
"""Output made at a time."""
MAX_GZIP_MEMBERS = 1_000
MAX_ZSTD_WINDOW_BYTES = 8 * 1024 * 1024
"""What RFC 9659 lets a sender of Content-Encoding: zstd ask for."""

_DAMAGE = (zlib.error, brotli.error, zstandard.ZstdError)


def decode_copy(body: bytes, encoding: str, limit_bytes: int) -> bytes:
    """Decode a whole body of one Content-Encoding (gzip, deflate, br, zstd, identity).

    Raises `TooLarge` when the result would pass `limit_bytes`, `UnsupportedEncoding` for any other or more than one
    encoding, `BadRequest` for a damaged or cut body (a cut zstd body gives what there is).
    """
    decoded = _Bounded(limit_bytes)
    codec = _codec(encoding, decoded.write)
    try:
        _feed_slices(codec, body)
    except _DAMAGE as error:
        raise BadRequest("The body does not decode as its Content-Encoding says.") from error
    if not codec.is_whole:
        raise BadRequest("The body ends in the middle of its Content-Encoding.")
    return decoded.take()


class StreamDecompressor:
    """Decodes a reply for the meter as it passes by. Never raises: it degrades to silence instead."""

    def __init__(self, encoding: str, limit_bytes: int) -> None:
        """`limit_bytes` bounds the output of the whole stream. An unknown encoding is degraded from the start."""
        self.degraded = False
        """True once something could not be decoded: all later output is missing."""
        self._decoded = _Bounded(limit_bytes)
        try:
            self._codec = _codec(encoding, self._decoded.write)
        except UnsupportedEncoding:
            self.degraded = True

    def feed(self, chunk: bytes) -> bytes:
        """Give what `chunk` adds, also what came before the damage or the limit; b"" ever after."""
        if self.degraded:
            return b""
        try:
            _feed_slices(self._codec, chunk)
        except (*_DAMAGE, TooLarge):
            self.degraded = True
        return self._decoded.take()


class _Bounded:
    """Collects output. Raises `TooLarge` on the piece that passes the limit, which is not kept."""

    def __init__(self, limit_bytes: int) -> None:
        self._left_bytes = limit_bytes
        self._kept = bytearray()

    def write(self, piece: bytes) -> int:
        self._left_bytes -= len(piece)
        if self._left_bytes < 0:
            raise TooLarge("The decoded body is larger than the limit.")
        self._kept += piece
        return len(piece)

    def take(self) -> bytes:
        kept = bytes(self._kept)
        self._kept.clear()
        return kept


Write = Callable[[bytes], int]


class _Codec(Protocol):
    @property
    def is_whole(self) -> bool:
        """True where the input may end."""

    def feed(self, data: bytes) -> None:
        """Decode `data`, handing on pieces of bounded size. Raises one of `_DAMAGE`, or what `write` raises."""


def _codec(encoding: str, write: Write) -> _Codec:
    match encoding.strip().lower():
        case "gzip" | "x-gzip":
            return _Gzip(write)
        case "deflate":
            return _Deflate(write)
        case "br":
            return _Brotli(write)
        case "zstd":
            return _Zstd(write)
        case "" | "identity":
            return _Identity(write)
    raise UnsupportedEncoding("Content-Encoding must be one of gzip, deflate, br, zstd.")


def _feed_slices(codec: _Codec, data: bytes) -> None:
    for start in range(0, len(data), SLICE_BYTES):
        codec.feed(data[start : start + SLICE_BYTES])


def _inflate(decoder: "zlib._Decompress", data: bytes, write: Write) -> bytes:
    """Feed one zlib stream; gives what came after its end."""
    while not decoder.eof:
        piece = decoder.decompress(data, PIECE_BYTES)
        write(piece)
        data = decoder.unconsumed_tail
        if not data and len(piece) < PIECE_BYTES:
            break
    return decoder.unused_data


class _Gzip:
    """One or more members, one after the other."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._members = 0
        self._open_member()

    def _open_member(self) -> None:
        self._members += 1
        if self._members > MAX_GZIP_MEMBERS:
            raise zlib.error("too many members")
        self._decoder = zlib.decompressobj(wbits=31)

    @property
    def is_whole(self) -> bool:
        return self._decoder.eof

    def feed(self, data: bytes) -> None:
        while data:
            if self._decoder.eof:
                self._open_member()
            data = _inflate(self._decoder, data, self._write)


class _Deflate:
    """RFC 9110 means zlib's framing; some senders leave it out. The first byte tells."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._decoder: zlib._Decompress | None = None

    @property
    def is_whole(self) -> bool:
        return self._decoder is not None and self._decoder.eof

    def feed(self, data: bytes) -> None:
        if self._decoder is None:
            has_zlib_header = data[0] & 0x0F == zlib.DEFLATED
            self._decoder = zlib.decompressobj(wbits=zlib.MAX_WBITS if has_zlib_header else -zlib.MAX_WBITS)
        elif self._decoder.eof:
            raise zlib.error("data after the end")
        if _inflate(self._decoder, data, self._write):
            raise zlib.error("data after the end")


class _Brotli:
    def __init__(self, write: Write) -> None:
        self._write = write
        self._decoder = brotli.Decompressor()

    @property
    def is_whole(self) -> bool:
        return bool(self._decoder.is_finished())

    def feed(self, data: bytes) -> None:
        while True:
            piece = self._decoder.process(data, output_buffer_limit=PIECE_BYTES)
            self._write(piece)
            data = b""
            if len(piece) < PIECE_BYTES and self._decoder.can_accept_more_data():
                return


class _Zstd:
    """Writes through zstandard's push interface: its other streaming one makes all output of an input at once.

    That interface does not tell the end of a frame, so a cut body is not noticed here.
    """

    is_whole = True

    def __init__(self, write: Write) -> None:
        decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_ZSTD_WINDOW_BYTES)
        self._writer = decompressor.stream_writer(cast("IO[bytes]", _Sink(write)), write_size=PIECE_BYTES)

    def feed(self, data: bytes) -> None:
        self._writer.write(data)


class _Sink:
    """A file, as far as zstandard needs one."""

    def __init__(self, write: Write) -> None:
        self.write = write


class _Identity:
    is_whole = True

    def __init__(self, write: Write) -> None:
        self._write = write

    def feed(self, data: bytes) -> None:
        self._write(data)
