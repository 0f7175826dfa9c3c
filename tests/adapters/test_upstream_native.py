"""What only our own client has: its pool, its names, and the order in which things happen on one connection."""

import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import pytest
import pytest_asyncio
from aiohttp.test_utils import unused_port

from proxy.adapters.upstream import NativeUpstream, pool
from proxy.adapters.upstream.address import origin_of, split_url
from proxy.adapters.upstream.connection import Connection
from proxy.adapters.upstream.native_reply import NativeReply
from proxy.adapters.upstream.request_head import request_head
from proxy.domain.errors import UpstreamConnectTimeout, UpstreamDns, UpstreamReset, UpstreamUnreachable
from tests.adapters.upstream_clients import failure, read, request
from tests.harness.call import PATIENCE_S, Call
from tests.harness.provider import ScriptedProvider
from tests.harness.replies import End, Reply, text_reply
from tests.harness.scripts import built_in

FINE = text_reply(200, "text/plain", b"fine")


@pytest_asyncio.fixture
async def upstream() -> AsyncIterator[NativeUpstream]:
    upstream = NativeUpstream()
    yield upstream
    await upstream.close()


def resting(upstream: NativeUpstream) -> int:
    return sum(map(len, upstream._pool._resting.values()))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110  nothing tells of it
            await asyncio.sleep(0)


# Addresses and heads


@pytest.mark.parametrize(
    ("url", "base", "target", "where"),
    [
        ("http://a.test/v1/x?q=1", "http://a.test", "/v1/x?q=1", (False, "a.test", 80, "a.test")),
        ("https://a.test", "https://a.test", "/", (True, "a.test", 443, "a.test")),
        ("https://A.test:443/", "https://A.test:443", "/", (True, "a.test", 443, "a.test")),
        ("http://a:8080?q=/", "http://a:8080", "/?q=/", (False, "a", 8080, "a:8080")),
        ("http://[::1]:81//?a?b/", "http://[::1]:81", "//?a?b/", (False, "::1", 81, "[::1]:81")),
    ],
)
def test_an_address_is_taken_apart(url: str, base: str, target: str, where: tuple[object, ...]) -> None:
    assert split_url(url) == (base, target)
    origin = origin_of(base)
    assert (origin.is_tls, origin.host, origin.port, origin.field) == where


