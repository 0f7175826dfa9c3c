"""Raw bytes at the real server: what is ambiguous is refused once, and nothing of it is repeated anywhere."""

from collections.abc import AsyncIterator
from contextlib import suppress

import h11
import orjson
import pytest
import pytest_asyncio

from tests.harness import framing
from tests.harness.bed import UPSTREAM_CLIENTS, Bed
from tests.harness.client import RawClient, RawReply
from tests.harness.framing import BODY, CHUNKED, GOOD, GOOD_CHUNK, HEAD, HOST, JSON, KEY, LENGTH, START, Case

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=UPSTREAM_CLIENTS)
async def bed(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> AsyncIterator[Bed]:
    async with Bed(tmp_path_factory.mktemp("framing"), upstream_client=request.param) as bed:
        yield bed


async def exchange(bed: Bed, data: bytes) -> list[RawReply]:
    """Every reply to these bytes, until the server closes. The client then sends no more."""
    async with RawClient(bed.served.port) as client:
        await client.send(data)
        return await client.replies_until_closed()


async def one_reply(bed: Bed, data: bytes) -> RawReply:
    async with RawClient(bed.served.port) as client:
        await client.send(data)
        return await client.reply()


@pytest.mark.parametrize("case", framing.REFUSED, ids=str)
async def test_refuses_once_and_closes(bed: Bed, case: Case) -> None:
    reached = len(bed.provider.ledger)
    replies = await exchange(bed, case.data)
    assert [reply.status for reply in replies] == [next(iter(replies)).status]
    assert replies[0].status in case.statuses
    assert len(bed.provider.ledger) == reached


@pytest.mark.parametrize("case", framing.REFUSED, ids=str)
async def test_a_refusal_is_our_envelope_and_echoes_nothing(bed: Bed, case: Case) -> None:
    replies = await exchange(bed, case.data.replace(b"sk-test", b"sk-ECHOED").replace(b"evil", b"ECHOED"))
    assert b"ECHOED" not in replies[0].head.raw + replies[0].body
    error = replies[0].json()["error"]
    assert error["code"]
    assert error["message"]


async def test_a_good_request_passes(bed: Bed) -> None:
    assert (await one_reply(bed, GOOD)).status == 200


async def test_a_chunked_request_passes_and_keeps_its_bytes(bed: Bed) -> None:
    reached = len(bed.provider.ledger)
    assert (await one_reply(bed, HEAD + CHUNKED + b"\r\n" + GOOD_CHUNK + framing.LAST)).status == 200
    assert bed.provider.ledger[reached].body == BODY


async def test_pipelined_requests_are_answered_in_order(bed: Bed) -> None:
    """Fault row 55."""
    reached = len(bed.provider.ledger)
    count = 50
    async with RawClient(bed.served.port) as client:
        for number in range(count):
            await client.send(GOOD.replace(b"gpt-4.1-mini", b"m%011d" % number))
        models = [(await client.reply()).json()["model"] for _ in range(count)]
    assert models == [f"m{number:011d}" for number in range(count)]
    assert len(bed.provider.ledger) == reached + count


async def test_an_upgrade_to_h2c_is_never_a_tunnel(bed: Bed) -> None:
    upgrade = b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n"
    async with RawClient(bed.served.port) as client:
        await client.send(HEAD + upgrade + LENGTH + b"\r\n" + BODY)
        reply = await client.reply()
    assert reply.status in (200, 400, 426)
    assert reply.head.get("upgrade") is None or reply.status == 426


@pytest.mark.parametrize("path", [b"/v1/responses", b"/v1/realtime?model=x"])
async def test_a_websocket_is_refused_with_426(bed: Bed, path: bytes) -> None:
    handshake = (
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGVzdA==\r\n"
    )
    reply = await one_reply(bed, b"GET " + path + b" HTTP/1.1\r\n" + HOST + KEY + handshake + b"\r\n")
    assert reply.status == 426
    assert reply.json()["error"]["message"]


async def test_trailers_are_dropped(bed: Bed) -> None:
    reached = len(bed.provider.ledger)
    trailers = b"0\r\nAuthorization: Bearer other\r\nX-Trailer: 1\r\n\r\n"
    reply = await one_reply(bed, HEAD + CHUNKED + b"\r\n" + GOOD_CHUNK + trailers)
    assert reply.status in (200, 400)
    for record in bed.provider.ledger[reached:]:
        assert record.head.get_all("authorization") == ["Bearer sk-test"]
        assert record.head.get("x-trailer") is None


async def test_many_trailers_are_bounded(bed: Bed) -> None:
    flood = b"0\r\n" + b"A: 1\r\n" * 10_000 + b"\r\n"
    replies = await exchange(bed, HEAD + b"Connection: close\r\n" + CHUNKED + b"\r\n" + GOOD_CHUNK + flood)
    assert all(reply.status in (200, 400, 431) for reply in replies)


async def test_headers_named_by_connection_go_no_further(bed: Bed) -> None:
    reached = len(bed.provider.ledger)
    named = b"X-Hop: secret\r\nX-Forwarded-For: 10.0.0.1\r\nConnection: close, X-Hop, X-Forwarded-For\r\n"
    assert (await one_reply(bed, HEAD + named + LENGTH + b"\r\n" + BODY)).status == 200
    head = bed.provider.ledger[reached].head
    assert head.get("x-hop") is None
    assert head.get("x-forwarded-for") is None
    assert head.get("authorization") == "Bearer sk-test"


async def test_an_encoded_line_break_stays_a_literal(bed: Bed) -> None:
    reply = await one_reply(bed, HEAD + b"X-Prompt-Version: a%0d%0aSet-Cookie: x\r\n" + LENGTH + b"\r\n" + BODY)
    assert reply.status == 200
    assert reply.head.get("set-cookie") is None


@pytest.mark.parametrize("value", [b"a\rSet-Cookie: x", b"a\x00b"])
async def test_a_raw_control_character_in_an_analytics_header_is_refused(bed: Bed, value: bytes) -> None:
    reply = await one_reply(bed, HEAD + b"X-Prompt-Version: " + value + b"\r\n" + LENGTH + b"\r\n" + BODY)
    assert reply.status == 400


async def test_log_lines_stay_one_json_object_each(bed: Bed) -> None:
    hostile = b'User-Agent: x\\n{"level":"fatal"} \x1b[2J \xe2\x80\xa8\r\n'
    await one_reply(bed, HEAD + hostile + b"X-Script: status:500\r\n" + LENGTH + b"\r\n" + BODY)
    for line in bed.served.stderr.splitlines():
        assert isinstance(orjson.loads(line), dict)
        assert b"\x1b" not in line


async def test_expect_is_answered_by_the_proxy_and_not_passed_on(bed: Bed) -> None:
    reached = len(bed.provider.ledger)
    async with RawClient(bed.served.port) as client:
        await client.send(HEAD + b"Expect: 100-continue\r\n" + LENGTH + b"\r\n")
        head = await client.head()
        assert head is not None
        assert head.status == 100
        await client.send(BODY)
        assert (await client.reply()).status == 200
    assert bed.provider.ledger[reached].head.get("expect") is None


async def test_a_body_declared_too_large_is_refused_without_being_asked_for(bed: Bed) -> None:
    """Fault rows 50 and 56."""
    async with RawClient(bed.served.port) as client:
        await client.send(HEAD + b"Expect: 100-continue\r\nContent-Length: 99999999999\r\n\r\n")
        replies = await client.replies_until_closed()
    assert [reply.status for reply in replies] == [413]


@pytest.mark.parametrize("stream", framing.AMBIGUOUS, ids=range(len(framing.AMBIGUOUS)))
async def test_never_sees_more_requests_than_a_strict_parser(bed: Bed, stream: bytes) -> None:
    reached = len(bed.provider.ledger)
    async with RawClient(bed.served.port) as client:
        await client.send(stream)
        client.half_close()
        await client.replies_until_closed()
    assert len(bed.provider.ledger) - reached <= requests_seen_by_h11(stream)


def requests_seen_by_h11(stream: bytes) -> int:
    """How many whole heads h11 takes before it refuses, answering each request so that it can go on."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(stream)
    connection.receive_data(b"")
    seen = 0
    with suppress(h11.RemoteProtocolError, h11.LocalProtocolError):
        while True:
            event = connection.next_event()
            seen += isinstance(event, h11.Request)
            if isinstance(event, h11.EndOfMessage):
                connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
                connection.send(h11.EndOfMessage())
                connection.start_next_cycle()
            elif event in (h11.PAUSED, h11.NEED_DATA) or isinstance(event, h11.ConnectionClosed):
                break
    return seen


async def test_the_comparison_counts_pipelined_requests(bed: Bed) -> None:
    assert [requests_seen_by_h11(stream) for stream in (GOOD, GOOD + GOOD, START + JSON + b"\r\n")] == [1, 2, 0]
