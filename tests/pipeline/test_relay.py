"""Attempts, fallback before commit, and the edits that a named rule makes."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.domain.errors import (
    BadRequest,
    ErrorType,
    Forbidden,
    TooLarge,
    UpstreamReset,
    UpstreamTimeout,
    UpstreamTotalTimeout,
    UpstreamUnreachable,
)
from proxy.domain.fields import NO_FIELDS, Fields, fields_of
from proxy.domain.limits import Limits
from proxy.domain.routing import RetryPolicy, Route, Target, Timeouts
from proxy.pipeline.ports import UpstreamRequest
from proxy.pipeline.pump import KeyMask
from tests.harness.call import PATIENCE_S
from tests.pipeline.fakes import (
    CHAT,
    DONE,
    JSON,
    OPENAI,
    OURS,
    PLAIN_BODY,
    SSE,
    USAGE,
    ScriptedReply,
    call,
    event,
    plain,
    request,
    snapshot,
    stream_chunk,
    streamed,
    world,
)

ALIAS = Route(
    pattern="fast",
    targets=(Target(provider=OPENAI, model="gpt-4.1-mini"),),
    fallback=(Target(provider=OPENAI, model="gpt-4.1"),),
    retries=RetryPolicy(max=1, on=frozenset({"connect", "429", "5xx"})),
)
FAST = {**CHAT, "model": "fast"}


def failing(status: int, **headers: str) -> ScriptedReply:
    came = fields_of([("Content-Type", "application/json"), *headers.items()])
    return ScriptedReply(status=status, headers=came, steps=[b'{"error":{"message":"no"}}'])


async def test_an_alias_is_replaced_in_the_body_and_nothing_else() -> None:
    made = world(plain(), configured=snapshot(ALIAS))
    body = b'{ "messages" : [{"role":"user","content":"model \\"fast\\" "}] , "model":  "fast","x":1.50}'
    answer = await call(made, request(body))
    assert made.upstream.bodies == [body.replace(b'"model":  "fast"', b'"model":  "gpt-4.1-mini"')]
    assert answer.headers["x-llm-target"] == "openai/gpt-4.1-mini"
    assert made.journal.end()["requested_model"] == "fast"


async def test_retries_then_fallback_each_built_from_the_original() -> None:
    made = world(failing(503), failing(503), plain(), configured=snapshot(ALIAS))
    answer = await call(made, request(FAST))
    assert answer.headers["x-llm-attempts"] == "3"
    assert [orjson.loads(body)["model"] for body in made.upstream.bodies] == ["gpt-4.1-mini"] * 2 + ["gpt-4.1"]
    end = made.journal.end()
    assert (end["status"], end["attempt_count"], end["fallback_used"]) == ("success", 3, True)
    assert len(made.journal.events("llm_attempt_failed")) == 2
    assert len(made.journal.events("$ai_generation")) == 3
    assert all(reply.is_left for reply in made.upstream.replies)


async def test_an_unreachable_target_falls_back() -> None:
    gone = [ScriptedReply(error=UpstreamUnreachable("gone")) for _ in range(2)]
    made = world(*gone, plain(), configured=snapshot(ALIAS))
    assert (await call(made, request(FAST))).status == 200
    assert len(made.journal.events("$ai_generation")) == 1


@pytest.mark.parametrize("first", [ScriptedReply(error=UpstreamUnreachable("gone")), failing(503)])
async def test_a_target_is_given_a_pause_and_a_fallback_is_asked_at_once(
    first: ScriptedReply, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    async def pause(pause_s: float) -> None:
        pauses.append(pause_s)

    monkeypatch.setattr(asyncio, "sleep", pause)
    made = world(first, failing(503), plain(), configured=snapshot(ALIAS))
    made.services.random_bytes = lambda count: b"\x80" * count
    assert (await call(made, request(FAST))).status == 200
    assert pauses == [0.125]


async def test_a_broken_connection_is_not_repeated_since_the_call_may_have_run() -> None:
    made = world(ScriptedReply(error=UpstreamReset("broke")), plain(), configured=snapshot(ALIAS))
    with pytest.raises(UpstreamReset):
        await call(made, request(FAST))
    assert len(made.upstream.requests) == 1


async def test_a_caller_s_own_mistake_is_not_retried() -> None:
    made = world(failing(400), plain(), configured=snapshot(ALIAS))
    assert (await call(made, request(FAST))).status == 400


async def test_a_caller_may_ask_for_fewer_retries() -> None:
    made = world(failing(503), plain(), configured=snapshot(ALIAS))
    await call(made, request(FAST, headers=[("X-LLM-Max-Retries", "0")]))
    assert [orjson.loads(body)["model"] for body in made.upstream.bodies] == ["gpt-4.1-mini", "gpt-4.1"]


async def test_a_pause_that_the_provider_asks_for_is_kept_only_when_short() -> None:
    alone = replace(ALIAS, fallback=())
    made = world(failing(429, **{"Retry-After": "600"}), configured=snapshot(alone))
    answer = await call(made, request(FAST))
    assert (answer.status, answer.headers["retry-after"]) == (429, "600")


async def test_a_target_that_asks_for_a_long_pause_gives_way_to_the_fallback() -> None:
    made = world(failing(429, **{"Retry-After": "600"}), plain(), configured=snapshot(ALIAS))
    answer = await call(made, request(FAST))
    assert (answer.status, answer.headers["x-llm-target"]) == (200, "openai/gpt-4.1")


async def test_without_a_route_there_is_one_attempt() -> None:
    made = world(failing(503))
    assert (await call(made)).status == 503
    assert made.journal.end()["attempt_count"] == 1


# usage injection -----------------------------------------------------------------------------------------------------

ASKS_NOT = {**CHAT, "stream": True}
WITHOUT = [stream_chunk("Hel"), stream_chunk("lo.", finish_reason="stop"), DONE]
WITH = [
    stream_chunk("Hel", usage=None),
    stream_chunk("lo.", finish_reason="stop", usage=None),
    event({"id": "c", "model": "gpt-4.1-mini", "choices": [], "usage": USAGE}),
    DONE,
]


async def test_usage_is_asked_for_and_hidden_again() -> None:
    made = world(streamed(*WITH))
    answer = await call(made, request(ASKS_NOT))
    assert orjson.loads(made.upstream.bodies[0])["stream_options"] == {"include_usage": True}
    assert answer.body == b"".join(WITHOUT)
    assert made.journal.end()["usage_source"] == "provider"


async def test_a_client_that_asks_for_usage_gets_the_provider_s_bytes() -> None:
    made = world(streamed(*WITH))
    asks = {**ASKS_NOT, "stream_options": {"include_usage": True}}
    answer = await call(made, request(asks))
    assert made.upstream.bodies == [orjson.dumps(asks)]
    assert answer.body == b"".join(WITH)


@pytest.mark.parametrize("status", [400, 422])
async def test_a_provider_that_refuses_the_injection_is_asked_once_more_and_remembered(status: int) -> None:
    refusal = ScriptedReply(status=status, steps=[b'{"error":{"message":"unknown field stream_options"}}'])
    made = world(refusal, streamed(*WITHOUT), streamed(*WITHOUT))
    answer = await call(made, request(ASKS_NOT))
    assert (answer.status, answer.body) == (200, b"".join(WITHOUT))
    assert made.upstream.bodies[1] == orjson.dumps(ASKS_NOT)
    await call(made, request(ASKS_NOT))
    assert len(made.upstream.requests) == 3


@pytest.mark.parametrize("headers", [NO_FIELDS, fields_of([("Content-Type", "text/plain")]), JSON])
async def test_what_the_injection_caused_goes_whatever_the_stream_is_called(headers: Fields) -> None:
    made = world(ScriptedReply(headers=headers, steps=WITH))
    assert (await call(made, request(ASKS_NOT))).body == b"".join(WITHOUT)


async def test_a_document_in_reply_to_a_stream_passes_whole() -> None:
    made = world(ScriptedReply(steps=[PLAIN_BODY[:20], PLAIN_BODY[20:]]))
    assert (await call(made, request(ASKS_NOT))).body == PLAIN_BODY


async def test_another_400_is_passed_on_whole() -> None:
    body = b'{"error":{"message":"max_tokens is too large"}}'
    made = world(ScriptedReply(status=400, steps=[body[:9], body[9:]]))
    answer = await call(made, request(ASKS_NOT))
    assert (answer.status, answer.body) == (400, body)


async def test_a_large_400_is_passed_on_whole() -> None:
    pieces = [b'{"error":{"message":"' + b"a" * 50_000, b"b" * 50_000, b'"}}']
    made = world(ScriptedReply(status=400, steps=pieces))
    assert (await call(made, request(ASKS_NOT))).body == b"".join(pieces)


# the rest ------------------------------------------------------------------------------------------------------------


async def test_our_key_is_cut_out_of_a_provider_s_error() -> None:
    quoting = ScriptedReply(status=401, steps=[b'{"error":{"message":"Incorrect API key: sk-ou', b'rs-1."}}'])
    made = world(quoting, configured=snapshot(Route(pattern="*", targets=(Target(provider=OURS),))))
    answer = await call(made, request(headers=[("Authorization", "Bearer plk_web")]))
    assert answer.body == b'{"error":{"message":"Incorrect API key: *********."}}'


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=6))
def test_the_mask_hides_the_key_at_any_split_and_keeps_the_length(noise: bytes, cuts: list[int]) -> None:
    key = "sk-abcabd"
    data = noise[:100] + key.encode() + noise[100:] + b"sk-abcab"
    mask, out, last = KeyMask(key), b"", 0
    for cut in sorted(min(cut, len(data)) for cut in cuts):
        out += mask.feed(data[last:cut])
        last = cut
    out += mask.feed(data[last:]) + mask.flush()
    assert out == data.replace(key.encode(), b"*" * len(key))


async def test_a_provider_that_sends_nothing_times_out_before_anything_is_promised() -> None:
    made = world(ScriptedReply(headers=SSE, steps=[hang]), configured=snapshot(timeouts=Timeouts(first_byte_s=0.01)))
    with pytest.raises(UpstreamTimeout):
        await call(made, request(ASKS_NOT))
    end = made.journal.end()
    assert (end["status"], end["error_type"], end["failed_phase"]) == ("timeout", "timeout_first_byte", "first_byte")


async def hang() -> None:
    await asyncio.Event().wait()


async def test_a_request_without_a_body_is_answered_in_time_too() -> None:
    made = world(ScriptedReply(before_head=hang), configured=snapshot(timeouts=Timeouts(first_byte_s=0.01)))
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(UpstreamTimeout):
            await call(made, request(b"", method="GET", target="/v1/models"))


async def test_the_total_limit_holds_before_the_head_too() -> None:
    made = world(ScriptedReply(before_head=hang))
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(UpstreamTotalTimeout):
            await call(made, request(headers=[("X-LLM-Timeout-Ms", "10")]))
    end = made.journal.end()
    assert (end["status"], end["error_type"], end["failed_phase"]) == ("timeout", "timeout_total", "first_byte")


async def test_a_slow_upload_is_not_the_provider_s_silence() -> None:
    async def pause() -> None:
        await asyncio.sleep(0.03)

    made = world(plain(), configured=snapshot(timeouts=Timeouts(first_byte_s=0.02)))
    assert (await call(made, request(target="/v1/files", pieces=[b"a", pause, b"b"]))).status == 200


async def test_a_provider_that_takes_no_more_of_an_upload_is_not_waited_for() -> None:
    class Deaf:
        async def send(self, asked: UpstreamRequest) -> ScriptedReply:
            assert isinstance(asked.body, AsyncIterator)
            await anext(asked.body)
            await hang()
            return ScriptedReply()

    made = world(configured=snapshot(timeouts=Timeouts(first_byte_s=0.01)))
    made.services.upstream = Deaf()
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(UpstreamTimeout):
            await call(made, request(target="/v1/files", pieces=[b"a", b"b"]))


async def test_a_reply_may_begin_before_the_request_has_ended() -> None:
    rest: list[bytes] = []

    class Echo:
        async def send(self, asked: UpstreamRequest) -> ScriptedReply:
            assert isinstance(asked.body, AsyncIterator)
            body, first = asked.body, await anext(asked.body)

            async def take_the_rest() -> None:
                rest.extend([piece async for piece in body])

            reply = ScriptedReply(steps=[first, take_the_rest, b"!"])
            await reply.begin(asked.on_begun)
            return reply

    made = world()
    made.services.upstream = Echo()
    assert (await call(made, request(target="/v1/files", pieces=[b"a", b"b"]))).body == b"a!"
    assert rest == [b"b"]


async def test_an_upload_that_goes_wrong_within_the_reply_is_not_the_provider_s_fault() -> None:
    class Echo:
        async def send(self, asked: UpstreamRequest) -> ScriptedReply:
            assert isinstance(asked.body, AsyncIterator)
            body, first = asked.body, await anext(asked.body)

            async def take_more() -> None:
                await anext(body)

            reply = ScriptedReply(steps=[first, take_more])
            await reply.begin(asked.on_begun)
            return reply

    made = world(configured=snapshot(limits=Limits(streamed_bytes=5)))
    made.services.upstream = Echo()
    with pytest.raises(TooLarge):
        await call(made, request(target="/v1/files", pieces=[b"a", b"b" * 5]))
    assert made.observed[0].fate is not None
    assert made.observed[0].fate.error_type is ErrorType.TOO_LARGE


async def test_a_multipart_call_is_streamed_once_and_cannot_use_an_alias() -> None:
    form = [("Content-Type", "multipart/form-data; boundary=b")]
    made = world(failing(503), configured=snapshot(ALIAS))
    raw = request(b"--b\r\n...", target="/v1/audio/transcriptions", headers=form)
    assert (await call(made, raw)).status == 503
    assert made.upstream.bodies == [b"--b\r\n..."]
    assert "requested_model" not in made.journal.end()
    aliased = snapshot(Route(pattern="*", targets=(Target(provider=OPENAI, model="whisper-1"),)))
    refused = world(plain(), configured=aliased)
    refused_raw = request(b"{}", target="/v1/chat/completions")
    with pytest.raises(BadRequest):
        await call(refused, refused_raw)


async def test_a_form_s_model_is_known_and_routed() -> None:
    form = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n--b--\r\n'
    routed = snapshot(Route(pattern="whisper-*", targets=(Target(provider=OURS),)))
    made = world(ScriptedReply(steps=[b'{"text":"x","usage":{"type":"duration","seconds":9}}']), configured=routed)
    headers = [("Content-Type", "multipart/form-data; boundary=b"), ("Authorization", "Bearer plk_web")]
    with pytest.raises(Forbidden):
        await call(made, request(form, target="/v1/audio/transcriptions", headers=headers))
    assert made.journal.end()["requested_model"] == "whisper-1"
