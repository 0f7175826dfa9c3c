"""What is taken as plain is read as aiohttp reads it; all else is left to aiohttp."""

from unittest.mock import Mock

import pytest
from aiohttp.http_parser import HttpRequestParser, RawRequestMessage
from aiohttp.streams import StreamReader
from hypothesis import given
from hypothesis import strategies as st

from proxy.domain.paths import RequestTarget
from proxy.web import plain_head
from proxy.web.plain_head import END, PlainHead, read_head
from proxy.web.server import HEADER_BLOCK_BYTES, HEADER_COUNT
from tests.harness import framing

START = b"POST /v1/chat/completions?a=b HTTP/1.1"
HOST = b"Host: proxy.test"


def head(*fields: bytes, start: bytes = START, host: bytes = HOST) -> bytes:
    return b"\r\n".join([start, host, *fields])


def test_a_head_of_an_sdk_is_read() -> None:
    read = read_head(head(b"x-Odd: a: b", b"Connection: keep-alive", b"Content-Length: 12"))
    assert read is not None
    assert (read.method, read.target) == ("POST", RequestTarget("/v1/chat/completions", "a=b"))
    assert list(read.headers)[:2] == [("Host", "proxy.test"), ("x-Odd", "a: b")]
    assert (read.content_length, read.keep_alive) == (12, True)


@pytest.mark.parametrize(
    ("fields", "content_length", "keep_alive"),
    [([], None, True), ([b"Content-Length: 0"], 0, True), ([b"Connection: close"], None, False)],
)
def test_length_and_persistence_are_read(fields: list[bytes], content_length: int | None, keep_alive: bool) -> None:
    read = read_head(head(*fields))
    assert read is not None
    assert (read.content_length, read.keep_alive) == (content_length, keep_alive)


NOT_PLAIN = {
    "another version": head(start=START.replace(b"1.1", b"1.0")),
    "no version": head(start=b"GET /v1/models"),
    "two spaces": head(start=START.replace(b" HTTP", b"  HTTP")),
    "a method in small letters": head(start=START.replace(b"POST", b"post")),
    "a method of its own": head(start=START.replace(b"POST", b"TRACE")),
    "an absolute target": head(start=START.replace(b"/v1", b"http://a/v1")),
    "a path that is not the gateway's": head(start=START.replace(b"/v1/", b"/ui/")),
    "a path with an encoded trap": head(start=START.replace(b"/chat", b"/%2e%2e")),
    "a control character in the target": head(start=START.replace(b"/chat", b"/ch\tat")),
    "no host": START,
    "an odd host": head(host=b"Host: a@b"),
    "two hosts": head(HOST),
    "a name twice": head(b"X-A: 1", b"x-a: 2"),
    "an empty name": head(b": a"),
    "a space in a name": head(b"X A: a"),
    "a space before the colon": head(b"X-A : a"),
    "no space after the colon": head(b"X-A:a"),
    "two spaces after the colon": head(b"X-A:  a"),
    "a space at the end": head(b"X-A: a ", b"X-B: b"),
    "a space at the very end": head(b"X-A: a "),
    "an empty value": head(b"X-A: "),
    "a tab": head(b"X-A: a\tb"),
    "a folded line": head(b"X-A: a", b" b: c"),
    "a bare line feed": head(b"X-A: a\nX-B: b"),
    "a bare carriage return": head(b"X-A: a\rX-B: b"),
    "a zero": head(b"X-A: a\0b"),
    "more than ASCII": head("X-A: ä".encode()),
    "chunks": head(b"Transfer-Encoding: chunked"),
    "chunks and a length": head(b"Content-Length: 3", b"transfer-encoding: chunked"),
    "two lengths": head(b"Content-Length: 3", b"content-length: 3"),
    "a length that is none": head(b"Content-Length: +3"),
    "a length in other digits": head("Content-Length: ٣".encode()),
    "a length beyond reason": head(b"Content-Length: 1234567890"),
    "an expectation": head(b"Expect: 100-continue"),
    "an upgrade": head(b"Upgrade: h2c"),
    "a connection that names fields": head(b"Connection: close, X-A"),
    "a proxy's connection": head(b"Proxy-Connection: close"),
    "too long": head(b"X-A: " + b"a" * HEADER_BLOCK_BYTES),
    "too many": head(*(b"X-%d: a" % number for number in range(HEADER_COUNT))),
}


@pytest.mark.parametrize("case", NOT_PLAIN)
def test_what_is_odd_is_not_plain(case: str) -> None:
    assert read_head(NOT_PLAIN[case]) is None


