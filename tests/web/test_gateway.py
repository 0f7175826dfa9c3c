import asyncio
import logging
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from proxy.domain.errors import UpstreamReset, UpstreamUnreachable
from proxy.domain.fields import fields_of
from proxy.domain.limits import Limits
from proxy.domain.paths import parse_target
from proxy.web.gateway import not_found
from tests.harness.call import PATIENCE_S
from tests.harness.client import RawClient
from tests.pipeline.fakes import CHAT, ScriptedReply, Step, snapshot, world
from tests.web.serving import asks, listening

BODY = orjson.dumps(CHAT)
STREAM = fields_of([("Content-Type", "text/event-stream")])
CANARY = "CANARY-0b7d"


async def soon(event: asyncio.Event) -> None:
    await asyncio.wait_for(event.wait(), PATIENCE_S)


async def test_a_reply_passes_with_its_status_reason_headers_and_bytes() -> None:
    headers = (("Content-Type", "text/odd"), ("X-B", "2"), ("x-a", "1"), ("X-B", "3"), ("Content-Length", "5"))
    made = world(ScriptedReply(status=529, reason="Over Loaded", headers=fields_of(headers), steps=[b"ab", b"cde"]))
    async with listening(made.services) as served, RawClient(served.port) as client:
        await client.send(asks(body=BODY))
        reply = await client.reply()
    assert reply.head.start_line == "HTTP/1.1 529 Over Loaded"
    assert reply.body == b"abcde"
    assert tuple(field for field in reply.head.headers if field in headers) == headers
    assert reply.head.get_all("server") == ["promptlane"]


async def test_the_provider_s_own_server_and_date_stand_alone() -> None:
    own = (("Server", "theirs"), ("Date", "Mon, 23 Nov 2026 12:00:00 GMT"))
    made = world(ScriptedReply(headers=fields_of(own), steps=[b"{}"]))
    async with listening(made.services) as served, RawClient(served.port) as client:
        await client.send(asks(body=BODY))
        head = (await client.reply()).head
    assert (head.get_all("server"), head.get_all("date")) == (["theirs"], ["Mon, 23 Nov 2026 12:00:00 GMT"])


async def test_what_the_client_sent_is_what_the_pipeline_takes() -> None:
    made = world(ScriptedReply())
    chunks = b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    async with listening(made.services) as served, RawClient(served.port) as client:
        fields = (b"X-Twice: a", b"x-twice: b", b"Transfer-Encoding: chunked")
        await client.send(asks("/v1/files%2D/a:b?q=%20+", b"", *fields) + chunks)
        assert (await client.reply()).status == 200
    (sent,) = made.upstream.requests
    assert (sent.method, sent.url) == ("POST", "http://o.test/v1/files%2D/a:b?q=%20+")
    assert [field for field in sent.headers if field[0].lower() == "x-twice"] == [("X-Twice", "a"), ("x-twice", "b")]
    assert made.upstream.bodies == [b"abcde"]


@pytest.mark.parametrize(("body", "has_body"), [(b"", False), (b"x", True)])
async def test_no_body_is_not_an_empty_one(body: bytes, has_body: bool) -> None:
    made = world(ScriptedReply())
    async with listening(made.services) as served, RawClient(served.port) as client:
        await client.send(asks("/v1/files", body))
        await client.reply()
    assert (made.upstream.requests[0].body is not None) is has_body


async def test_a_piece_reaches_the_client_before_the_next_one_exists() -> None:
    gate = asyncio.Event()
    made = world(ScriptedReply(headers=STREAM, steps=[b"data: 1\n\n", gate.wait, b"data: 2\n\n"]))
    async with listening(made.services) as served, RawClient(served.port) as client:
        await client.send(asks(body=BODY))
        head = await client.head()
        assert head is not None
        pieces = client.iter_body(head)
        assert await anext(pieces) == b"data: 1\n\n"
        gate.set()
        assert b"".join([piece async for piece in pieces]) == b"data: 2\n\n"
        await client.send(asks(body=BODY))
    assert head.get("content-length") is None


