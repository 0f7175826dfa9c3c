"""What an upstream client sends, and what it makes of replies, against a provider that does as it is told."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp.test_utils import unused_port

from proxy.adapters.upstream import NativeUpstream
from proxy.adapters.upstream.wire import LARGE_BODY_BYTES
from proxy.domain.errors import TooLarge, UpstreamReset
from tests.adapters.upstream_clients import Client, MakeClient, failure, read, request
from tests.harness.call import PATIENCE_S, Call
from tests.harness.certs import Authority
from tests.harness.provider import ScriptedProvider
from tests.harness.replies import End, Reply, split, text_reply
from tests.harness.scripts import built_in, raw

# What goes out


async def test_the_address_goes_out_byte_for_byte(upstream: Client, provider: ScriptedProvider) -> None:
    target = "/v1/models/a%2Fb%3a:generate;x=1/%41/~'()?q=%2F+%20&q=&a=%c3%a4:/?"
    await read(upstream, request(provider.url + target))
    assert provider.ledger[0].target == target


async def test_headers_go_out_as_given_and_none_is_added(upstream: Client, provider: ScriptedProvider) -> None:
    headers = (("X-Two", "a"), ("x-two", "b"), ("Authorization", "Bearer k"), ("Content-Length", "2"))
    await read(upstream, request(provider.url + "/", headers=headers))
    host = ("Host", f"127.0.0.1:{provider.port}")
    sent = provider.ledger[0].head.headers
    assert [(name.lower(), value) for name, value in sent] == [
        (name.lower(), value) for name, value in (host, *headers)
    ]


@pytest.mark.parametrize("size_bytes", [0, 2, LARGE_BODY_BYTES, 3 << 20])
async def test_a_whole_body_goes_out_unchanged(upstream: Client, provider: ScriptedProvider, size_bytes: int) -> None:
    body = b"x" * size_bytes
    length = ("Content-Length", str(size_bytes))
    await read(upstream, request(provider.url + "/", headers=(length,), body=body))
    assert provider.ledger[0].body == body
    assert provider.ledger[0].head.get_all("content-length") == [str(size_bytes)]


async def test_a_body_is_streamed_as_it_comes(upstream: Client) -> None:
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


async def test_a_streamed_body_of_known_length_is_not_chunked(upstream: Client, provider: ScriptedProvider) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"first"
        yield b"second"

    await read(upstream, request(provider.url, body=pieces(), headers=(("Content-Length", "11"),)))
    head, body = provider.ledger[0].head, provider.ledger[0].body
    assert (head.is_chunked, head.content_length, body) == (False, 11, b"firstsecond")


async def test_a_get_has_no_body_and_no_length(upstream: Client, provider: ScriptedProvider) -> None:
    await read(upstream, request(provider.url, method="GET", body=None))
    assert provider.ledger[0].head.content_length is None
    assert not provider.ledger[0].head.is_chunked


async def test_the_environment_names_no_proxy_and_no_password(
    make_client: MakeClient, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.delenv("no_proxy", raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{unused_port()}")
    await read(make_client(None), request(provider.url))
    assert provider.ledger[0].head.get("authorization") is None


async def test_cookies_are_not_kept(upstream: Client) -> None:
    async with ScriptedProvider(built_in("set_cookie")) as provider:
        for _ in range(2):
            reply, _ = await read(upstream, request(provider.url))
    assert [value for name, value in reply.headers if name == "Set-Cookie"] == ["a=1; Path=/", "b=2"]
    assert provider.ledger[1].head.get("cookie") is None


# What comes back


async def test_redirects_are_replies(upstream: Client) -> None:
    async with ScriptedProvider(built_in("redirect")) as provider:
        reply, body = await read(upstream, request(provider.url, method="GET", body=None))
    assert (reply.status, body) == (307, b"elsewhere")
    assert ("Location", "http://127.0.0.1:9/stolen") in reply.headers
    assert len(provider.ledger) == 1


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "unheard-of"])
async def test_bodies_are_not_decoded(upstream: Client, encoding: str) -> None:
    body = b"\x1f\x8b\x00 not decoded"
    async with ScriptedProvider(text_reply(200, "text/plain", body, ("Content-Encoding", encoding))) as provider:
        reply, got = await read(upstream, request(provider.url))
    assert got == body
    assert ("Content-Encoding", encoding) in reply.headers


async def test_status_reason_and_headers_are_told_as_they_came(upstream: Client) -> None:
    headers = (("X-B", "2"), ("x-a", "1"), ("X-B", "3"))
    async with ScriptedProvider(Reply(status=529, reason="Over Loaded", headers=headers)) as provider:
        reply, _ = await read(upstream, request(provider.url))
    assert (reply.status, reply.reason) == (529, "Over Loaded")
    assert tuple(reply.headers)[:3] == headers


async def test_a_chunk_is_given_as_soon_as_it_comes(upstream: Client) -> None:
    gate = asyncio.Event()
    pieces: list[bytes] = []

    def take(piece: bytes) -> None:
        pieces.append(piece)
        gate.set()

    async with ScriptedProvider(Reply(pieces=[b"first", gate, b"second"])) as provider:
        reply = await upstream.send(request(provider.url))
        assert reply.peek() == b"first"
        await reply.pour(take)
        reply.close()
    assert pieces == [b"first", b"second"]


@pytest.mark.parametrize("is_tls", [False, True])
async def test_pieces_and_whole_chunks_come_in_order_each_once(
    make_client: MakeClient, tmp_path: Path, is_tls: bool
) -> None:
    """Our own client tells of chunks, and all that this one sends after the first is one."""
    authority, gates = Authority(tmp_path), [asyncio.Event(), asyncio.Event()]
    upstream = make_client(ssl.create_default_context(cafile=authority.ca_file))
    given: list[bytes] = []
    chunks: list[bytes] = []

    def take(piece: bytes, chunk: bytes | None = None) -> None:
        given.append(piece)
        for gate in gates[: len(given)]:
            gate.set()
        if chunk is not None:
            chunks.append(chunk)

    script = Reply(pieces=[b"first", gates[0], b"second", gates[1], b"long" * 4_000])
    async with ScriptedProvider(script, tls=authority.server_context() if is_tls else None) as provider:
        reply = await upstream.send(request(provider.url))
        await reply.pour(take, take)
        reply.close()
        assert provider.connections == 1
    assert b"".join(given) == b"firstsecond" + b"long" * 4_000
    assert chunks == ([b"6\r\nsecond\r\n"] if isinstance(upstream, NativeUpstream) else [])


async def test_a_whole_reply_leaves_its_connection_for_the_next(upstream: Client, provider: ScriptedProvider) -> None:
    for _ in range(2):
        await read(upstream, request(provider.url))
    assert provider.connections == 1


async def test_leaving_early_closes_the_connection(upstream: Client) -> None:
    async with ScriptedProvider(Reply(pieces=[b"first"], end=End.HANG)) as provider:
        (await upstream.send(request(provider.url))).close()
        await provider.ledger[0].wait_closed()


async def test_leaving_before_the_head_closes_the_connection(upstream: Client) -> None:
    async with ScriptedProvider(built_in("hang")) as provider:
        call = asyncio.ensure_future(read(upstream, request(provider.url)))
        record = await provider.arrival()
        call.cancel()
        await asyncio.wait([call])
        await record.wait_closed()


async def test_a_post_is_not_sent_again_by_itself(upstream: Client) -> None:
    """A kept connection may be found closed; whether the provider had begun nobody knows, so the caller is told."""
    async with ScriptedProvider(text_reply(200, "text/plain", b"x")) as provider:
        await read(upstream, request(provider.url))
        provider.scripts.append(built_in("reset"))
        assert type(await failure(upstream, request(provider.url))) is UpstreamReset
    assert len(provider.ledger) == 2


async def test_many_streams_run_at_once(upstream: Client) -> None:
    """More than the 100 connections of aiohttp's own pool."""
    count, gate = 150, asyncio.Event()
    async with ScriptedProvider(Reply(pieces=[b"first", gate])) as provider:
        replies = [await upstream.send(request(provider.url)) for _ in range(count)]
        assert [reply.peek() for reply in replies] == [b"first"] * count
        assert provider.connections == count
        gate.set()
        assert [await reply.read(5) for reply in replies] == [b"first"] * count
        for reply in replies:
            reply.close()