@pytest.mark.parametrize("case", framing.REFUSED, ids=str)
def test_nothing_that_is_to_be_refused_is_plain(case: framing.Case) -> None:
    assert read_head(case.data.partition(END)[0]) is None


def as_aiohttp_reads(data: bytes) -> tuple[RawRequestMessage, bytes]:
    """The only message in these bytes, and its body. Fails where aiohttp refuses it, or sees more or less than one."""
    parser = HttpRequestParser(
        Mock(), Mock(), 1 << 16, max_line_size=1 << 15, max_field_size=1 << 15, max_headers=128, auto_decompress=False
    )
    ((message, payload),), is_upgraded, tail = parser.feed_data(data)
    assert (is_upgraded, tail) == (False, b"")
    assert payload.is_eof()
    return message, payload.read_nowait() if isinstance(payload, StreamReader) else b""


def test_the_names_of_the_head_before_find_the_values(monkeypatch: pytest.MonkeyPatch) -> None:
    first = read_head(head(b"X-A: a", b"Content-Length: 3"))
    assert first is not None
    monkeypatch.setattr(plain_head, "_read", Mock(side_effect=ValueError))
    read = read_head(head(b"X-A: b: c", b"Content-Length: 14", start=b"GET /v1/models HTTP/1.1"), first.headers.names)
    assert read is not None
    assert (read.method, read.target, read.content_length) == ("GET", RequestTarget("/v1/models", ""), 14)
    assert [*read.headers] == [("Host", "proxy.test"), ("X-A", "b: c"), ("Content-Length", "14")]


def test_names_longer_than_any_sdks_are_read_without_a_pattern() -> None:
    long = head(b"X-%b: a" % (b"a" * plain_head.PATTERN_CHARS))
    first = read_head(long)
    assert first is not None
    assert plain_head._pattern(first.headers.names) is None
    assert said(read_head(long, first.headers.names)) == said(first)


def said(read: PlainHead | None) -> object:
    return read and (read.method, read.target, [*read.headers], read.content_length, read.keep_alive)


_LINES = st.sampled_from(
    [value.partition(b"\r\n")[2] for value in NOT_PLAIN.values() if len(value) < 200]
    + [b"Content-Length: 3", b"Content-Length: 003", b"Connection: keep-alive", b"Connection: close", b"X-B: b: c", b""]
    + [b"Content-Type: a", b"content-type: a/b; c=d", b"Sec-WebSocket-Key1: a", b"Max-Forwards: 3", b"Keep-Alive: 3"]
)
_TEXT = st.text(st.characters(max_codepoint=255), max_size=3).map(lambda text: text.encode("latin-1"))


@st.composite
def _heads(draw: st.DrawFn) -> bytes:
    made = head(*draw(st.lists(_LINES, max_size=4)), start=draw(st.sampled_from([START, b"GET /v1/models HTTP/1.1"])))
    return draw(_damaged(made))


@st.composite
def _damaged(draw: st.DrawFn, made: bytes) -> bytes:
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(made)))
        made = made[:at] + draw(_TEXT) + made[at + draw(st.integers(0, 2)) :]
    return made


@given(st.data(), st.sampled_from([*NOT_PLAIN.values(), head(b"X-A: a", b"Content-Length: 3", b"X-B: b c")]))
def test_a_head_says_the_same_whatever_came_before_it(data: st.DataObject, made: bytes) -> None:
    damaged = data.draw(_damaged(made))
    for before in (made, damaged, head(b"X-A: a"), head(b"X-A: a", b"Content-Length: 3", b"X-B: b")):
        if (first := read_head(before)) is not None:
            assert said(read_head(damaged, first.headers.names)) == said(read_head(damaged))


@given(_heads())
def test_what_is_plain_is_read_as_aiohttp_reads_it(made: bytes) -> None:
    read = read_head(made)
    if read is None or END in made:  # the front looks no further than to the first empty line
        return
    body = b"x" * (read.content_length or 0) if (read.content_length or 0) < 10_000 else None
    if body is None:
        return
    message, received = as_aiohttp_reads(made + END + body)
    target = read.target.raw_path + ("?" + read.target.raw_query if "?" in message.path else "")
    assert (message.method, message.path, message.version) == (read.method, target, (1, 1))
    assert [(name.lower(), value) for name, value in message.headers.items()] == [
        (name.lower(), value) for name, value in read.headers
    ]
    assert (message.should_close, message.upgrade, message.chunked) == (not read.keep_alive, False, False)
    assert received == body