async def pieces_of(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


@pytest.mark.parametrize(
    ("asked", "framing"),
    [
        ({"method": "GET", "body": None}, b""),
        ({"method": "POST", "body": None}, b"Content-Length: 0\r\n"),
        ({"body": b""}, b"Content-Length: 0\r\n"),
        ({"body": b"12345"}, b"Content-Length: 5\r\n"),
        ({"body": b"12345", "headers": (("content-length", "5"),)}, b"content-length: 5\r\n"),
        ({"body": pieces_of(), "headers": (("Content-Length", "5"),)}, b"Content-Length: 5\r\n"),
        ({"body": pieces_of()}, b"Transfer-Encoding: chunked\r\n"),
    ],
)
def test_a_body_is_framed_once(asked: dict[str, Any], framing: bytes) -> None:
    head = request_head(request("http://a.test/", **asked), "/", origin_of("http://a.test"))
    method = asked.get("method", "POST").encode()
    assert head.line_and_fields == method + b" / HTTP/1.1\r\nHost: a.test\r\n" + framing + b"\r\n"
    assert head.is_chunked is (b"chunked" in framing)


@pytest.mark.parametrize("evil", ["a\r\nX: 1", "a\nX: 1", "a\r", "a\0"])
async def test_what_would_end_a_line_is_not_sent(upstream: NativeUpstream, evil: str) -> None:
    async with ScriptedProvider() as provider:
        for asked in (request(provider.url, headers=(("X", evil),)), request(f"{provider.url}/{evil}")):
            with pytest.raises(ValueError, match="ends a line"):
                await upstream.send(asked)
    assert provider.connections == 0


# The pool


async def test_a_connection_that_the_provider_has_closed_is_not_taken(upstream: NativeUpstream) -> None:
    async with ScriptedProvider(built_in("answer_then_close")) as provider:
        for _ in range(3):
            await read(upstream, request(provider.url))
            await until(lambda: resting(upstream) == 0)
    assert provider.connections == 3


async def test_a_get_that_finds_its_kept_connection_broken_is_sent_again_and_once(upstream: NativeUpstream) -> None:
    async with ScriptedProvider(FINE) as provider:
        get = request(provider.url, method="GET", body=None)
        await read(upstream, request(provider.url))
        provider.scripts.append(built_in("reset"))
        assert (await read(upstream, get))[1] == b"fine"
        provider.scripts.extend([built_in("reset"), built_in("reset")])
        assert type(await failure(upstream, get)) is UpstreamReset
    assert [record.method for record in provider.ledger] == ["POST", "GET", "GET", "GET", "GET"]


async def test_what_rests_too_long_is_closed(upstream: NativeUpstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "IDLE_CONNECTION_S", 0.05)
    gate = asyncio.Event()
    async with ScriptedProvider(Reply(pieces=[b"x", gate])) as provider:
        replies = [await upstream.send(request(provider.url)) for _ in range(3)]
        gate.set()
        for reply in replies:
            await reply.read(10)
            reply.close()
        assert resting(upstream) == 3
        for record in provider.ledger:
            await record.wait_closed()
    assert resting(upstream) == 0


async def test_one_that_has_rested_too_long_is_not_taken_even_before_it_is_swept(
    upstream: NativeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ScriptedProvider(FINE) as provider:
        await read(upstream, request(provider.url))
        monkeypatch.setattr(pool, "IDLE_CONNECTION_S", 0.0)
        await read(upstream, request(provider.url))
    assert provider.connections == 2


async def test_the_one_that_rested_last_is_taken_first(upstream: NativeUpstream) -> None:
    async with ScriptedProvider(FINE) as provider:
        replies = [await upstream.send(request(provider.url)) for _ in range(2)]
        for reply in replies:
            reply.close()
        await read(upstream, request(provider.url))
        assert [record.connection for record in provider.ledger] == [1, 2, 2]


async def test_no_more_rest_than_are_allowed(upstream: NativeUpstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "MOST_IDLE", 1)
    async with ScriptedProvider(FINE) as provider:
        for reply in [await upstream.send(request(provider.url)) for _ in range(2)]:
            reply.close()
        assert resting(upstream) == 1
        await provider.ledger[1].wait_closed()


async def test_bytes_between_two_calls_end_the_connection(upstream: NativeUpstream) -> None:
    late = asyncio.Event()

    async def speaks_on(call: Call) -> None:
        await FINE(call)
        await late.wait()
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON")

    async with ScriptedProvider(speaks_on) as provider:
        assert (await read(upstream, request(provider.url)))[1] == b"fine"
        assert resting(upstream) == 1
        late.set()
        await until(lambda: resting(upstream) == 0)
        await provider.ledger[0].wait_closed()


async def test_closing_ends_what_rests_and_what_would_rest_later() -> None:
    upstream = NativeUpstream()
    async with ScriptedProvider(FINE) as provider:
        running = await upstream.send(request(provider.url))
        await read(upstream, request(provider.url))
        await upstream.close()
        await provider.ledger[1].wait_closed()
        running.close()
        await provider.ledger[0].wait_closed()


# Names


class Names:
    """A loop's `getaddrinfo`, scripted."""

    def __init__(self, *ports: int) -> None:
        self._ports = ports
        self.asked: list[str] = []
        self.gate = asyncio.Event()

    async def __call__(self, host: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        self.asked.append(host)
        await self.gate.wait()
        if not self._ports:
            raise socket.gaierror(socket.EAI_AGAIN, "not now")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in self._ports]


async def test_a_name_is_asked_for_once_by_many_and_remembered(
    upstream: NativeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ScriptedProvider(FINE) as provider:
        names = Names(provider.port)
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", names)
        url = f"http://provider.test:{provider.port}/"
        asking = [asyncio.ensure_future(read(upstream, request(url))) for _ in range(3)]
        await asyncio.sleep(0)
        asking[0].cancel()
        names.gate.set()
        await asyncio.wait(asking)
        assert [one.cancelled() for one in asking] == [True, False, False]
        upstream._pool._resting.clear()
        await read(upstream, request(url))
        assert names.asked == ["provider.test"]
        assert provider.ledger[0].head.get("host") == f"provider.test:{provider.port}"


async def test_a_name_that_did_not_resolve_is_asked_for_again(
    upstream: NativeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = Names()
    names.gate.set()
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", names)
    for _ in range(2):
        assert type(await failure(upstream, request("http://provider.test/"))) is UpstreamDns
    assert len(names.asked) == 2


async def test_a_name_server_that_is_silent_is_waited_for_as_the_connection_is(
    upstream: NativeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", Names())
    asked = request("http://provider.test/", connect_s=0.02)
    assert type(await failure(upstream, asked)) is UpstreamConnectTimeout


async def test_a_connection_that_is_lost_while_it_is_made_is_no_connection(
    upstream: NativeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was sent on it, and nobody would be told that it is gone."""
    monkeypatch.setattr(Connection, "is_open", property(lambda _: False))
    async with ScriptedProvider(FINE) as provider:
        assert type(await failure(upstream, request(provider.url))) is UpstreamUnreachable


async def test_the_next_address_is_tried_where_one_refuses(
    upstream: NativeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ScriptedProvider(FINE) as provider:
        for ports, expected in (((unused_port(), provider.port), b"fine"), ((unused_port(), unused_port()), None)):
            names = Names(*ports)
            names.gate.set()
            monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", names)
            asked = request(f"http://provider{len(ports)}{expected is None}.test/")
            if expected is None:
                assert type(await failure(upstream, asked)) is UpstreamUnreachable
            else:
                assert (await read(upstream, asked))[1] == expected


# One call


class Endless:
    """A request body of which there is always more."""

    def __init__(self) -> None:
        self.given_bytes = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        piece = bytes(1 << 20)
        while True:
            self.given_bytes += len(piece)
            yield piece


async def test_a_reply_that_ends_before_the_request_ends_the_connection(upstream: NativeUpstream) -> None:
    body = Endless()
    async with ScriptedProvider(Reply(status=413, pieces=[b"too much"], is_early=True)) as provider:
        reply = await upstream.send(request(provider.url, body=aiter(body)))
        assert (reply.status, await reply.read(100)) == (413, b"too much")
        reply.close()
        await provider.ledger[0].wait_closed()
        assert reply._upload is not None
        assert reply._upload.done()
    assert resting(upstream) == 0


async def test_a_provider_that_takes_no_more_holds_the_request_back(upstream: NativeUpstream) -> None:
    body = Endless()
    async with ScriptedProvider(Reply(end=End.HANG, is_early=True, pieces=[b"x"])) as provider:
        reply = await upstream.send(request(provider.url, body=aiter(body)))
        await until(lambda: reply._connection._room is not None)
        assert body.given_bytes < 64 << 20
        reply.close()


async def test_a_sink_that_raises_is_given_nothing_more(upstream: NativeUpstream) -> None:
    given: list[bytes] = []

    def gone(piece: bytes) -> None:
        given.append(piece)
        raise ConnectionResetError

    async with ScriptedProvider(Reply(pieces=[b"a", gate := asyncio.Event(), b"b"], end=End.HANG)) as provider:
        reply = await upstream.send(request(provider.url))
        pouring = asyncio.ensure_future(reply.pour(given.append))
        await asyncio.sleep(0)
        reply._sink = gone
        gate.set()
        with pytest.raises(ConnectionResetError):
            await pouring
        reply.arrived(b"1\r\nc\r\n")
        assert given == [b"a", b"b"]
        reply.close()


async def test_what_comes_before_anybody_asks_is_held_within_bounds(upstream: NativeUpstream) -> None:
    sent_all = asyncio.Event()

    async def much(call: Call) -> None:
        await Reply(pieces=[bytes(1 << 20)] * 32)(call)
        sent_all.set()

    async with ScriptedProvider(much) as provider:
        reply = await upstream.send(request(provider.url))
        await until(lambda: reply._connection._is_paused)
        assert len(reply.peek()) < 1 << 20
        assert not sent_all.is_set()
        got_bytes = 0

        def take(piece: bytes) -> None:
            nonlocal got_bytes
            got_bytes += len(piece)

        await reply.pour(take)
        reply.close()
    assert got_bytes == 32 << 20


@pytest.mark.parametrize("pieces", [[], [b"a"]])
async def test_a_reply_that_breaks_is_gone_without_the_collector(
    upstream: NativeUpstream, pieces: list[bytes | asyncio.Event]
) -> None:
    gc.collect()  # what other tests have left
    async with ScriptedProvider(Reply(pieces=pieces, end=End.RESET)) as provider:
        with suppress(UpstreamReset):
            await read(upstream, request(provider.url))
    await asyncio.sleep(0)  # the loop holds what has woken this task
    assert not [left for left in gc.get_objects() if isinstance(left, NativeReply)]


async def test_a_reply_that_was_left_lets_its_sinks_go(upstream: NativeUpstream) -> None:
    def sink(_: bytes, __: bytes | None = None) -> None: ...

    async with ScriptedProvider(Reply(pieces=[b"a", b"b"])) as provider:
        reply = await upstream.send(request(provider.url))
        await reply.pour(sink, sink)
        assert sink in gc.get_referents(reply)
        reply.close()
    assert sink not in gc.get_referents(reply)
