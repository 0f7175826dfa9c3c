import asyncio
import gzip
import ssl
from pathlib import Path

import pytest

from tests.harness.call import Call
from tests.harness.certs import Authority
from tests.harness.client import RawClient
from tests.harness.http1 import Broken
from tests.harness.provider import ScriptedProvider
from tests.harness.replies import End, Framing, Reply, json_reply, split
from tests.harness.scripts import built_in
from tests.harness.wire import corpus

CHAT = b'{"model":"gpt-4.1-mini","messages":[{"role":"user","content":"hi"}]}'
STREAM = CHAT[:-1] + b',"stream":true}'


def request(body: bytes = CHAT, *, path: str = "/v1/chat/completions", script: str | None = None) -> bytes:
    named = f"X-Script: {script}\r\n" if script else ""
    return f"POST {path} HTTP/1.1\r\nHost: x\r\n{named}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def test_records_the_request_as_it_stood_on_the_wire() -> None:
    async with ScriptedProvider() as provider, RawClient(provider.port) as client:
        body = b"5\r\nhello\r\n6; x=1\r\n world\r\n0\r\n\r\n"
        await client.send(
            b"PATCH /a%2Fb?c=%20d HTTP/1.1\r\nhOst: x\r\nA: 1\r\na:2\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        await client.send(body)
        assert (await client.reply()).status == 404
        record = await provider.arrival()
    assert (record.method, record.target, record.body) == ("PATCH", "/a%2Fb?c=%20d", b"hello world")
    assert record.head.headers[:3] == (("hOst", "x"), ("A", "1"), ("a", "2"))
    assert record.is_replied
    assert record.bytes_sent > 100


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/v1/chat/completions", CHAT, b'"completion_tokens":8'),
        ("/v1/completions", b"{}", b'"text_completion"'),
        ("/v1/responses", b"{}", b'"output_text"'),
        ("/v1/embeddings", b"{}", b'"embedding"'),
        ("/v1/messages", b"{}", b'"stop_reason":"end_turn"'),
        ("/v1/chat/completions", STREAM, b"data: [DONE]"),
        ("/v1/completions", b'{"stream":true}', b"data: [DONE]"),
        ("/v1/responses", b'{"stream":true}', b"event: response.completed"),
        ("/v1/messages", b'{"stream":true}', b"event: message_stop"),
        ("/v1/models", b"", b'"gpt-4.1-mini"'),
    ],
)
async def test_answers_each_path_in_its_dialect(path: str, body: bytes, expected: bytes) -> None:
    async with ScriptedProvider() as provider, RawClient(provider.port) as client:
        await client.send(request(body, path=path))
        reply = await client.reply()
    assert reply.status == 200
    assert expected in reply.body


async def test_reports_usage_in_a_stream_only_where_it_was_asked_for() -> None:
    asking = STREAM[:-1] + b',"stream_options":{"include_usage":true}}'
    async with ScriptedProvider() as provider, RawClient(provider.port) as client:
        await client.send(request(STREAM))
        silent = await client.reply()
        await client.send(request(asking))
        telling = await client.reply()
    assert b'"usage"' not in silent.body
    assert telling.body.count(b'"usage":null') == silent.body.count(b"data: ") - 1
    assert telling.body.count(b'"choices":[]') == 1
    assert provider.connections == 1


async def test_a_gate_holds_the_stream_until_the_test_opens_it() -> None:
    gate = asyncio.Event()
    async with ScriptedProvider() as provider, RawClient(provider.port) as client:
        provider.scripts.append(Reply(pieces=[b"one", gate, b"two"]))
        await client.send(request())
        head = await client.head()
        assert head is not None
        assert b"one" in await client.read_some()
        assert not (await provider.arrival()).is_replied
        gate.set()
        assert (await client.read_some()).startswith(b"3\r\ntwo")


async def test_scripts_are_taken_by_name_then_from_the_queue_then_by_path() -> None:
    async with ScriptedProvider() as provider, RawClient(provider.port) as client:
        provider.named["mine"] = json_reply(201, {})
        provider.scripts.append(json_reply(202, {}))
        for script in ("mine", "status:429", None, None):
            await client.send(request(script=script))
        statuses = [(await client.reply()).status for _ in range(4)]
    assert statuses == [201, 429, 202, 200]


@pytest.mark.parametrize(("script", "events"), [("reset_after:3", 3), ("fin_after:0", 0), ("fin_after:5", 5)])
async def test_breaks_a_stream_after_as_many_events_as_told(script: str, events: int) -> None:
    async with ScriptedProvider() as provider, RawClient(provider.port) as client:
        await client.send(request(STREAM, script=script))
        reply = await client.reply()
    assert not reply.is_whole
    assert reply.body.count(b"data: ") == events


async def test_resets_before_any_byte() -> None:
    async with ScriptedProvider() as provider, RawClient(provider.port) as client:
        await client.send(request(script="reset"))
        with pytest.raises(ConnectionResetError):
            await client.reply()


