"""The contract with aiohttp's private parts that `proxy.web.server` relies on."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from unittest.mock import Mock

import pytest
from aiohttp import web
from aiohttp.http_parser import HttpRequestParserPy

from proxy.web import server
from proxy.web.server import HardenedServer
from tests.harness.call import PATIENCE_S

CANARY = b"CANARY-3f9a"


async def echo(request: web.BaseRequest) -> web.StreamResponse:
    body = await request.read()
    return web.Response(body=body, headers={"X-Encoding": request.headers.get("Content-Encoding", "")})


@asynccontextmanager
async def listening(handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]] = echo) -> AsyncIterator[int]:
    runner = web.ServerRunner(HardenedServer(handler), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def exchange(port: int, *pieces: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.writelines(pieces)
    await writer.drain()
    reply = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    await writer.wait_closed()
    return reply


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + CANARY + b"\x00\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + CANARY + b"\r\n",
        b"GET /?key=" + CANARY + b" HTTP/9.9\r\nHost: x\r\n\r\n",
        CANARY + b" / HTTP/1.1 \r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n" + CANARY,
    ],
)
async def test_a_malformed_request_is_answered_400_and_quoted_nowhere(
    request_bytes: bytes, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    async with listening() as port:
        reply = await exchange(port, request_bytes)
    assert reply.startswith(b"HTTP/1.0 400")
    assert b'"code":"malformed_request"' in reply
    seen = reply.decode("latin-1") + caplog.text + "".join(capfd.readouterr())
    assert CANARY.decode() not in seen


async def test_a_header_line_over_the_limit_is_431() -> None:
    async with listening() as port:
        reply = await exchange(port, b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 40_000 + b"\r\n\r\n")
    assert reply.startswith(b"HTTP/1.0 431")


async def test_too_many_headers_are_431() -> None:
    async with listening() as port:
        reply = await exchange(port, b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-A: a\r\n" * 200 + b"\r\n")
    assert reply.startswith(b"HTTP/1.0 431")


async def test_an_exception_of_a_handler_is_a_500_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(_: web.BaseRequest) -> web.StreamResponse:
        raise RuntimeError(CANARY.decode())

    async with listening(broken) as port:
        reply = await exchange(port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert reply.startswith(b"HTTP/1.1 500")
    (told,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert told.exc_info is not None
    assert told.exc_info[0] is RuntimeError
    assert CANARY.decode() not in reply.decode() + told.getMessage()


async def test_what_a_client_did_wrong_is_no_bug(caplog: pytest.LogCaptureFixture) -> None:
    async with listening() as port:
        for wrong in (
            b"GET / HTTP/1.1\r\nHost x\r\n\r\n",
            b"G\0T / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nX-A: %b\r\n\r\n" % (b"a" * 40_000),
        ):
            assert b" 4" in (await exchange(port, wrong))[:12]
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_request_bodies_are_not_decompressed() -> None:
    async with listening() as port:
        head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\n"
        reply = await exchange(port, head + b"\x1f\x8bxyz")
    assert reply.endswith(b"\x1f\x8bxyz")


async def test_reading_goes_on_where_a_body_or_a_queue_had_paused_it() -> None:
    async def slowly(request: web.BaseRequest) -> web.StreamResponse:
        await asyncio.sleep(0)  # what has been sent meanwhile is more than aiohttp holds
        return web.Response(text=f"<{len(await request.read())}>")

    bodies = [b"x" * 1_000_000, b"small", b"y" * 1_000_000, *[b"one of many"] * 200]
    heads = [b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) for body in bodies]
    last = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    async with listening(slowly) as port:
        reply = await exchange(port, *(part for pair in zip(heads, bodies, strict=True) for part in pair), last)
    assert reply.count(b"HTTP/1.1 200 OK") == len(bodies) + 1
    assert reply.count(b"<11>") == 200


async def test_a_header_block_that_does_not_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEADER_DEADLINE_S", 0.05)
    async with listening() as port:
        assert await exchange(port, b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ") == b""


async def test_bytes_that_come_with_the_connection_start_the_deadline_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEADER_DEADLINE_S", 0.05)
    closed = asyncio.Event()
    transport = Mock(spec=asyncio.Transport)
    transport.close.side_effect = closed.set
    protocol = HardenedServer(echo)()
    protocol.connection_made(transport)
    protocol.data_received(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow:")  # before the connection's task has had a turn
    await asyncio.wait_for(closed.wait(), 5)
    protocol.connection_lost(None)


async def test_drip_feeding_does_not_lengthen_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEADER_DEADLINE_S", 0.2)
    async with listening() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\n")
        ended = asyncio.ensure_future(reader.read())
        for _ in range(200):
            if ended.done():
                break
            writer.write(b"X-A: a\r\n")
            await asyncio.wait([ended], timeout=0.02)
        assert await ended == b""
        writer.close()


async def test_a_client_that_leaves_cancels_its_handler() -> None:
    entered, cancelled = asyncio.Event(), asyncio.Event()

    async def waits(_: web.BaseRequest) -> web.StreamResponse:
        entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        raise AssertionError

    async with listening(waits) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.wait_for(entered.wait(), 5)
        writer.close()
        await asyncio.wait_for(cancelled.wait(), 5)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel knows no such limit")
async def test_a_client_that_reads_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CLIENT_SILENCE_S", 0.1)
    given_up = asyncio.Event()

    async def floods(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(bytes(1 << 16))
        finally:
            given_up.set()

    async with listening(floods) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.wait_for(given_up.wait(), PATIENCE_S)
        writer.transport.abort()


async def test_the_python_parser_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HttpRequestParser", HttpRequestParserPy)
    with pytest.raises(RuntimeError, match="C parser"):
        HardenedServer(echo)
