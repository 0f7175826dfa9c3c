"""From the bytes of one reply to its head and the pieces of its body. Does no I/O.

llhttp, node's parser, reads the bytes and is strict by default: line ends, lengths, chunk sizes, versions. What it
leaves to its user is here: interim replies are passed over, the size of heads and trailers is bounded, no transfer
coding but `chunked` is taken, nothing behind the reply's end is looked at, and a body without framing lasts until the
connection ends. Where a chunk has ended, it need not be shown what `whole_chunk` knows.
"""

from functools import lru_cache

import httptools

from proxy.adapters.upstream.wire import HEADER_LIMIT_BYTES, no_http
from proxy.domain.errors import UpstreamError
from proxy.domain.fields import MOST_SETS, NO_FIELDS, Fields, Names, names_of

_VERSIONS = ("1.1", "1.0")
_SWITCHING_PROTOCOLS = 101
_WITHOUT_BODY = (204, 304)


def _size_lines(wire_bytes: int) -> tuple[bytes, ...]:
    """How a chunk may begin that has so many bytes on the wire, framing included; with these, none has 21."""
    for digits in range(1, 4):
        size = b"%x" % max(0, wire_bytes - digits - len(b"\r\n\r\n"))
        if size != b"0" and len(size) == digits:
            return size + b"\r\n", size.upper() + b"\r\n"
    return ()


_SIZE_LINES = tuple(map(_size_lines, range(1_024)))


def whole_chunk(data: bytes) -> bytes:
    """What is in a chunk, where these bytes are one from its size to its last line end; else nothing.

    Its length tells how it must begin. It may be asked while a parser `is_between_chunks`; long ones are left to that.
    """
    if len(data) < len(_SIZE_LINES):
        size_lines = _SIZE_LINES[len(data)]
        if data.startswith(size_lines) and data[-2:] == b"\r\n":
            return data[len(size_lines[0]) : -2]
    return b""


