"""The HTTP client against a provider on real sockets that does as it is told."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp.test_utils import unused_port

from proxy.adapters.upstream import HEADER_LIMIT_BYTES, LARGE_BODY_BYTES, AiohttpReply, AiohttpUpstream
from proxy.domain.errors import (
    UpstreamConnectTimeout,
    UpstreamDns,
    UpstreamError,
    UpstreamProtocol,
    UpstreamReset,
    UpstreamTls,
    UpstreamUnreachable,
)
from proxy.domain.routing import Timeouts
from proxy.pipeline.ports import Headers, UpstreamRequest
from tests.harness.call import PATIENCE_S, Call, Script
from tests.harness.certs import Authority
from tests.harness.provider import ScriptedProvider
from tests.harness.replies import End, Framing, Reply, text_reply
from tests.harness.scripts import built_in, raw

CANARY = b"CANARY-71c0"


@pytest_asyncio.fixture
async def provider() -> AsyncIterator[ScriptedProvider]:
    async with ScriptedProvider() as provider:
        yield provider


@pytest_asyncio.fixture
async def upstream() -> AsyncIterator[AiohttpUpstream]:
    upstream = AiohttpUpstream()
    yield upstream
    await upstream.close()


def request(
    url: str,
    *,
    method: str = "POST",
    headers: Headers = (),
    body: bytes | AsyncIterator[bytes] | None = b"{}",
    connect_s: float = 5.0,
    on_sent: Callable[[], None] = lambda: None,
) -> UpstreamRequest:
    return UpstreamRequest(
        method=method,
        url=url,
        headers=headers,
        body=body,
        timeouts=Timeouts(connect_s=connect_s),
        on_sent=on_sent,
    )


async def read(upstream: AiohttpUpstream, asked: UpstreamRequest) -> tuple[AiohttpReply, bytes]:
    async with upstream.send(asked) as reply:
        return reply, b"".join([chunk async for chunk in reply.chunks()])


async def failure(upstream: AiohttpUpstream, asked: UpstreamRequest) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        await read(upstream, asked)
    return caught.value


# What it says of each way to fail


async def test_a_refused_connection_is_unreachable(upstream: AiohttpUpstream) -> None:
    assert type(await failure(upstream, request(f"http://127.0.0.1:{unused_port()}/"))) is UpstreamUnreachable


async def test_a_name_that_does_not_resolve(upstream: AiohttpUpstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """The resolver answers by itself, so that no name server is asked."""

    async def no_such_name(*_: object, **__: object) -> None:
        raise OSError(None, "no such name")

    assert upstream._session.connector is not None
    monkeypatch.setattr(upstream._session.connector, "_resolver", type("Resolver", (), {"resolve": no_such_name})())
    assert type(await failure(upstream, request("http://provider.invalid/"))) is UpstreamDns
    monkeypatch.undo()


async def test_a_connection_that_is_not_made_in_time(upstream: AiohttpUpstream) -> None:
    """The listener accepts and never answers the TLS handshake."""
    left = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        left.set()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        asked = request(f"https://127.0.0.1:{port}/", connect_s=0.05)
        assert type(await failure(upstream, asked)) is UpstreamConnectTimeout
        await asyncio.wait_for(left.wait(), PATIENCE_S)


async def is_served_to_the_careless(provider: ScriptedProvider) -> bool:
    """The server itself is well: a client that checks nothing is answered."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    upstream = AiohttpUpstream(ssl_context=context)
    reply, _ = await read(upstream, request(provider.url))
    await upstream.close()
    return reply.status == 200


async def test_an_authority_that_nobody_trusts(upstream: AiohttpUpstream, tmp_path: Path) -> None:
    async with ScriptedProvider(Reply(), tls=Authority(tmp_path).server_context()) as provider:
        assert type(await failure(upstream, request(provider.url))) is UpstreamTls
        assert provider.ledger == []
        assert await is_served_to_the_careless(provider)