async def test_it_says_when_the_head_has_been_sent_and_not_before(upstream: Client) -> None:
    sent: list[bool] = []
    await failure(upstream, request(f"http://127.0.0.1:{unused_port()}/", on_sent=lambda: sent.append(True)))
    assert sent == []
    async with ScriptedProvider(Reply()) as provider:
        await read(upstream, request(provider.url, on_sent=lambda: sent.append(True)))
    assert sent == [True]


async def test_it_says_when_the_body_has_begun_and_not_of_an_empty_one(upstream: Client) -> None:
    begun: list[bool] = []
    for pieces, count in ((), 0), ((b"a", b"b"), 1):
        async with ScriptedProvider(Reply(pieces=pieces)) as provider:
            _, body = await read(upstream, request(provider.url, on_begun=lambda: begun.append(True)))
        assert (body, len(begun)) == (b"".join(pieces), count)


@pytest.mark.parametrize(("limit_bytes", "held"), [(4, b"abcd"), (3, None)])
async def test_a_body_is_read_whole_or_not_at_all(upstream: Client, limit_bytes: int, held: bytes | None) -> None:
    """What was over the limit is still all there to be poured."""
    async with ScriptedProvider(Reply(pieces=[b"ab", b"cd"])) as provider:
        reply, pieces = await upstream.send(request(provider.url)), list[bytes]()
        assert await reply.read(limit_bytes) == held
        if held is None:
            await reply.pour(pieces.append)
            assert b"".join(pieces) == b"abcd"
        reply.close()


