"""The bytes of replies, as a client's socket has them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

import pytest
from aiohttp import web

from proxy.domain.fields import fields_of
from proxy.pipeline.pump import Pump
from proxy.pipeline.services import Reply
from proxy.web.reply_writer import Connection, ReplyWriter
from proxy.web.server import reply_writer, written
from tests.harness.call import PATIENCE_S
from tests.web.test_server import exchange, listening

DATE = b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
OURS = b"Server: promptlane\r\n" + DATE
LARGE = b"x" * 20_000


class Chunk(bytes):
    """A provider's chunk, framing included."""


class Pieces:
    """A body that is poured: pieces, and what is awaited between them."""

    def __init__(self, *steps: bytes | Callable[[], Awaitable[object]]) -> None:
        self._steps = steps
        self.flow: list[str] = []
        self.is_held, self.has_room = asyncio.Event(), asyncio.Event()

    async def pour(self, write: Callable[[bytes], None], write_chunk: Callable[[bytes], None] | None = None) -> None:
        for step in self._steps:
            if isinstance(step, Chunk) and write_chunk is not None:
                write_chunk(bytes(step))
            elif isinstance(step, bytes):
                write(step)
            else:
                await step()

    def pause(self) -> None:
        self.flow.append("pause")
        self.is_held.set()

    def resume(self) -> None:
        self.flow.append("resume")
        self.has_room.set()


def reply(body: bytes | Pieces, *headers: tuple[str, str], status: int = 200, reason: str = "OK") -> Reply:
    return Reply(status=status, reason=reason, headers=fields_of(headers), body=cast("bytes | Pump", body))


async def answered(answer: Reply, request: bytes) -> bytes:
    """All that comes back on the connection until it is closed."""

    async def answering(request: web.BaseRequest) -> web.StreamResponse:
        writer = reply_writer(request)
        await writer.send(answer, unix_s=0)
        return written(keep_alive=writer.keep_alive)

    async with listening(answering) as port:
        return await exchange(port, request)


GET = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
HEAD = GET.replace(b"GET", b"HEAD")
OLD = b"GET / HTTP/1.0\r\n\r\n"
CLOSE = b"Connection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "request_bytes", "expected"),
    [
        (
            lambda: reply(b"hi", ("X-A", "b"), ("content-length", "9"), ("X-A", "c")),
            GET,
            b"HTTP/1.1 200 OK\r\nX-A: b\r\nX-A: c\r\n" + OURS + b"Content-Length: 2\r\n" + CLOSE + b"hi",
        ),
        (
            lambda: reply(Pieces(b"hello", LARGE, Chunk(b"A\r\n0123456789\r\n")), ("Server", "s"), ("date", "d")),
            GET,
            b"HTTP/1.1 200 OK\r\nServer: s\r\ndate: d\r\nTransfer-Encoding: chunked\r\n"
            + CLOSE
            + b"5\r\nhello\r\n4e20\r\n"
            + LARGE
            + b"\r\nA\r\n0123456789\r\n0\r\n\r\n",
        ),
        (
            lambda: reply(Pieces(b"he", b"llo"), ("Content-Length", "5")),
            GET,
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n" + OURS + CLOSE + b"hello",
        ),
        (lambda: reply(Pieces(b"hi")), OLD, b"HTTP/1.0 200 OK\r\n" + OURS + CLOSE + b"hi"),
        (
            lambda: reply(b"", ("Content-Length", "7"), status=404, reason="Not Here"),
            HEAD,
            b"HTTP/1.1 404 Not Here\r\nContent-Length: 7\r\n" + OURS + CLOSE,
        ),
        (
            lambda: reply(b"", ("Content-Length", "0"), status=204, reason=""),
            GET,
            b"HTTP/1.1 204 \r\n" + OURS + CLOSE,
        ),
        (
            lambda: reply(Pieces(), ("Content-Length", "9"), status=304),
            GET,
            b"HTTP/1.1 304 OK\r\nContent-Length: 9\r\n" + OURS + CLOSE,
        ),
        (lambda: reply(Pieces(), ("ETag", '"ä\udcff"'), status=304), HEAD, None),
    ],
    ids=["whole", "chunked", "length", "http10", "head", "204", "304", "bytes-that-are-no-utf8"],
)
async def test_a_reply_is_framed_as_its_status_method_and_version_want_it(
    answer: Callable[[], Reply], request_bytes: bytes, expected: bytes | None
) -> None:
    expected = expected or 'HTTP/1.1 304 OK\r\nETag: "ä'.encode() + b'\xff"\r\n' + OURS + CLOSE
    assert await answered(answer(), request_bytes) == expected


