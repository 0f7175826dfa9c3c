"""The framing corpus: byte streams on which parsers are known to disagree, and what the gateway must make of each.

A refused stream gets exactly one reply, the connection is closed, the provider sees nothing. The corpus is plain data,
so that it can also be given to another parser for comparison.
"""

from dataclasses import dataclass

START = b"POST /v1/chat/completions HTTP/1.1\r\n"
HOST = b"Host: proxy.test\r\n"
KEY = b"Authorization: Bearer sk-test\r\n"
JSON = b"Content-Type: application/json\r\n"
BODY = b'{"model":"gpt-4.1-mini","messages":[]}'
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
HEAD = START + HOST + KEY + JSON
CHUNKED = b"Transfer-Encoding: chunked\r\n"
GOOD_CHUNK = b"%x\r\n%b\r\n" % (len(BODY), BODY)
LAST = b"0\r\n\r\n"
GOOD = HEAD + LENGTH + b"\r\n" + BODY


@dataclass(frozen=True, slots=True)
class Case:
    """`row` is the family, `name` the variant. Any of `statuses` will do."""

    row: str
    name: str
    data: bytes
    statuses: frozenset[int] = frozenset({400})

    def __str__(self) -> str:
        return f"{self.row}-{self.name}"


def _with(fields: bytes, body: bytes = BODY) -> bytes:
    return HEAD + fields + b"\r\n" + body


def _chunks(body: bytes) -> bytes:
    return _with(CHUNKED, body)


def _fields(count: int, value: bytes) -> bytes:
    return b"".join(b"A%d: %b\r\n" % (number, value) for number in range(count))


_TOO_LARGE = frozenset({400, 431})
_NO_SUCH_PATH = frozenset({400, 404})