@pytest.mark.parametrize("pieces_before", [0, 1])
async def test_what_the_sink_raises_ends_the_pouring(upstream: Client, pieces_before: int) -> None:
    given: list[bytes] = []
    gate = asyncio.Event()

    def gone(piece: bytes, _: bytes = b"") -> None:
        given.append(piece)
        gate.set()
        if len(given) > pieces_before:
            raise ConnectionResetError

    async with ScriptedProvider(Reply(pieces=[b"a", gate, b"b", b"c"], end=End.HANG)) as provider:
        reply = await upstream.send(request(provider.url))
        with pytest.raises(ConnectionResetError):
            await reply.pour(gone, gone)
        reply.close()
        await provider.ledger[0].wait_closed()


@pytest.mark.parametrize("is_tls", [False, True])
async def test_a_sink_without_room_holds_the_provider_back(
    make_client: MakeClient, tmp_path: Path, is_tls: bool
) -> None:
    """All arrives in the end; while the sink is full, a bounded part of it."""
    size_bytes, taken_bytes = 32 << 20, 0
    resumed = asyncio.Event()
    authority = Authority(tmp_path)
    upstream = make_client(ssl.create_default_context(cafile=authority.ca_file))

    def take(piece: bytes) -> None:
        nonlocal taken_bytes
        taken_bytes += len(piece)
        if not resumed.is_set():
            reply.pause()

    script = Reply(pieces=split(bytes(size_bytes), (1 << 20,)))
    async with ScriptedProvider(script, tls=authority.server_context() if is_tls else None) as provider:
        reply = await upstream.send(request(provider.url))
        pouring = asyncio.ensure_future(reply.pour(take))
        await asyncio.wait([pouring], timeout=0.2)
        assert 0 < taken_bytes < size_bytes / 2
        resumed.set()
        reply.resume()
        await asyncio.wait_for(pouring, PATIENCE_S)
        reply.close()
    assert taken_bytes == size_bytes


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
FORMS = {
    "length": ("POST", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello"),
    "chunks": ("POST", CHUNKED + b"2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", 200, b"hello"),
    "trailers": ("POST", CHUNKED + b"5\r\nhello\r\n0\r\nX-Late: 1\r\nX-More: 2\r\n\r\n", 200, b"hello"),
    "until-close": ("POST", b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello", 200, b"hello"),
    "http10": ("POST", b"HTTP/1.0 200 OK\r\n\r\nhello", 200, b"hello"),
    "interim": ("POST", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 None\r\n\r\n", 204, b""),
    "204": ("POST", b"HTTP/1.1 204 None\r\n\r\n", 204, b""),
    "304": ("GET", b"HTTP/1.1 304 Same\r\nContent-Length: 5\r\n\r\n", 304, b""),
    "head": ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 200, b""),
    "head-chunks": ("HEAD", CHUNKED, 200, b""),
}


@pytest.mark.parametrize("form", FORMS)
async def test_a_reply_in_every_form_that_http_has(upstream: Client, form: str) -> None:
    method, data, status, body = FORMS[form]
    async with ScriptedProvider(raw(data)) as provider:
        asked = request(provider.url, method=method, body=b"{}" if method == "POST" else None)
        reply, got = await read(upstream, asked)
    assert (reply.status, got) == (status, body)
    assert "link" not in {name.lower() for name, _ in reply.headers}


async def test_a_body_that_goes_wrong_is_told_as_it_is_and_nothing_more_is_sent(upstream: Client) -> None:
    async def too_large() -> AsyncIterator[bytes]:
        yield b"begins"
        raise TooLarge("The body is too large.")

    async with ScriptedProvider(text_reply(200, "text/plain", b"fine")) as provider:
        with pytest.raises(TooLarge):
            await upstream.send(request(provider.url, body=too_large()))
        record = await provider.arrival()
        await record.wait_closed()
    assert not record.is_body_whole