async def test_http_1_0_is_told_that_it_may_go_on() -> None:
    two = OLD.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n") + OLD
    received = await answered(reply(b"hi"), two)
    assert received.count(b"HTTP/1.0 200 OK") == 2
    assert (received.count(b"Connection: keep-alive"), received.count(b"Connection: close")) == (1, 1)


@pytest.mark.parametrize("evil", ["a\r\nX-Evil: 1", "a\nX-Evil: 1", "a\rX-Evil: 1", "a\0"])
async def test_a_field_that_would_end_its_line_is_not_written(evil: str) -> None:
    for answer in (reply(b"hi", ("X-A", evil)), reply(b"hi", (evil, "a")), reply(b"hi", reason=evil)):
        received = await answered(answer, GET)
        assert received.startswith(b"HTTP/1.1 500")
        assert b"Evil" not in received


async def test_a_client_without_room_is_told_to_the_body_and_so_is_its_reading_on() -> None:
    body = Pieces(b"x" * (32 << 20))
    body_ended = asyncio.Event()
    body._steps = (*body._steps, body.has_room.wait)

    async def answering(request: web.BaseRequest) -> web.StreamResponse:
        writer = reply_writer(request)
        await writer.send(reply(body), unix_s=0)
        body_ended.set()
        return written(keep_alive=writer.keep_alive)

    async with listening(answering) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET)
        await asyncio.wait_for(body.is_held.wait(), PATIENCE_S)
        assert not body.has_room.is_set()
        received = await asyncio.wait_for(reader.read(), PATIENCE_S)
        writer.close()
    assert body.flow == ["pause", "resume"]
    assert body_ended.is_set()
    assert received.endswith(b"x\r\n0\r\n\r\n")


async def test_a_client_that_is_gone_is_a_connection_error() -> None:
    failed: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    async def answering(request: web.BaseRequest) -> web.StreamResponse:
        writer = reply_writer(request)
        assert request.transport is not None
        request.transport.close()
        try:
            await writer.send(reply(b"hi"), unix_s=0)
        except ConnectionError as error:
            failed.set_result(error)
        writer.cut()
        return written(keep_alive=False)

    async with listening(answering) as port:
        assert await exchange(port, GET) == b""
    assert isinstance(await failed, ConnectionResetError)


class Wire:
    """A client's connection of which the writes are kept."""

    def __init__(self) -> None:
        self.transport = cast("asyncio.Transport", self)
        self.flow: object = None
        self.has_room = True
        self.is_ending = False
        self.writes: list[bytes] = []

    def begin_stream(self, flow: object) -> None:
        self.flow = flow

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def is_closing(self) -> bool:
        return False


async def test_the_head_of_a_stream_goes_out_with_its_first_piece() -> None:
    wire = Wire()
    writer = ReplyWriter(cast("Connection", wire), "GET", keep_alive=True)
    await writer.send(reply(Pieces(Chunk(b"2\r\nhi\r\n"), b"ho")), unix_s=0)
    first, *others = wire.writes
    assert first.startswith(b"HTTP/1.1 200 OK\r\n")
    assert first.endswith(b"\r\n\r\n2\r\nhi\r\n")
    assert others == [b"2\r\nho\r\n", b"0\r\n\r\n"]


async def test_the_head_goes_out_though_the_body_breaks_before_its_first_piece() -> None:
    async def breaks() -> None:
        raise ConnectionResetError

    wire = Wire()
    writer = ReplyWriter(cast("Connection", wire), "GET", keep_alive=True)
    with pytest.raises(ConnectionResetError):
        await writer.send(reply(Pieces(breaks)), unix_s=0)
    assert writer.is_begun
    assert [data.partition(b"\r\n")[0] for data in wire.writes] == [b"HTTP/1.1 200 OK"]