class ReplyParser:
    """Fed with what arrives; `status`, `reason` and `headers` hold once `has_head`. A parser reads one reply."""

    __slots__ = (
        "_is_framed", "_is_head", "_llhttp", "_names", "_pieces", "_quiet_bytes", "_reason", "_trailer_bytes",
        "_values", "error", "has_head", "headers", "is_between_chunks", "is_reusable", "is_whole", "on_body", "reason",
        "status",
    )  # fmt: skip

    def __init__(self, method: str) -> None:
        self.status = 0
        self.reason = ""
        self.headers = NO_FIELDS
        self.has_head = False
        self.is_whole = False
        """The end of the body has been seen."""
        self.is_reusable = False
        """The connection may carry another reply after this one."""
        self.error: UpstreamError | None = None
        """What arrived is no valid reply. What came of the body before that is valid."""
        self._is_head = method == "HEAD"
        self._names: list[bytes] = []
        self._values: list[bytes] = []
        """For each name; providers send twenty, and nothing more is done for each than to keep it."""
        self._reason = b""
        self._trailer_bytes = 0
        self._is_framed = False
        """The head says how the end of the body will be known."""
        self.is_between_chunks = False
        """A chunk has ended, and nothing has come after it: another whole one need not be fed."""
        self._quiet_bytes = 0
        self._pieces: list[bytes] = []
        self.on_body = self._pieces.append
        self._llhttp: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> bytes:
        """What of the body has arrived with this; look at `error` and `is_whole` next."""
        if self._llhttp is None:
            self.is_reusable = False
            return b""
        try:
            self._llhttp.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._stumbled()
        if not data.endswith(b"\r\n"):  # the next chunk has begun, if only its size
            self.is_between_chunks = False
        body = self._take_body()
        if not body and not self.is_whole:
            self._quiet_bytes += len(data)
            if self._quiet_bytes > HEADER_LIMIT_BYTES:
                self._stumbled()
        if self.is_whole or self.error is not None:
            self.leave()
        return body

    def feed_eof(self) -> None:
        """The connection has ended in order; so has a body that nothing else delimits."""
        if self.has_head and self.error is None and not self._is_framed:
            self.is_whole = True

    def leave(self) -> None:
        """Read nothing more; this also undoes the cycle of references with llhttp."""
        self._llhttp = None
        self.is_between_chunks = False
        self.on_body = _nowhere

    def _stumbled(self) -> None:
        """At bytes that are no HTTP. Behind a whole reply they spoil only the connection."""
        self.is_reusable = False
        if not self.is_whole:
            self.error = no_http()

    def _take_body(self) -> bytes:
        pieces = self._pieces
        if not pieces:
            return b""
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        if self._is_head:  # what follows the head of a HEAD's reply is no body
            self.is_reusable = False
            return b""
        self._quiet_bytes = 0
        return body

    # What llhttp calls. An exception here ends its reading.

    def on_message_begin(self) -> None:
        """A reply begins: the first, one after an interim one, or one that nobody asked for."""
        if self.is_whole:
            raise _Refused

    def on_status(self, reason: bytes) -> None:
        """A part of the reason."""
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """One field of a head, or of the trailers, which are passed over as they are downstream."""
        if not self.has_head:
            self._names.append(name)
            self._values.append(value)
            return
        self._trailer_bytes += len(name) + len(value)
        if self._trailer_bytes > HEADER_LIMIT_BYTES:
            raise _Refused

    def on_headers_complete(self) -> None:
        """The head is whole."""
        llhttp = self._llhttp
        assert llhttp is not None
        status = llhttp.get_status_code()
        if status < 100 or status == _SWITCHING_PROTOCOLS or llhttp.get_http_version() not in _VERSIONS:
            raise _Refused
        values = b"\n".join(self._values)
        if len(values) + sum(map(len, self._names)) > HEADER_LIMIT_BYTES:
            raise _Refused
        if status < 200:
            return
        names = _names_of_wire(tuple(self._names))
        fields = self.headers = Fields(names, _values_of_wire(values) if self._values else ())
        self._names.clear()
        self._values.clear()
        self._is_framed = "content-length" in names.at or "transfer-encoding" in names.at
        codings = fields.all("transfer-encoding") if "transfer-encoding" in names.at else []
        if codings and (len(codings) > 1 or codings[0].lower() != "chunked"):
            raise _Refused
        self.status, self.reason = status, self._reason.decode("utf-8", "surrogateescape")
        self.has_head = True
        self.is_reusable = llhttp.should_keep_alive()
        self.is_whole = self._is_head or status in _WITHOUT_BODY

    def on_chunk_header(self) -> None:
        """The size of a chunk is known."""
        self.is_between_chunks = False

    def on_chunk_complete(self) -> None:
        """A chunk has ended, with its line end."""
        self.is_between_chunks = True

    def on_message_complete(self) -> None:
        """The end of the reply, or of an interim one."""
        if self.has_head:
            self.is_whole = True
        else:
            self._names.clear()
            self._values.clear()
            self._reason = b""


@lru_cache(maxsize=MOST_SETS)
def _names_of_wire(names: tuple[bytes, ...]) -> Names:
    return names_of(tuple(name.decode("ascii") for name in names))


def _values_of_wire(joined: bytes) -> list[str]:
    """The values, decoded as one text: none has a line end in it, and none can complete a character of the one before
    it. llhttp leaves blanks behind a value.
    """
    text = joined.decode("utf-8", "surrogateescape")
    values = text.split("\n")
    if " \n" in text or "\t\n" in text or text.endswith((" ", "\t")):
        return [value.rstrip(" \t") for value in values]
    return values


class _Refused(Exception):
    """Tells llhttp to stop; it goes no further than `feed`."""


def _nowhere(_: bytes) -> None:
    """After its end, a reply has no body."""