async def test_a_body_that_was_held_has_its_length() -> None:
    made = world(ScriptedReply(steps=[b'{"id":', b'"x"}']))
    async with listening(made.services) as served, RawClient(served.port) as client:
        await client.send(asks(body=BODY))
        reply = await client.reply()
    assert (reply.body, reply.head.get_all("content-length")) == (b'{"id":"x"}', ["10"])


async def test_a_head_has_the_length_of_the_body_that_it_stands_for() -> None:
    made = world(ScriptedReply(headers=fields_of([("Content-Length", "1234")])))
    async with listening(made.services) as served, RawClient(served.port) as client:
        await client.send(asks("/v1/models", method="HEAD"))
        reply = await client.reply("HEAD")
    assert (reply.status, reply.body, reply.head.get("content-length")) == (200, b"", "1234")


@pytest.mark.parametrize(
    ("target", "place", "fields"),
    [
        ("/v1/chat/completions", lambda body: body["error"]["code"], ()),
        ("/v1/messages", lambda body: (body["type"], body["error"]["code"])[1], ()),
        ("/v1/chat/completions", lambda body: body["error"]["code"], (b"anthropic-version: 2023-06-01",)),
    ],
)
async def test_a_failure_before_the_reply_is_told_in_the_client_s_dialect(
    target: str, place: Callable[[Any], str], fields: tuple[bytes, ...], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    made = world(ScriptedReply(error=UpstreamUnreachable("It could not be reached.")))
    async with listening(made.services) as served, RawClient(served.port) as client:
        await client.send(asks(target, BODY, *fields))
        reply = await client.reply()
        assert (reply.status, place(reply.json())) == (502, "upstream_connect")
        assert client.is_usable
    (record,) = [record for record in caplog.records if record.getMessage() == "call failed"]
    assert vars(record)["incident_id"] in reply.body.decode()
    assert (vars(record)["code"], vars(record)["http_status"]) == ("upstream_connect", 502)


async def test_a_failure_within_the_reply_breaks_it() -> None:
    steps: list[Step] = [b"data: 1\n\n", UpstreamReset("It broke.")]
    made = world(ScriptedReply(headers=STREAM, steps=steps))
    async with listening(made.services) as served, RawClient(served.port) as client:
        await client.send(asks(body=BODY))
        (reply,) = await client.replies_until_closed()
    assert (reply.status, reply.body, reply.is_whole) == (200, b"data: 1\n\n", False)


async def test_a_reply_that_breaks_is_no_whole_one_under_http_1_0_either() -> None:
    """There the end of the connection is the end of the body; so it must not end in order."""
    gate = asyncio.Event()
    steps: list[Step] = [b"data: 1\n\n", gate.wait, UpstreamReset("It broke.")]
    made = world(ScriptedReply(headers=STREAM, steps=steps))
    async with listening(made.services) as served, RawClient(served.port) as client:
        await client.send(asks(body=BODY).replace(b"HTTP/1.1", b"HTTP/1.0"))
        received = b""
        while not received.endswith(b"data: 1\n\n"):
            received += (piece := await client.read_some())
            assert piece
        gate.set()
        with pytest.raises(ConnectionResetError):
            await client.read_some()


async def test_a_client_s_connection_that_breaks_is_no_bug(caplog: pytest.LogCaptureFixture) -> None:
    """A write to it says so, where the loop has not yet."""

    async def breaks() -> None:
        raise ConnectionResetError

    made = world(ScriptedReply(headers=STREAM, steps=[b"data: 1\n\n", breaks]))
    async with listening(made.services) as served, RawClient(served.port) as client:
        await client.send(asks(body=BODY))
        (reply,) = await client.replies_until_closed()
    assert not reply.is_whole
    assert [record for record in caplog.records if record.exc_info] == []
    assert made.journal.end()["error_type"] == "client_disconnect"


@pytest.mark.parametrize("is_begun", [False, True])
async def test_a_bug_is_told_to_nobody_but_the_log(is_begun: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def stumble() -> None:
        raise RuntimeError(CANARY)

    made = world(ScriptedReply(headers=STREAM, steps=[*([b"data: 1\n\n"] if is_begun else []), stumble]))
    async with listening(made.services) as served, RawClient(served.port) as client:
        await client.send(asks(body=BODY))
        reply = await client.reply()
    assert CANARY.encode() not in reply.head.raw + reply.body
    assert (reply.status, reply.is_whole) == ((200, False) if is_begun else (500, True))
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [RuntimeError]


async def test_a_body_that_is_not_validly_framed_is_the_client_s_fault() -> None:
    """It goes wrong once the call is under way, as `Expect` shows."""
    made = world()
    async with listening(made.services) as served, RawClient(served.port) as client:
        await client.send(asks("/v1/chat/completions", b"", b"Transfer-Encoding: chunked", b"Expect: 100-continue"))
        assert await client.head() is not None
        await client.send(b"3\r\nabc\r\nzz" + CANARY.encode() + b"\r\n")
        (reply,) = await client.replies_until_closed()
    assert (reply.status, reply.json()["error"]["code"]) == (400, "bad_framing")
    assert CANARY.encode() not in reply.body


async def test_a_body_that_was_not_read_ends_the_connection() -> None:
    """Else its rest would be taken for the next request."""
    made = world(configured=snapshot(limits=Limits(body_bytes=10)))
    async with listening(made.services) as served, RawClient(served.port) as client:
        await client.send(asks(body=b"x" * 100)[:-50])
        reply = await client.reply()
        assert (reply.status, reply.head.get("connection")) == (413, "close")
        await client.send(b"x" * 50 + asks(body=BODY))
        assert await client.head() is None


async def test_a_client_that_leaves_ends_the_attempt() -> None:
    begun, left = asyncio.Event(), asyncio.Event()

    async def generate() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()

    made = world(ScriptedReply(headers=STREAM, steps=[b"data: 1\n\n", generate]))
    async with listening(made.services) as served:
        async with RawClient(served.port) as client:
            await client.send(asks(body=BODY))
            await soon(begun)
        await soon(left)
        assert await served.edge.wait_idle(PATIENCE_S)
    assert made.journal.end()["error_type"] == "client_disconnect"


async def test_go_on_is_said_when_the_body_is_wanted() -> None:
    made = world(ScriptedReply(steps=[b"{}"]))
    async with listening(made.services) as served, RawClient(served.port) as client:
        head, _, body = asks("/v1/chat/completions", BODY, b"Expect: 100-continue").partition(BODY)
        await client.send(head)
        interim = await client.head()
        assert interim is not None
        assert interim.start_line == "HTTP/1.1 100 Continue"
        await client.send(BODY + body)
        assert (await client.reply()).status == 200


async def test_go_on_is_not_said_under_http_1_0() -> None:
    made = world(ScriptedReply(steps=[b"{}"]))
    async with listening(made.services) as served, RawClient(served.port) as client:
        await client.send(asks("/v1/chat/completions", BODY, b"Expect: 100-continue").replace(b"HTTP/1.1", b"HTTP/1.0"))
        head = await client.head()
    assert head is not None
    assert head.status == 200


async def test_go_on_is_not_said_to_who_is_refused() -> None:
    made = world()
    async with listening(made.services) as served, RawClient(served.port) as client:
        fields = (b"Expect: 100-continue", b"X-Promptlane-Key: plk_unknown")
        await client.send(asks("/v1/chat/completions", BODY, *fields).partition(BODY)[0])
        head = await client.head()
    assert head is not None
    assert head.status == 401


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/chat/completions", "missing_v1"),
        ("/responses", "missing_v1"),
        ("/embeddings", "missing_v1"),
        ("/models/gpt-4.1", "missing_v1"),
        ("/messages", "missing_v1"),
        ("/audio/transcriptions", "missing_v1"),
        ("/v1/v1/messages", "version_twice"),
        ("/v1beta/v1beta/models/g:generateContent", "version_twice"),
        ("/v1/v1beta/models/g:generateContent", "version_twice"),
        ("/openai/deployments/gpt-4.1/chat/completions", "azure_path"),
        ("/openai/v1/responses", "azure_path"),
        ("/", "not_found"),
        ("/v2/chat/completions", "not_found"),
    ],
)
def test_a_path_that_is_none_of_ours_is_told_the_likeliest_remedy(path: str, code: str) -> None:
    error = not_found(parse_target(path))
    assert (error.http_status, error.code) == (404, code)
    assert "/v1" in error.public_message