REFUSED = (
    Case("H1", "length-and-chunked", _with(LENGTH + CHUNKED, GOOD_CHUNK + LAST)),
    Case("H1", "chunked-and-length", _with(CHUNKED + b"Content-Length: 3\r\n", GOOD_CHUNK + LAST)),
    Case("H2", "xchunked", _with(b"Transfer-Encoding: xchunked\r\n", GOOD_CHUNK + LAST)),
    Case("H2", "chunked-identity", _with(b"Transfer-Encoding: chunked, identity\r\n", GOOD_CHUNK + LAST)),
    Case("H2", "identity", _with(b"Transfer-Encoding: identity\r\n")),
    Case("H3", "space-before-colon", _with(b"Transfer-Encoding : chunked\r\n", GOOD_CHUNK + LAST)),
    Case("H4", "two-lengths-differ", _with(LENGTH + b"Content-Length: 3\r\n")),
    Case("H4", "two-lengths-equal", _with(LENGTH + LENGTH)),
    Case("H4", "length-list", _with(b"Content-Length: 3, 3\r\n", b"{ }")),
    Case("H5", "length-plus", _with(b"Content-Length: +3\r\n", b"{ }")),
    Case("H5", "length-minus", _with(b"Content-Length: -1\r\n", b"")),
    Case("H5", "length-underscore", _with(b"Content-Length: 1_0\r\n", b"{        }")),
    Case("H5", "length-over-64-bits", _with(b"Content-Length: 18446744073709551617\r\n", b"{")),
    Case("H6", "chunk-size-0x", _chunks(b"0x3\r\n{ }\r\n" + LAST)),
    Case("H6", "chunk-size-plus", _chunks(b"+3\r\n{ }\r\n" + LAST)),
    Case("H6", "chunk-extension-bare-lf", _chunks(b"3;a\n{ }\r\n" + LAST)),
    Case("H6", "chunks-bare-lf", _chunks(b"3\n{ }\n0\n\n")),
    Case("H6", "chunk-without-crlf", _chunks(b"3\r\n{ }X" + LAST)),
    Case("H7", "bare-lf-header", START + HOST + b"A: 1\nB: 2\r\n" + LENGTH + b"\r\n" + BODY),
    Case("H7", "bare-cr-in-value", _with(b"A: 1\rB: 2\r\n" + LENGTH)),
    Case("H7", "nul-in-value", _with(b"A: 1\x002\r\n" + LENGTH)),
    Case("H7", "folded", _with(b"A: 1\r\n B: 2\r\n" + LENGTH)),
    Case("H8", "no-host", START + KEY + LENGTH + b"\r\n" + BODY),
    Case("H8", "two-hosts", _with(b"Host: other.test\r\n" + LENGTH)),
    Case("H9", "http-1.2", GOOD.replace(b"HTTP/1.1", b"HTTP/1.2", 1)),
    Case("H9", "method-not-ascii", GOOD.replace(b"POST", b"P\xc3\x96ST", 1)),
    Case("H9", "space-in-target", GOOD.replace(b"/v1/chat", b"/v1/ch at", 1)),
    Case("H10", "header-40-kb", _with(b"A: " + b"a" * 40_000 + b"\r\n" + LENGTH), _TOO_LARGE),
    Case("H10", "headers-200", _with(_fields(200, b"1") + LENGTH), _TOO_LARGE),
    Case("H10", "block-60-kb", _with(_fields(60, b"a" * 1000) + LENGTH), _TOO_LARGE),
    Case("H11", "http-1.0-chunked", _chunks(GOOD_CHUNK + LAST).replace(b"HTTP/1.1", b"HTTP/1.0", 1)),
    Case("H12", "host-with-fragment", GOOD.replace(b"Host: proxy.test", b"Host: a/#")),
    Case("H12", "host-with-user", GOOD.replace(b"Host: proxy.test", b"Host: a@b")),
    Case("H12", "host-empty", GOOD.replace(b"Host: proxy.test", b"Host: ")),
    Case("H13", "absolute-form", GOOD.replace(b"POST /v1", b"POST http://evil.test/v1", 1)),
    Case("H14", "connect", b"CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", frozenset({400, 404, 405})),
    Case("S3", "two-slashes", GOOD.replace(b"POST /v1/chat", b"POST //evil.test/v1/chat", 1), _NO_SUCH_PATH),
    Case("S3", "encoded-slashes", GOOD.replace(b"POST /v1/chat", b"POST /%2f%2fevil/v1/chat", 1), _NO_SUCH_PATH),
    Case("S3", "backslashes", GOOD.replace(b"POST /v1/chat", b"POST /v1/\\\\evil/chat", 1), _NO_SUCH_PATH),
    Case("T6", "dot-segments", GOOD.replace(b"/v1/chat", b"/v1/../admin/chat", 1), _NO_SUCH_PATH),
    Case("T6", "encoded-dots", GOOD.replace(b"/v1/chat", b"/v1/%2e%2e/chat", 1), _NO_SUCH_PATH),
    Case("T6", "encoded-backslash", GOOD.replace(b"/v1/chat", b"/v1/a%5cb/chat", 1), _NO_SUCH_PATH),
    Case("T6", "double-encoding", GOOD.replace(b"/v1/chat", b"/v1/%252e%252e/chat", 1), _NO_SUCH_PATH),
    Case("T6", "encoded-nul", GOOD.replace(b"/v1/chat", b"/v1/a%00b/chat", 1), _NO_SUCH_PATH),
    Case("T6", "encoded-crlf", GOOD.replace(b"/v1/chat", b"/v1/a%0d%0ab/chat", 1), _NO_SUCH_PATH),
)  # fmt: skip
"""Each is refused before anything reaches the provider."""

AMBIGUOUS = (
    *(case.data for case in REFUSED),
    GOOD,
    GOOD + GOOD,
    _chunks(GOOD_CHUNK + LAST) + GOOD,
    _chunks(GOOD_CHUNK + b"0\r\nAuthorization: Bearer other\r\n\r\n") + GOOD,
    _with(b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n" + LENGTH) + GOOD,
    _with(b"Connection: close\r\n" + LENGTH) + GOOD,
    _with(b"Content-Length: 0\r\n", b"") + GOOD,
)
"""Streams for counting requests: a gateway must never see more of them than a strict parser does."""