@pytest.mark.parametrize(("host", "is_expired"), [("127.0.0.1", True), ("elsewhere.test", False)])
async def test_a_certificate_that_is_not_good(host: str, is_expired: bool, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    upstream = AiohttpUpstream(ssl_context=ssl.create_default_context(cafile=authority.ca_file))
    async with ScriptedProvider(Reply(), tls=authority.server_context(host=host, is_expired=is_expired)) as provider:
        assert type(await failure(upstream, request(provider.url))) is UpstreamTls
        assert await is_served_to_the_careless(provider)
    await upstream.close()


async def test_tls_to_a_port_that_speaks_none(upstream: AiohttpUpstream) -> None:
    async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert type(await failure(upstream, request(f"https://127.0.0.1:{port}/"))) is UpstreamTls


async def test_a_trusted_certificate_is_taken(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    upstream = AiohttpUpstream(ssl_context=ssl.create_default_context(cafile=authority.ca_file))
    async with ScriptedProvider(text_reply(200, "text/plain", b"safe"), tls=authority.server_context()) as provider:
        assert (await read(upstream, request(provider.url)))[1] == b"safe"
    await upstream.close()


CUT = (b"a" * 10, b"b" * 10)


@pytest.mark.parametrize(
    "script",
    [
        built_in("reset"),
        built_in("close_silently"),
        built_in("length_too_long"),
        Reply(pieces=CUT, end=End.RESET),
        Reply(pieces=CUT, end=End.FIN),
        Reply(pieces=CUT, end=End.RESET, framing=Framing.UNTIL_CLOSE),
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", End.FIN),
    ],
    ids=["rst", "fin", "length", "rst-in-chunks", "fin-in-chunks", "rst-until-close", "fin-in-a-chunk"],
)
async def test_a_connection_that_breaks(upstream: AiohttpUpstream, script: Script) -> None:
    async with ScriptedProvider(script) as provider:
        assert type(await failure(upstream, request(provider.url))) is UpstreamReset


@pytest.mark.parametrize(
    "reply",
    [
        b"\x00\x01 " + CANARY + b"\r\n\r\n",
        b"HTTP/9.9 200 " + CANARY + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\nX: " + CANARY + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + CANARY + b"\x00\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + CANARY + b"h" * 2 * HEADER_LIMIT_BYTES + b"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + CANARY + b"\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + CANARY + b"\r\n\r\n",
    ],
    ids=["garbage", "version", "length", "nul", "huge", "chunk", "switch"],
)
async def test_a_reply_that_is_no_http_is_not_quoted(upstream: AiohttpUpstream, reply: bytes) -> None:
    async with ScriptedProvider(raw(reply)) as provider:
        error = await failure(upstream, request(provider.url))
    assert type(error) is UpstreamProtocol
    assert CANARY.decode() not in f"{error}{error.public_message}{error.code}"
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None


async def test_no_error_quotes_the_address(upstream: AiohttpUpstream) -> None:
    """Addresses may name internal hosts, and Gemini's carry a key."""
    error = await failure(upstream, request(f"http://127.0.0.1:{unused_port()}/v1?key={CANARY.decode()}"))
    assert CANARY.decode() not in str(error)


# What goes out


async def test_the_address_goes_out_byte_for_byte(upstream: AiohttpUpstream, provider: ScriptedProvider) -> None:
    target = "/v1/models/a%2Fb%3a:generate;x=1/%41/~'()?q=%2F+%20&q=&a=%c3%a4:/?"
    await read(upstream, request(provider.url + target))
    assert provider.ledger[0].target == target


async def test_headers_go_out_as_given_and_none_is_added(upstream: AiohttpUpstream, provider: ScriptedProvider) -> None:
    headers = (("X-Two", "a"), ("x-two", "b"), ("Authorization", "Bearer k"), ("Content-Length", "2"))
    await read(upstream, request(provider.url + "/", headers=headers))
    host = ("Host", f"127.0.0.1:{provider.port}")
    x_two = (("X-Two", "a"), ("X-Two", "b"))
    assert provider.ledger[0].head.headers == (host, *x_two, *headers[2:])


@pytest.mark.parametrize("size_bytes", [0, 2, LARGE_BODY_BYTES, 3 << 20])
async def test_a_whole_body_goes_out_unchanged(
    upstream: AiohttpUpstream, provider: ScriptedProvider, size_bytes: int
) -> None:
    body = b"x" * size_bytes
    length = ("Content-Length", str(size_bytes))
    await read(upstream, request(provider.url + "/", headers=(length,), body=body))
    assert provider.ledger[0].body == body
    assert provider.ledger[0].head.get_all("content-length") == [str(size_bytes)]


async def test_a_body_is_streamed_as_it_comes(upstream: AiohttpUpstream) -> None:
    """The second piece is given only once the first has arrived."""
    arrived = asyncio.Event()

    async def take_the_first(call: Call) -> None:
        arrived.set()
        await Reply()(call)

    async def pieces() -> AsyncIterator[bytes]:
        yield b"first"
        await arrived.wait()
        yield b"second"

    async with ScriptedProvider(take_the_first) as provider:
        await read(upstream, request(provider.url, body=pieces()))
        head, body = provider.ledger[0].head, provider.ledger[0].body
    assert (head.is_chunked, head.content_length, body) == (True, None, b"firstsecond")


async def test_a_streamed_body_of_known_length_is_not_chunked(
    upstream: AiohttpUpstream, provider: ScriptedProvider
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"first"
        yield b"second"

    await read(upstream, request(provider.url, body=pieces(), headers=(("Content-Length", "11"),)))
    head, body = provider.ledger[0].head, provider.ledger[0].body
    assert (head.is_chunked, head.content_length, body) == (False, 11, b"firstsecond")


async def test_a_get_has_no_body_and_no_length(upstream: AiohttpUpstream, provider: ScriptedProvider) -> None:
    await read(upstream, request(provider.url, method="GET", body=None))
    assert provider.ledger[0].head.content_length is None
    assert not provider.ledger[0].head.is_chunked


async def test_the_environment_names_no_proxy_and_no_password(
    provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.delenv("no_proxy", raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{unused_port()}")
    upstream = AiohttpUpstream()
    await read(upstream, request(provider.url))
    await upstream.close()
    assert provider.ledger[0].head.get("authorization") is None


async def test_cookies_are_not_kept(upstream: AiohttpUpstream) -> None:
    async with ScriptedProvider(built_in("set_cookie")) as provider:
        for _ in range(2):
            reply, _ = await read(upstream, request(provider.url))
    assert [value for name, value in reply.headers if name == "Set-Cookie"] == ["a=1; Path=/", "b=2"]
    assert provider.ledger[1].head.get("cookie") is None


# What comes back


async def test_redirects_are_replies(upstream: AiohttpUpstream) -> None:
    async with ScriptedProvider(built_in("redirect")) as provider:
        reply, body = await read(upstream, request(provider.url, method="GET", body=None))
    assert (reply.status, body) == (307, b"elsewhere")
    assert ("Location", "http://127.0.0.1:9/stolen") in reply.headers
    assert len(provider.ledger) == 1


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "unheard-of"])
async def test_bodies_are_not_decoded(upstream: AiohttpUpstream, encoding: str) -> None:
    body = b"\x1f\x8b\x00 not decoded"
    async with ScriptedProvider(text_reply(200, "text/plain", body, ("Content-Encoding", encoding))) as provider:
        reply, got = await read(upstream, request(provider.url))
    assert got == body
    assert ("Content-Encoding", encoding) in reply.headers


async def test_status_reason_and_headers_are_told_as_they_came(upstream: AiohttpUpstream) -> None:
    headers = (("X-B", "2"), ("x-a", "1"), ("X-B", "3"))
    async with ScriptedProvider(Reply(status=529, reason="Over Loaded", headers=headers)) as provider:
        reply, _ = await read(upstream, request(provider.url))
    assert (reply.status, reply.reason) == (529, "Over Loaded")
    assert tuple(reply.headers)[:3] == headers


async def test_a_chunk_is_given_as_soon_as_it_comes(upstream: AiohttpUpstream) -> None:
    gate = asyncio.Event()
    async with (
        ScriptedProvider(Reply(pieces=[b"first", gate, b"second"])) as provider,
        upstream.send(request(provider.url)) as reply,
    ):
        chunks = reply.chunks()
        assert await anext(chunks) == b"first"
        gate.set()
        assert [chunk async for chunk in chunks] == [b"second"]


async def test_a_whole_reply_leaves_its_connection_for_the_next(
    upstream: AiohttpUpstream, provider: ScriptedProvider
) -> None:
    for _ in range(2):
        await read(upstream, request(provider.url))
    assert provider.connections == 1


async def test_leaving_early_closes_the_connection(upstream: AiohttpUpstream) -> None:
    async with ScriptedProvider(Reply(pieces=[b"first"], end=End.HANG)) as provider:
        async with upstream.send(request(provider.url)) as reply:
            await anext(reply.chunks())
        await provider.ledger[0].wait_closed()


async def test_leaving_before_the_head_closes_the_connection(upstream: AiohttpUpstream) -> None:
    async with ScriptedProvider(built_in("hang")) as provider:
        call = asyncio.ensure_future(read(upstream, request(provider.url)))
        record = await provider.arrival()
        call.cancel()
        await asyncio.wait([call])
        await record.wait_closed()


async def test_a_post_is_not_sent_again_by_itself(upstream: AiohttpUpstream) -> None:
    """A kept connection may be found closed; whether the provider had begun nobody knows, so the caller is told."""
    async with ScriptedProvider(text_reply(200, "text/plain", b"x")) as provider:
        await read(upstream, request(provider.url))
        provider.scripts.append(built_in("reset"))
        assert type(await failure(upstream, request(provider.url))) is UpstreamReset
    assert len(provider.ledger) == 2


async def test_many_streams_run_at_once(upstream: AiohttpUpstream) -> None:
    """More than the 100 connections of aiohttp's own pool."""
    count, gate = 150, asyncio.Event()
    async with ScriptedProvider(Reply(pieces=[b"first", gate])) as provider, AsyncExitStack() as stack:
        replies = [await stack.enter_async_context(upstream.send(request(provider.url))) for _ in range(count)]
        assert [await anext(reply.chunks()) for reply in replies] == [b"first"] * count
        assert provider.connections == count
        gate.set()


async def test_it_says_when_the_head_has_been_sent_and_not_before(upstream: AiohttpUpstream) -> None:
    sent: list[bool] = []
    await failure(upstream, request(f"http://127.0.0.1:{unused_port()}/", on_sent=lambda: sent.append(True)))
    assert sent == []
    async with ScriptedProvider(Reply()) as provider:
        await read(upstream, request(provider.url, on_sent=lambda: sent.append(True)))
    assert sent == [True]
