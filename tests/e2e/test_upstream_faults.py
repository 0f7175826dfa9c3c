"""The provider misbehaves (fault rows 20 to 43): what the caller gets, which events follow, how often it was asked."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
import pytest_asyncio

from tests.harness.bed import MODEL, UPSTREAM_CLIENTS, Bed, Outcome, chat, message
from tests.harness.call import Call
from tests.harness.client import Ending, Plan, RawClient
from tests.harness.oracle import FAILED
from tests.harness.replies import End, Framing, Piece, Reply, json_reply, split, text_reply
from tests.harness.scripts import built_in

pytestmark = pytest.mark.asyncio(loop_scope="module")

FIRST_BYTE_S = 0.6
IDLE_S = 0.6
TIMER_SLACK_S = 0.4
MIB = 1 << 20
CLOSED_PORT = 9
"""Nothing listens on the discard port."""


def routing(provider_url: str) -> object:
    timeouts = {"connect_s": 0.4, "first_byte_s": FIRST_BYTE_S, "idle_s": IDLE_S}
    one = {"credentials": "passthrough", "timeouts": timeouts}
    return {
        "version": 1,
        "providers": {
            "openai": {"kind": "openai", "base_url": f"{provider_url}/v1", **one},
            "anthropic": {"kind": "anthropic", "base_url": provider_url, **one},
            "closed": {"kind": "openai", "base_url": f"http://127.0.0.1:{CLOSED_PORT}/v1", **one},
            "nowhere": {"kind": "openai", "base_url": "http://nowhere.invalid/v1", **one},
        },
        "models": {"closed": {"target": "closed"}, "nowhere": {"target": "nowhere"}},
        "default_provider": {"openai": "openai", "anthropic": "anthropic", "gemini": None},
    }


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=UPSTREAM_CLIENTS)
async def bed(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> AsyncIterator[Bed]:
    async with Bed(tmp_path_factory.mktemp("faults"), routing=routing, upstream_client=request.param) as bed:
        yield bed


async def meets(bed: Bed, script: str, *, stream: bool = True) -> Outcome:
    return await bed.outcome(Plan(body=chat(stream=stream), script=script))


async def test_20_refused_connection(bed: Bed) -> None:
    outcome = await bed.outcome(Plan(body=chat(model="closed")))
    assert outcome.call.status == 502
    assert outcome.fate == ("error", "upstream_connect", "connect")
    assert outcome.generations == []
    assert outcome.call.ended_ns - outcome.call.began_ns < 500_000_000


async def test_21_reset_before_the_first_byte(bed: Bed) -> None:
    outcome = await meets(bed, "reset")
    assert outcome.call.status == 502
    assert outcome.fate == ("error", "upstream_reset", "first_byte")
    assert (len(outcome.attempts), len(outcome.generations)) == (1, 1)


@pytest.mark.parametrize("count", [1, 3, 20])
@pytest.mark.parametrize("end", [End.RESET, End.FIN])
async def test_22_23_a_stream_that_breaks_after_some_events(bed: Bed, count: int, end: End) -> None:
    """The caller has every event that came, and then a broken stream, never a clean end."""
    gate = asyncio.Event()
    pieces: list[Piece] = [b'data: {"choices":[{"index":0,"delta":{"content":"w"}}]}\n\n'] * count
    bed.provider.scripts.append(
        Reply(headers=(("Content-Type", "text/event-stream"),), pieces=[*pieces, gate], end=end)
    )
    head, body = Plan(body=chat(stream=True)).request(call_id := f"cut-{end.name}-{count}")
    expected = Reply(pieces=pieces).body
    async with RawClient(bed.served.port) as client:
        await client.send(head + body)
        reply_head = await client.head()
        assert reply_head is not None
        received = b""
        stream = client.iter_body(reply_head)
        while len(received) < len(expected):
            received += await anext(stream)
        gate.set()
        with pytest.raises(Exception, match=r"ended|reset"):
            await anext(stream)
    assert received == expected
    assert len(bed.provider.of_call(call_id)) == 1
    (event,) = [event for event in await bed.events_of(call_id) if event["event"] == FAILED]
    assert event["properties"]["failed_phase"] == "stream"
    assert event["properties"]["error_type"] in {"upstream_reset", "truncated"}


@pytest.mark.parametrize("script", ["reset_after:0", "fin_after:0"])
async def test_22_23_a_stream_that_breaks_before_its_first_event_was_not_begun(bed: Bed, script: str) -> None:
    outcome = await meets(bed, script)
    assert (outcome.call.status, outcome.call.ending) == (502, Ending.COMPLETE)
    assert outcome.fate == ("error", "upstream_reset", "first_byte")
    assert len(outcome.attempts) == 1


async def test_23_a_stream_that_ends_in_order_but_too_early(bed: Bed) -> None:
    outcome = await meets(bed, "end_after:3")
    assert (outcome.call.status, outcome.call.ending) == (200, Ending.COMPLETE)
    assert outcome.fate == ("error", "truncated", "stream")


async def test_24_silence_before_the_first_byte(bed: Bed) -> None:
    outcome = await meets(bed, "hang")
    assert outcome.call.status == 504
    assert outcome.fate == ("timeout", "timeout_first_byte", "first_byte")
    waited_s = (outcome.call.ended_ns - outcome.call.began_ns) / 1e9
    assert FIRST_BYTE_S <= waited_s <= FIRST_BYTE_S + TIMER_SLACK_S
    await outcome.attempts[0].wait_closed()


async def test_25_silence_within_a_stream(bed: Bed) -> None:
    outcome = await meets(bed, "hang_after:3")
    assert outcome.call.ending is Ending.BROKEN
    assert outcome.fate == ("timeout", "timeout_idle", "stream")
    waited_s = (outcome.call.ended_ns - outcome.call.began_ns) / 1e9
    assert IDLE_S <= waited_s <= IDLE_S + TIMER_SLACK_S
    await outcome.attempts[0].wait_closed()


async def test_26_a_stream_may_outlast_every_limit_but_silence(bed: Bed) -> None:
    async def slow(call: Call) -> None:
        loop = asyncio.get_running_loop()
        ticks: list[asyncio.Event] = [asyncio.Event() for _ in range(5)]
        for number, tick in enumerate(ticks, 1):
            loop.call_later(number * IDLE_S / 2, tick.set)
        pieces: list[Piece] = [part for tick in ticks for part in (b": alive\n\n", tick)]
        await Reply(headers=(("Content-Type", "text/event-stream"),), pieces=[*pieces, b"data: [DONE]\n\n"])(call)

    bed.provider.scripts.append(slow)
    outcome = await bed.outcome(Plan(body=chat(stream=True)))
    assert (outcome.call.status, outcome.call.ending) == (200, Ending.COMPLETE)
    assert outcome.call.ended_ns - outcome.call.began_ns > 2 * FIRST_BYTE_S * 1e9


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 429, 500, 503, 529])
async def test_27_28_errors_of_the_provider_pass_as_they_are(bed: Bed, status: int) -> None:
    outcome = await meets(bed, f"status:{status}", stream=False)
    call = outcome.call
    assert (call.status, call.ending) == (status, Ending.COMPLETE)
    expected = b'{"error":{"message":"Scripted failure %d.","type":"scripted_error","param":null,"code":null}}' % status
    assert call.body_sha256 == hashlib.sha256(expected).hexdigest()
    headers = {name.lower(): value for name, value in call.headers}
    assert headers["x-request-id"] == f"req_error_{status}"
    if status == 429:
        assert (headers["retry-after"], headers["retry-after-ms"]) == ("7", "7000")
        assert headers["x-ratelimit-remaining-requests"] == "0"
    assert len(outcome.attempts) == 1
    assert outcome.end["http_status"] == status
    assert "Scripted failure" not in orjson.dumps(list(outcome.events)).decode()


@pytest.mark.parametrize(("script", "status"), [("html_error", 502), ("empty_error", 500)])
async def test_28_errors_that_are_no_json_pass_as_they_are(bed: Bed, script: str, status: int) -> None:
    outcome = await meets(bed, script)
    assert (outcome.call.status, outcome.call.ending) == (status, Ending.COMPLETE)
    assert outcome.end["status"] == "error"


async def test_31_a_line_without_end_is_streamed_in_little_memory(bed: Bed) -> None:
    before = bed.served.resident_bytes()
    outcome = await meets(bed, f"infinite_line:{64 * MIB}")
    assert outcome.call.ending is Ending.COMPLETE
    assert outcome.call.body_bytes == 64 * MIB + len(b"\n\ndata: [DONE]\n\n")
    assert bed.served.resident_bytes() - before < 16 * MIB


async def test_32_one_event_of_8_mib(bed: Bed) -> None:
    event = (
        b'data: {"choices":[{"index":0,"delta":{"content":"' + b"w" * (8 * MIB) + b'"},"finish_reason":"stop"}]}\n\n'
    )
    body = event + b"data: [DONE]\n\n"
    bed.provider.scripts.append(Reply(headers=(("Content-Type", "text/event-stream"),), pieces=split(body, (60_000,))))
    outcome = await bed.outcome(Plan(body=chat(stream=True)))
    assert outcome.call.body_sha256 == hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
async def test_33_a_bomb_passes_as_it_is_in_little_memory(bed: Bed, encoding: str) -> None:
    built_in(f"bomb:{encoding}")  # made once, and not while the proxy waits for it
    before = bed.served.resident_bytes()
    outcome = await meets(bed, f"bomb:{encoding}", stream=False)
    assert (outcome.call.status, outcome.call.ending) == (200, Ending.COMPLETE)
    assert ("Content-Encoding", encoding) in outcome.call.headers
    assert bed.served.resident_bytes() - before < 64 * MIB


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
async def test_33_a_compressed_reply_is_metered_and_not_changed(bed: Bed, encoding: str) -> None:
    outcome = await meets(bed, f"encoded:{encoding}", stream=False)
    assert ("Content-Encoding", encoding) in outcome.call.headers
    assert (outcome.end["input_tokens"], outcome.end["output_tokens"]) == (11, 8)


async def test_34_many_empty_gzip_members(bed: Bed) -> None:
    outcome = await meets(bed, "gzip_members:10000", stream=False)
    assert (outcome.call.status, outcome.call.ending) == (200, Ending.COMPLETE)


@pytest.mark.parametrize(
    "script",
    [
        "garbage", "close_silently", "length_twice", "length_and_chunked", "length_negative", "header_with_cr",
        "header_with_nul", "header_huge",
    ],
)  # fmt: skip
async def test_35_a_reply_that_is_no_http_becomes_502(bed: Bed, script: str) -> None:
    outcome = await meets(bed, script, stream=False)
    assert outcome.call.status == 502
    assert outcome.fate[0] == "error"
    assert outcome.fate[1] in {"upstream_protocol", "upstream_reset"}
    assert all("evil" not in value for _, value in outcome.call.headers)
    assert len(outcome.attempts) == 1


@pytest.mark.parametrize("script", ["length_too_long", "bad_chunk_size"])
async def test_35_a_body_that_breaks_its_framing_breaks_the_reply(bed: Bed, script: str) -> None:
    outcome = await meets(bed, script, stream=False)
    assert outcome.call.status in (200, 502)
    assert outcome.call.ending is (Ending.BROKEN if outcome.call.status == 200 else Ending.COMPLETE)
    assert outcome.fate[0] == "error"


@pytest.mark.parametrize("script", ["header_folded", "length_too_short"])
async def test_35_what_is_ambiguous_never_adds_a_header_or_a_reply(bed: Bed, script: str) -> None:
    outcome = await meets(bed, script, stream=False)
    assert outcome.call.status in (200, 502)
    assert all(name.lower() != "x-folded" for name, _ in outcome.call.headers)
    assert (await meets(bed, "answer", stream=False)).call.status == 200


async def test_36_a_reply_nobody_asked_for_is_given_to_nobody(bed: Bed) -> None:
    poison = hashlib.sha256(b"POISON").hexdigest()
    for _ in range(50):
        await bed.client.call(Plan(body=chat(), script="extra_response"))
        call = await bed.client.call(Plan(body=chat(), script="answer"))
        assert call.status == 200
        assert call.body_sha256 != poison


@pytest.mark.parametrize("script", ["informational_flood", "no_content_with_body", "http10_until_close"])
async def test_37_odd_replies_are_answered_without_hanging(bed: Bed, script: str) -> None:
    outcome = await meets(bed, script, stream=False)
    assert outcome.call.status in (200, 204, 502)
    assert outcome.call.ending is Ending.COMPLETE
    assert outcome.call.ended_ns - outcome.call.began_ns < 5e9


async def test_38_a_reply_before_the_body_was_sent(bed: Bed) -> None:
    head = b"POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nX-Script: reply_early\r\n"
    async with RawClient(bed.served.port) as client:
        await client.send(
            head + b"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 10000000\r\n\r\n--b"
        )
        assert (await client.reply()).status == 413


async def test_39_a_kept_connection_that_was_closed_never_doubles_a_call(bed: Bed) -> None:
    for _ in range(50):
        call = await bed.client.call(Plan(body=chat(), script="answer_then_close"))
        assert call.status in (200, 502)
        assert len(bed.provider.of_call(call.call_id)) <= 1


async def test_40_a_name_that_does_not_resolve(bed: Bed) -> None:
    outcome = await bed.outcome(Plan(body=chat(model="nowhere")))
    assert outcome.call.status == 502
    assert outcome.fate == ("error", "upstream_dns", "connect")


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        {"prompt_tokens": -5, "completion_tokens": -1, "total_tokens": 3},
        {"prompt_tokens": 2**63, "completion_tokens": 2**70, "total_tokens": 1},
        {"prompt_tokens": "12", "completion_tokens": "many"},
        {"prompt_tokens": 1.5, "completion_tokens": True},
        {"prompt_tokens": 5, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 99}},
        [1, 2],
        "none",
    ],
)
async def test_43_impossible_usage_is_never_an_impossible_number(bed: Bed, usage: object) -> None:
    reply = {"id": "x", "object": "chat.completion", "model": MODEL, "usage": usage}
    choice = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
    body = json.dumps({**reply, "choices": [choice]}).encode()  # orjson writes no integers over 64 bits
    bed.provider.scripts.append(text_reply(200, "application/json", body))
    outcome = await bed.outcome(Plan(body=chat()))
    assert outcome.call.status == 200
    end = outcome.end
    assert end["status"] == "success"
    for name in ("input_tokens", "output_tokens", "cached_input_tokens", "estimated_cost_usd"):
        value = end.get(name)
        assert value is None or (0 <= value < 2**53 and not isinstance(value, bool)), name


@pytest.mark.parametrize("status", [400, 422])
async def test_a_refusal_of_stream_options_is_asked_again_once_and_remembered(tmp_path: Path, status: int) -> None:
    async with Bed(tmp_path) as bed:
        first = await meets(bed, f"refuses_stream_options:{status}")
        second = await meets(bed, f"refuses_stream_options:{status}")
    assert [first.call.status, second.call.status] == [200, 200]
    assert [b"stream_options" in record.body for record in first.attempts] == [True, False]
    assert [b"stream_options" in record.body for record in second.attempts] == [False]


async def test_a_redirect_is_not_followed(bed: Bed) -> None:
    outcome = await meets(bed, "redirect", stream=False)
    assert outcome.call.status in (307, 502)
    assert len(outcome.attempts) == 1
    assert outcome.end["error_type"] == "provider_redirect"


async def test_reply_headers_pass_but_for_those_that_bind_the_connection(bed: Bed) -> None:
    bed.provider.scripts.append(
        json_reply(
            200, {}, ("Alt-Svc", 'h3=":443"'), ("Strict-Transport-Security", "max-age=1"), ("Server", "s"),
            ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Keep-Alive", "timeout=5"), ("X-Own", "kept"),
        )
    )  # fmt: skip
    headers = [(name.lower(), value) for name, value in (await bed.outcome(Plan(body=chat()))).call.headers]
    names = [name for name, _ in headers]
    assert not {"alt-svc", "strict-transport-security", "keep-alive"} & set(names)
    assert [value for name, value in headers if name == "set-cookie"] == ["a=1", "b=2"]
    assert ("x-own", "kept") in headers


async def test_an_anthropic_stream_that_breaks_is_seen_in_its_own_dialect(bed: Bed) -> None:
    plan = Plan(path="/v1/messages", body=message(stream=True), script="fin_after:4")
    outcome = await bed.outcome(plan)
    assert outcome.call.ending is Ending.BROKEN
    assert outcome.end["dialect"] == "anthropic"
    assert outcome.end["input_tokens"] == 11


async def test_a_reply_without_length_lasts_until_the_connection_ends(bed: Bed) -> None:
    body = orjson.dumps({"id": "x", "model": MODEL, "choices": []})
    bed.provider.scripts.append(
        Reply(headers=(("Content-Type", "application/json"),), pieces=split(body), framing=Framing.UNTIL_CLOSE)
    )
    outcome = await bed.outcome(Plan(body=chat()))
    assert outcome.call.ending is Ending.COMPLETE
    assert outcome.call.body_sha256 == hashlib.sha256(body).hexdigest()
