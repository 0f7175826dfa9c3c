"""The client misbehaves or leaves (fault rows 44 to 56)."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Callable

import brotli  # type: ignore[import-untyped]
import pytest
import pytest_asyncio
import zstandard

from tests.harness.bed import UPSTREAM_CLIENTS, Bed, chat
from tests.harness.client import Ending, Leave, Plan, RawClient
from tests.harness.framing import BODY, CHUNKED, HEAD, LENGTH
from tests.harness.http1 import encode_chunk
from tests.harness.oracle import FAILED

pytestmark = pytest.mark.asyncio(loop_scope="module")

CANCEL_WITHIN_NS = 250_000_000
MIB = 1 << 20
CANCELLED = ("cancelled", "client_disconnect", "client")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=UPSTREAM_CLIENTS)
async def bed(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> AsyncIterator[Bed]:
    async with Bed(tmp_path_factory.mktemp("clients"), upstream_client=request.param) as bed:
        yield bed


@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize(("leaves", "script"), [(Leave.BEFORE_FIRST_BYTE, "hang"), (Leave.MID_STREAM, "hang_after:5")])
async def test_44_45_leaving_closes_the_way_to_the_provider(bed: Bed, leaves: Leave, script: str, resets: bool) -> None:
    plan = Plan(body=chat(stream=True), script=script, leaves=leaves, leaves_with_reset=resets)
    for _ in range(10):
        call = await bed.client.call(plan)
        (record,) = bed.provider.of_call(call.call_id)
        await record.wait_closed()
        assert record.closed_ns is not None
        assert record.closed_ns - call.ended_ns < CANCEL_WITHIN_NS
    outcome = await bed.outcome(plan)
    assert outcome.fate == CANCELLED
    assert len(outcome.generations) == 1


async def test_45_what_was_streamed_before_leaving_is_counted(bed: Bed) -> None:
    plan = Plan(body=chat(stream=True), script="hang_after:5", leaves=Leave.MID_STREAM)
    end = (await bed.outcome(plan)).end
    assert end["usage_source"] in {"estimated", "mixed"}
    assert end["output_tokens"] >= 1


async def test_leaving_within_the_body_of_a_call_that_was_admitted(bed: Bed) -> None:
    """`100 Continue` is the proof that the head was read: such a call owes a start and an end."""
    call_id = "left-in-body"
    async with RawClient(bed.served.port) as client:
        head = HEAD + b"X-Request-Id: " + call_id.encode() + b"\r\nExpect: 100-continue\r\n" + LENGTH + b"\r\n"
        await client.send(head)
        assert (await client.head()).status == 100  # type: ignore[union-attr]
        await client.send(BODY[:5])
    events = await bed.events_of(call_id)
    (end,) = [event for event in events if event["event"] == FAILED]
    assert end["properties"]["status"] == "cancelled"
    assert bed.provider.of_call(call_id) == []


async def test_leaving_after_a_whole_reply_is_a_completed_call(bed: Bed) -> None:
    for stream in (True, False):
        outcome = await bed.outcome(Plan(body=chat(stream=stream), leaves=Leave.AFTER_END, leaves_with_reset=True))
        assert outcome.end["status"] == "success"


async def test_47_a_client_that_does_not_read_holds_the_provider_back(bed: Bed) -> None:
    """The proxy's memory stays small: what is unread waits at the provider, beyond the kernels' buffers."""
    before = bed.served.resident_bytes()
    head, body = Plan(body=chat(stream=True), script=f"infinite_line:{256 * MIB}").request("slow-reader")
    async with RawClient(bed.served.port) as client:
        await client.send(head + body)
        record = await bed.provider.wait_for_call("slow-reader")
        sent = -1
        while sent != record.bytes_sent:
            sent = record.bytes_sent
            await asyncio.sleep(0.2)  # until the provider has stalled: nothing announces that
        assert record.bytes_sent < 64 * MIB
        assert bed.served.resident_bytes() - before < 16 * MIB
        client.reset()
    await record.wait_closed()


async def test_50_a_body_that_grows_too_large_is_refused(bed: Bed) -> None:
    async with RawClient(bed.served.port) as client:
        await client.send(HEAD + CHUNKED + b"\r\n")
        with_reply = asyncio.ensure_future(client.reply())
        try:
            while not with_reply.done():
                await client.send(encode_chunk(b" " * MIB))
        except ConnectionError:
            pass
        assert (await with_reply).status == 413


_ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": lambda data: brotli.compress(data, quality=1),
    "zstd": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize("encoding", _ENCODERS)
async def test_51_a_compressed_bomb_is_refused_in_little_memory(bed: Bed, encoding: str) -> None:
    before = bed.served.resident_bytes()
    reached = len(bed.provider.ledger)
    bomb = _ENCODERS[encoding](b" " * (100 * MIB) + BODY)
    outcome = await bed.outcome(Plan(body=bomb, headers=(("Content-Encoding", encoding),)))
    assert outcome.call.status in (400, 413)
    assert len(bed.provider.ledger) == reached
    assert bed.served.resident_bytes() - before < 96 * MIB


@pytest.mark.parametrize("encoding", _ENCODERS)
async def test_51_a_compressed_body_passes_unchanged_and_is_understood(bed: Bed, encoding: str) -> None:
    body = _ENCODERS[encoding](chat(model="gpt-compressed"))
    plan = Plan(body=body, headers=(("Content-Encoding", encoding),), script="set_cookie")
    outcome = await bed.outcome(plan)
    assert outcome.call.status == 200
    assert outcome.attempts[0].body == body
    assert outcome.end["requested_model"] == "gpt-compressed"


@pytest.mark.parametrize("encoding", ["gzip, gzip", "gzip, br", "compress", "unknown"])
async def test_51_stacked_and_unknown_encodings_are_refused(bed: Bed, encoding: str) -> None:
    outcome = await bed.outcome(Plan(body=gzip.compress(BODY), headers=(("Content-Encoding", encoding),)))
    assert outcome.call.status == 415
    assert outcome.attempts == []


@pytest.mark.parametrize("encoding", _ENCODERS)
async def test_51_a_body_that_is_not_what_its_encoding_says_is_refused(bed: Bed, encoding: str) -> None:
    outcome = await bed.outcome(Plan(body=b"\x00not compressed", headers=(("Content-Encoding", encoding),)))
    assert outcome.call.status == 400
    assert outcome.fate[2] == "admit"


_ODD_JSON = {
    "nothing": b"",
    "no object": b"[]",
    "a word": b"null",
    "invalid": b"{",
    "deep": b'{"model":"m","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "a million keys": b'{"model":"m"' + b"".join(b',"k%d":1' % n for n in range(1_000_000)) + b"}",
    "long integer": b'{"model":"m","n":' + b"9" * 5000 + b"}",
    "NaN": b'{"model":"m","temperature":NaN}',
    "infinity": b'{"model":"m","temperature":1e999}',
    "lone surrogate": b'{"model":"m","messages":[{"role":"user","content":"\\ud800"}]}',
    "invalid utf-8": b'{"model":"m","messages":[{"role":"user","content":"\xff\xfe"}]}',
    "utf-16": '{"model":"m"}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"model":"m"}',
    "wrong types": b'{"model":7,"stream":"yes","messages":{},"tools":3,"metadata":[],"stream_options":1}',
    "model null": b'{"model":null}',
    "huge model": b'{"model":"' + b"m" * 1_000_000 + b'"}',
}


@pytest.mark.parametrize("case", _ODD_JSON)
async def test_52_odd_json_is_refused_or_passed_never_a_bug(bed: Bed, case: str) -> None:
    outcome = await bed.outcome(Plan(body=_ODD_JSON[case], script="echo"))
    assert outcome.call.status in (200, 400)
    assert len(outcome.starts) == 1
    if outcome.call.status == 200:
        assert outcome.attempts[0].body == _ODD_JSON[case]
    else:
        assert outcome.fate == ("error", "bad_request", "admit")


async def test_53_a_model_named_twice_is_refused(bed: Bed) -> None:
    outcome = await bed.outcome(Plan(body=b'{"model":"a","messages":[],"model":"b"}'))
    assert outcome.call.status == 400
    assert outcome.end["error_code"] == "duplicate_model"
    assert outcome.attempts == []


async def test_a_body_shorter_than_declared_never_reaches_the_provider(bed: Bed) -> None:
    async with RawClient(bed.served.port) as client:
        await client.send(HEAD + b"X-Call-Id: short\r\nContent-Length: 1000\r\n\r\n" + BODY)
        client.half_close()
        await client.replies_until_closed()
    assert bed.provider.of_call("short") == []


async def test_many_clients_that_leave_at_once_are_all_counted(bed: Bed) -> None:
    plans = [
        Plan(body=chat(stream=True), script="hang_after:2", leaves=Leave.MID_STREAM, leaves_with_reset=n % 2 == 0)
        for n in range(100)
    ]
    first = len(bed.client.ledger)
    await bed.client.run(plans, concurrency=100)
    calls = bed.client.ledger[first:]
    assert {call.ending for call in calls} == {Ending.LEFT}
    for call in calls:
        (record,) = bed.provider.of_call(call.call_id)
        await record.wait_closed()
        ends = [event for event in await bed.events_of(call.call_id) if event["event"] == FAILED]
        assert len(ends) == 1


@pytest.mark.soak
@pytest.mark.parametrize("begun", [b"P", b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nA:"])
async def test_49_a_head_that_never_ends_is_cut(bed: Bed, begun: bytes) -> None:
    """Takes the header deadline of ten seconds."""
    async with RawClient(bed.served.port) as client:
        await client.send(begun)
        while await client.read_some(patience_s=15):
            pass