async def test_hangs_until_the_client_goes_and_notes_when() -> None:
    async with ScriptedProvider() as provider:
        async with RawClient(provider.port) as client:
            await client.send(request(script="hang"))
            record = await provider.arrival()
            assert not record.closed.is_set()
        await record.wait_closed()
    assert record.closed_ns is not None
    assert record.closed_ns >= record.arrived_ns


async def test_refuses_and_listens_again_on_the_same_port() -> None:
    async with ScriptedProvider() as provider:
        await provider.refuse()
        with pytest.raises(ConnectionRefusedError):
            await RawClient(provider.port).__aenter__()
        await provider.listen()
        async with RawClient(provider.port) as client:
            await client.send(request())
            assert (await client.reply()).status == 200


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
async def test_compresses_unasked(encoding: str) -> None:
    async with ScriptedProvider() as provider, RawClient(provider.port) as client:
        await client.send(request(script=f"encoded:{encoding}"))
        reply = await client.reply()
    assert reply.head.get("content-encoding") == encoding
    assert b"chat.completion" not in reply.body
    if encoding == "gzip":
        assert b"chat.completion" in gzip.decompress(reply.body)


@pytest.mark.parametrize("status", [400, 422])
async def test_refuses_stream_options_and_serves_without(status: int) -> None:
    asking = STREAM[:-1] + b',"stream_options":{"include_usage":true}}'
    async with ScriptedProvider() as provider, RawClient(provider.port) as client:
        await client.send(request(asking, script=f"refuses_stream_options:{status}"))
        refused = await client.reply()
        await client.send(request(STREAM, script=f"refuses_stream_options:{status}"))
        served = await client.reply()
    assert (refused.status, served.status) == (status, 200)
    assert b"stream_options" in refused.body


async def test_replies_before_the_body_is_read() -> None:
    async with ScriptedProvider() as provider, RawClient(provider.port) as client:
        await client.send(b"POST /v1/files HTTP/1.1\r\nX-Script: reply_early\r\nContent-Length: 1000000\r\n\r\nabc")
        assert (await client.reply()).status == 413


async def test_serves_every_recorded_reply_unchanged() -> None:
    async with ScriptedProvider() as provider, RawClient(provider.port) as client:
        for name, sample in corpus().items():
            await client.send(request(script=f"wire:{name}"))
            reply = await client.reply()
            assert (reply.status, reply.body) == (sample.http_status, sample.body), name


async def test_quotes_the_credential_back() -> None:
    async with ScriptedProvider() as provider, RawClient(provider.port) as client:
        await client.send(b"POST / HTTP/1.1\r\nAuthorization: Bearer sk-secret\r\nX-Script: quote_credentials\r\n\r\n")
        assert b"provided: sk-secret." in (await client.reply()).body


@pytest.mark.parametrize("name", ["length_too_long", "bad_chunk_size", "close_silently", "garbage"])
async def test_broken_framing_is_seen_as_broken(name: str) -> None:
    async with ScriptedProvider() as provider, RawClient(provider.port) as client:
        await client.send(request(script=name))
        try:
            reply = await client.reply()
        except (Broken, ValueError):
            return
        assert not reply.is_whole


async def test_a_failing_script_fails_the_test() -> None:
    async def fails(call: Call) -> None:
        raise LookupError("wrong script")

    async def serve_it() -> None:
        async with ScriptedProvider(fails) as provider, RawClient(provider.port) as client:
            await client.send(request())
            assert await client.head() is None

    with pytest.raises(ExceptionGroup, match="scripts failed"):
        await serve_it()


def test_an_unknown_script_is_an_error() -> None:
    with pytest.raises(KeyError):
        built_in("no_such_script")


def test_split_keeps_every_byte() -> None:
    body = bytes(range(256)) * 5
    pieces = split(body, (7, 1, 64))
    assert b"".join(pieces) == body
    assert [len(piece) for piece in pieces[:4]] == [7, 1, 64, 7]


def test_a_reply_tells_its_length_or_not() -> None:
    assert b"Content-Length: 3\r\n" in Reply(pieces=[b"abc"], framing=Framing.LENGTH).head()
    assert b"Content-Length" not in Reply(pieces=[b"abc"], framing=Framing.UNTIL_CLOSE).head()
    assert b"Connection: close" in Reply(end=End.CLOSE).head()


async def test_speaks_tls_under_an_authority_of_its_own(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    trusting = ssl.create_default_context(cafile=authority.ca_file)
    async with ScriptedProvider(tls=authority.server_context()) as provider:
        reader, writer = await asyncio.open_connection("127.0.0.1", provider.port, ssl=trusting)
        writer.write(request())
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
    async with ScriptedProvider(tls=authority.server_context(is_expired=True)) as provider:
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection("127.0.0.1", provider.port, ssl=trusting)
    assert provider.ledger == []
