"""One reply from its bytes, however they are cut."""

from collections.abc import Iterable
from dataclasses import dataclass

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.adapters.upstream.reply_parser import ReplyParser, whole_chunk
from proxy.adapters.upstream.wire import HEADER_LIMIT_BYTES
from proxy.domain.errors import UpstreamProtocol

OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: 5\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


@dataclass(frozen=True)
class Parsed:
    """What a parser made of some bytes."""

    status: int = 200
    body: bytes = b""
    is_whole: bool = True
    is_reusable: bool = True
    is_refused: bool = False


HALF_REFUSED = Parsed(body=b"hel", is_whole=False, is_reusable=False, is_refused=True)
REFUSED_AT_ONCE = Parsed(status=0, is_whole=False, is_reusable=False, is_refused=True)
CASES: dict[str, tuple[bytes, Parsed]] = {
    "length": (OK + LENGTH + b"hello", Parsed(body=b"hello")),
    "no reason": (b"HTTP/1.1 200\r\n" + LENGTH + b"hello", Parsed(body=b"hello")),
    "no body": (OK + b"Content-Length: 0\r\n\r\n", Parsed()),
    "unfinished": (OK + LENGTH + b"hel", Parsed(body=b"hel", is_whole=False)),
    "close": (OK + b"Connection: close\r\n" + LENGTH + b"hello", Parsed(body=b"hello", is_reusable=False)),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\n" + LENGTH + b"hello", Parsed(body=b"hello", is_reusable=False)),
    "HTTP/1.0, kept": (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" + LENGTH + b"hello", Parsed(body=b"hello")),
    "chunks": (OK + CHUNKED + b"3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n", Parsed(body=b"hello")),
    "trailers": (OK + CHUNKED + b"5\r\nhello\r\n0\r\nX-Late: 1\r\n\r\n", Parsed(body=b"hello")),
    "unfinished chunks": (OK + CHUNKED + b"5\r\nhello\r\n0\r\n", Parsed(body=b"hello", is_whole=False)),
    "until the end": (OK + b"\r\nhello", Parsed(body=b"hello", is_whole=False, is_reusable=False)),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", Parsed(status=204)),
    "304": (b"HTTP/1.1 304 Not Modified\r\n" + LENGTH, Parsed(status=304)),
    "interim": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" + OK + LENGTH + b"hello",
                Parsed(body=b"hello")),
    "another one": (OK + LENGTH + b"hello" + OK + LENGTH + b"AGAIN", Parsed(body=b"hello", is_reusable=False)),
    "noise behind": (OK + LENGTH + b"hello, and more", Parsed(body=b"hello", is_reusable=False)),
    "204 with a body": (b"HTTP/1.1 204 No Content\r\n" + LENGTH + b"hello", Parsed(status=204, is_reusable=False)),
    "broken chunk": (OK + CHUNKED + b"3\r\nhel\r\nzz\r\n", HALF_REFUSED),
    "broken last line": (OK + CHUNKED + b"3\r\nhel\r\n0\r\n\n", HALF_REFUSED),
    "garbage": (b"\x00\x01\r\n\r\n", REFUSED_AT_ONCE),
    "version": (b"HTTP/2.0 200 OK\r\n" + LENGTH, REFUSED_AT_ONCE),
    "old version": (b"HTTP/0.9 200 OK\r\n" + LENGTH, REFUSED_AT_ONCE),
    "status": (b"HTTP/1.1 99 OK\r\n" + LENGTH, REFUSED_AT_ONCE),
    "low status": (b"HTTP/1.1 099 OK\r\n" + LENGTH, REFUSED_AT_ONCE),
    "switch": (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", REFUSED_AT_ONCE),
    "two lengths": (OK + b"Content-Length: 5\r\n" + LENGTH, REFUSED_AT_ONCE),
    "length and chunks": (OK + b"Content-Length: 5\r\n" + CHUNKED, REFUSED_AT_ONCE),
    "coded twice": (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n", REFUSED_AT_ONCE),
    "chunked twice": (OK + b"Transfer-Encoding: chunked\r\n" + CHUNKED, REFUSED_AT_ONCE),
    "another coding": (OK + b"Transfer-Encoding: gzip\r\n\r\n", REFUSED_AT_ONCE),
    "folded": (OK + b"A: a\r\n b\r\n" + LENGTH, REFUSED_AT_ONCE),
    "space before colon": (OK + b"A : a\r\n" + LENGTH, REFUSED_AT_ONCE),
    "line feed alone": (OK + b"A: a\n" + LENGTH, REFUSED_AT_ONCE),
    "long field": (OK + b"A: " + b"a" * HEADER_LIMIT_BYTES + b"\r\n" + LENGTH, REFUSED_AT_ONCE),
    "many fields": (OK + b"A: a\r\n" * 33_000 + LENGTH, REFUSED_AT_ONCE),
}  # fmt: skip


def parser_of(data: bytes, cuts: Iterable[int] = (), method: str = "POST") -> tuple[ReplyParser, bytes]:
    """A parser that was fed with these bytes, all but whole chunks where one may come; and the body that came of it."""
    parser, body = ReplyParser(method), b""
    ends = sorted({cut for cut in cuts if 0 < cut < len(data)})
    for start, end in zip([0, *ends], [*ends, len(data)], strict=True):
        piece = data[start:end]
        body += (parser.is_between_chunks and whole_chunk(piece)) or parser.feed(piece)
    return parser, body


def parsed(data: bytes, cuts: Iterable[int] = (), method: str = "POST") -> Parsed:
    parser, body = parser_of(data, cuts, method)
    assert parser.error is None or isinstance(parser.error, UpstreamProtocol)
    return Parsed(parser.status, body, parser.is_whole, parser.is_reusable, parser.error is not None)


@pytest.mark.parametrize("name", CASES)
@given(cuts=st.lists(st.integers(0, 400), max_size=8))
def test_a_reply_is_the_same_however_it_is_cut(name: str, cuts: list[int]) -> None:
    data, expected = CASES[name]
    assert parsed(data, cuts) == expected


PIECES = st.sampled_from(
    [b"5\r\nhello\r\n", b"A\r\n0123456789\r\n", b"1a\r\n" + b"z" * 26 + b"\r\n", b"2\r\n\r\n\r\n", b"05\r\nhello\r\n",
     b"5;x=y\r\nhello\r\n", b"5\r\nhel", b"lo\r\n", b"5\r\n", b"hello\r", b"\n", b"5", b"\r\nhello\r\n", b"0\r\n",
     b"\r\n", b"0\r\n\r\n", b"+5\r\nhello\r\n", b"0x5\r\nhello\r\n", b"-1\r\n\r\n", b"5\r\nhello!\r\n", b"5\nhello\r\n"]
)  # fmt: skip


@given(pieces=st.lists(PIECES, min_size=2, max_size=8))
@example(pieces=[b"5\r\nhello\r\n1", b"5\r\nhello\r\n"])  # the second one only looks like a chunk
@example(pieces=[b"5\r\nhello\r\n15\r\n", b"5\r\nhello\r\n"])
def test_chunks_are_the_same_whether_each_comes_alone_or_all_at_once(pieces: list[bytes]) -> None:
    data, cuts = OK + CHUNKED, [len(OK + CHUNKED)]
    for piece in pieces:
        data += piece
        cuts.append(len(data))
    assert parsed(data, cuts) == parsed(data)


@pytest.mark.parametrize("size", [1, 9, 10, 15, 16, 255, 256, 1_000])
def test_a_chunk_is_known_by_its_length_and_framing(size: int) -> None:
    body = b"z" * size
    for size_line in b"%x\r\n" % size, b"%X\r\n" % size:
        assert whole_chunk(size_line + body + b"\r\n") == body
        for other in b"\n\r", b"\r\n\r", b"\r", b"zz", b"":
            assert whole_chunk(size_line + body + other) == b""
    assert whole_chunk(b"%x\r\n" % (size + 1) + body + b"\r\n") == b""
    assert whole_chunk(b"0%x\r\n" % size + body + b"\r\n") == b""


def test_what_is_no_whole_chunk_is_none_and_a_long_one_is_left_to_the_parser() -> None:
    for data in b"", b"\r\n", b"0\r\n\r\n", b"5\r\n", b"400\r\n" + bytes(1_024) + b"\r\n":
        assert whole_chunk(data) == b""


def test_fields_are_told_as_they_came() -> None:
    fields = b"A:\r\nB:  b\t \r\na: c\r\nX: \xc3\xa4\xff\r\n"
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    late = b"0\r\nX-Late: 1\r\n\r\n"
    parser, _ = parser_of(interim + b"HTTP/1.1 299 Fine  \xff\r\n" + fields + CHUNKED + late, range(500))
    assert (parser.status, parser.reason) == (299, "Fine  \udcff")
    assert list(parser.headers) == [
        ("A", ""),
        ("B", "b"),
        ("a", "c"),
        ("X", "ä\udcff"),
        ("Transfer-Encoding", "chunked"),
    ]


@pytest.mark.parametrize(
    ("data", "is_reusable"),
    [
        (OK + LENGTH, True),
        (OK + CHUNKED, True),
        (OK + b"\r\n", False),
        (OK + LENGTH + b"hello", False),
    ],
)
def test_a_head_s_reply_ends_with_its_head(data: bytes, is_reusable: bool) -> None:
    for cuts in ((), (len(OK + LENGTH),)):
        assert parsed(data, cuts, "HEAD") == Parsed(is_reusable=is_reusable)


def test_the_end_of_the_connection_is_that_of_a_body_without_framing_and_of_no_other() -> None:
    for name in ("until the end", "unfinished", "unfinished chunks", "broken chunk", "garbage"):
        parser, _ = parser_of(CASES[name][0])
        parser.feed_eof()
        assert parser.is_whole is (name == "until the end"), name


@pytest.mark.parametrize(
    ("head", "again"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (OK + CHUNKED, b"1;" + b"x" * 1_000),
        (OK + CHUNKED + b"0\r\n", b"X-Late: 1\r\n"),
    ],
    ids=["interim replies", "one chunk's extension", "trailers"],
)
def test_what_is_no_body_has_an_end(head: bytes, again: bytes) -> None:
    parser, fed_bytes = ReplyParser("POST"), 0
    parser.feed(head)
    while parser.error is None:
        parser.feed(again)
        fed_bytes += len(again)
        assert fed_bytes < 4 * HEADER_LIMIT_BYTES
    assert not parser.is_whole


def test_a_body_has_none() -> None:
    parser, _ = parser_of(OK + CHUNKED)
    for _ in range(200):
        assert len(parser.feed(b"400\r\n" + bytes(1_024) + b"\r\n")) == 1_024
    assert parser.error is None
