"""What an upstream client says of each way to fail: whose fault it was, and nothing that anybody sent."""

import asyncio
import socket
import ssl
from pathlib import Path

import pytest
from aiohttp.test_utils import unused_port

from proxy.adapters.upstream.wire import HEADER_LIMIT_BYTES
from proxy.domain.errors import (
    UpstreamConnectTimeout,
    UpstreamDns,
    UpstreamProtocol,
    UpstreamReset,
    UpstreamTls,
    UpstreamUnreachable,
)
from tests.adapters.upstream_clients import Client, MakeClient, failure, read, request
from tests.harness.call import PATIENCE_S, Script
from tests.harness.certs import Authority
from tests.harness.provider import ScriptedProvider
from tests.harness.replies import End, Framing, Reply, text_reply
from tests.harness.scripts import built_in, raw

CANARY = b"CANARY-71c0"


async def test_a_refused_connection_is_unreachable(upstream: Client) -> None:
    assert type(await failure(upstream, request(f"http://127.0.0.1:{unused_port()}/"))) is UpstreamUnreachable


async def test_a_name_that_does_not_resolve(upstream: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop answers by itself, so that no name server is asked."""

    async def no_such_name(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", no_such_name)
    assert type(await failure(upstream, request("http://provider.invalid/"))) is UpstreamDns


async def test_a_connection_that_is_not_made_in_time(upstream: Client) -> None:
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


async def is_served_to_the_careless(provider: ScriptedProvider, make_client: MakeClient) -> bool:
    """The server itself is well: a client that checks nothing is answered."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    reply, _ = await read(make_client(context), request(provider.url))
    return reply.status == 200


async def test_an_authority_that_nobody_trusts(make_client: MakeClient, tmp_path: Path) -> None:
    async with ScriptedProvider(Reply(), tls=Authority(tmp_path).server_context()) as provider:
        assert type(await failure(make_client(None), request(provider.url))) is UpstreamTls
        assert provider.ledger == []
        assert await is_served_to_the_careless(provider, make_client)


@pytest.mark.parametrize(("host", "is_expired"), [("127.0.0.1", True), ("elsewhere.test", False)])
async def test_a_certificate_that_is_not_good(
    make_client: MakeClient, host: str, is_expired: bool, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    upstream = make_client(ssl.create_default_context(cafile=authority.ca_file))
    async with ScriptedProvider(Reply(), tls=authority.server_context(host=host, is_expired=is_expired)) as provider:
        assert type(await failure(upstream, request(provider.url))) is UpstreamTls
        assert await is_served_to_the_careless(provider, make_client)


async def test_tls_to_a_port_that_speaks_none(upstream: Client) -> None:
    async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert type(await failure(upstream, request(f"https://127.0.0.1:{port}/"))) is UpstreamTls


async def test_the_server_is_told_which_name_is_meant(
    make_client: MakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, told = Authority(tmp_path), list[str | None]()
    served = authority.server_context(host="provider.test")
    served.sni_callback = lambda _, name, __: told.append(name)
    upstream = make_client(ssl.create_default_context(cafile=authority.ca_file))
    async with ScriptedProvider(Reply(), tls=served) as provider:

        async def here(*_: object, **__: object) -> list[tuple[object, ...]]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", provider.port))]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", here)
        assert (await read(upstream, request(f"https://provider.test:{provider.port}/")))[0].status == 200
    assert told == ["provider.test"]


async def test_a_trusted_certificate_is_taken(make_client: MakeClient, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    upstream = make_client(ssl.create_default_context(cafile=authority.ca_file))
    async with ScriptedProvider(text_reply(200, "text/plain", b"safe"), tls=authority.server_context()) as provider:
        assert (await read(upstream, request(provider.url)))[1] == b"safe"


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
async def test_a_connection_that_breaks(upstream: Client, script: Script) -> None:
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
async def test_a_reply_that_is_no_http_is_not_quoted(upstream: Client, reply: bytes) -> None:
    async with ScriptedProvider(raw(reply)) as provider:
        error = await failure(upstream, request(provider.url))
    assert type(error) is UpstreamProtocol
    assert CANARY.decode() not in f"{error}{error.public_message}{error.code}"
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None


async def test_no_error_quotes_the_address(upstream: Client) -> None:
    """Addresses may name internal hosts, and Gemini's carry a key."""
    error = await failure(upstream, request(f"http://127.0.0.1:{unused_port()}/v1?key={CANARY.decode()}"))
    assert CANARY.decode() not in str(error)
