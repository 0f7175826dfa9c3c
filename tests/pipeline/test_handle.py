"""A whole request as the edge would carry it: whatever happens, one start and one end."""

import asyncio
import gc
from contextlib import suppress
from typing import Any

import orjson
import pytest

from proxy.domain.errors import (
    BadRequest,
    Forbidden,
    ProxyError,
    Unauthenticated,
    UnknownModel,
    UpstreamReset,
    UpstreamUnreachable,
)
from proxy.domain.fields import fields_of
from proxy.domain.routing import Route, Target
from proxy.pipeline.handle import handle
from proxy.pipeline.services import Reply
from tests.pipeline.fakes import (
    ANTHROPIC,
    CHAT,
    OURS,
    SSE,
    ScriptedReply,
    call,
    plain,
    request,
    snapshot,
    stream_chunk,
    streamed,
    world,
)

STREAM = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}


async def test_a_plain_call_completes_with_its_numbers() -> None:
    made = world(plain())
    answer = await call(made, request(headers=[("X-Prompt-Version", "pv_1"), ("X-PostHog-Distinct-Id", "u1")]))
    assert answer.status == 200
    end = made.journal.end()
    assert (end["status"], end["prompt_version_id"], end["input_tokens"], end["output_tokens"]) == (
        "success",
        "pv_1",
        10,
        5,
    )
    assert end["estimated_cost_usd"] == pytest.approx((10 * 0.4 + 5 * 1.6) / 1e6)
    assert made.journal.events("$ai_generation")[0]["distinct_id"] == "u1"
    assert len(made.observed) == 1


async def test_a_stream_completes_with_its_first_token_time() -> None:
    made = world(streamed())
    answer = await call(made, request(STREAM))
    assert answer.body == b"".join(streamed().steps)  # type: ignore[arg-type]
    end = made.journal.end()
    assert (end["status"], end["stream"], end["usage_source"]) == ("success", True, "provider")
    assert 0 < end["first_byte_ms"] <= end["ttft_ms"] <= end["latency_ms"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "invalid_json"),
        (b"[]", "not_an_object"),
        (b'{"messages":[]}', "model_required"),
        (b'{"model":7}', None),
        (b'{"model":"a","model":"b"}', "duplicate_model"),
        (b'{"model":"a","mod\\u0065l":"b"}', "duplicate_model"),
        (b'{"model":"a","model":"b",' + b",".join(b'"k%d":1' % n for n in range(10_001)) + b"}", "too_many_members"),
    ],
)
async def test_a_body_that_cannot_be_understood_is_refused_and_told(body: bytes, code: str | None) -> None:
    made = world()
    with pytest.raises(BadRequest) as refused:
        await call(made, request(body))
    assert code is None or refused.value.code == code
    end = made.journal.end()
    assert (end["status"], end["error_type"], end["failed_phase"]) == ("error", "bad_request", "admit")
    assert not made.upstream.requests


async def test_an_unknown_proxy_key_is_refused_before_the_body_and_gives_no_event() -> None:
    made = world()
    unread = request(pieces=[AssertionError("the body was read")], headers=[("X-Promptlane-Key", "plk_no")])
    with pytest.raises(Unauthenticated):
        await call(made, unread)
    assert not made.journal.openings
    assert not made.journal.closings
    assert len(made.observed) == 1


async def test_a_target_with_our_key_needs_a_proxy_key() -> None:
    made = world(configured=snapshot(Route(pattern="gpt-4.1-mini", targets=(Target(provider=OURS),))))
    with pytest.raises(Unauthenticated):
        await call(made)
    assert not made.journal.closings
    assert not made.upstream.requests


async def test_a_proxy_key_is_exchanged_for_ours() -> None:
    routed = snapshot(Route(pattern="gpt-4.1-mini", targets=(Target(provider=OURS),)))
    made = world(plain(), configured=routed)
    await call(made, request(headers=[("Authorization", "Bearer plk_web"), ("x-api-key", "sk-stray")]))
    sent = dict(made.upstream.requests[0].headers)
    assert sent["Authorization"] == "Bearer sk-ours-1"
    assert "x-api-key" not in sent
    assert made.journal.end()["key_alias"] == "web"


async def test_a_key_may_use_only_its_models() -> None:
    made = world()
    with pytest.raises(Forbidden):
        await call(made, request({**CHAT, "model": "o9"}, headers=[("Authorization", "Bearer plk_web")]))
    assert made.journal.end()["status"] == "blocked"


async def test_a_key_for_some_models_reads_but_starts_nothing_that_names_no_model() -> None:
    keyed = [("Authorization", "Bearer plk_web")]
    made = world(plain())
    assert (await call(made, request(b"", method="GET", target="/v1/batches", headers=keyed))).status == 200
    with pytest.raises(Forbidden):
        await call(made, request({"input_file_id": "f"}, target="/v1/batches", headers=keyed))


async def test_a_model_routed_to_another_dialect_is_refused() -> None:
    made = world(configured=snapshot(Route(pattern="gpt-4.1-mini", targets=(Target(provider=ANTHROPIC),))))
    with pytest.raises(UnknownModel):
        await call(made)
    assert made.journal.end()["error_type"] == "unknown_model"


async def test_a_dialect_without_a_default_refuses() -> None:
    made = world()
    with pytest.raises(UnknownModel):
        await call(made, request({"contents": []}, target="/v1beta/models/g:generateContent"))
    assert made.journal.end()["dialect"] == "gemini"


async def test_a_provider_s_error_passes_and_is_told_as_an_error() -> None:
    body = b'{"error":{"message":"Slow down, sk-theirs","type":"requests","code":"rate_limit_exceeded"}}'
    refusal = ScriptedReply(
        status=429,
        headers=fields_of([("Content-Type", "application/json"), ("Retry-After", "2")]),
        steps=[body],
        reason="Too Many",
    )
    made = world(refusal)
    answer = await call(made)
    assert (answer.status, answer.body, answer.headers["retry-after"]) == (429, body, "2")
    end = made.journal.end()
    assert (end["status"], end["error_type"], end["error_code"], end["http_status"]) == (
        "error",
        "provider_rate_limit",
        "rate_limit_exceeded",
        429,
    )
    assert "input_tokens" not in end
    assert "Slow down" not in str(made.journal.closings)


async def test_no_target_reached_is_an_upstream_error() -> None:
    made = world(ScriptedReply(error=UpstreamUnreachable("The provider could not be reached.")))
    with pytest.raises(UpstreamUnreachable):
        await call(made)
    end = made.journal.end()
    assert (end["error_type"], end["failed_phase"]) == ("upstream_connect", "connect")
    assert not made.journal.events("$ai_generation")


async def test_a_reply_that_breaks_after_commit_fails_in_the_stream() -> None:
    made = world(streamed(stream_chunk("Hel"), UpstreamReset("broke")))
    with pytest.raises(UpstreamReset):
        await call(made, request(STREAM))
    end = made.journal.end()
    assert (end["status"], end["error_type"], end["failed_phase"], end["http_status"]) == (
        "error",
        "upstream_reset",
        "stream",
        200,
    )


@pytest.mark.parametrize("gone", [ConnectionResetError(), asyncio.CancelledError()])
async def test_a_client_that_leaves_mid_stream_cancels_and_frees_the_provider(gone: BaseException) -> None:
    made = world(streamed())

    def leave(_: int) -> None:
        raise gone

    with pytest.raises(type(gone)):
        await call(made, request(STREAM), on_piece=leave)
    end = made.journal.end()
    assert (end["status"], end["error_type"], end["failed_phase"]) == ("cancelled", "client_disconnect", "client")
    assert made.upstream.replies[0].is_left
    assert made.upstream.replies[0].is_left_early


@pytest.mark.parametrize("body", [STREAM, CHAT, {"model": 1}])
async def test_a_call_that_fails_leaves_nothing_that_only_the_collector_would_find(body: dict[str, Any]) -> None:
    def leave(_: int) -> None:
        raise ConnectionResetError

    made = world(streamed() if body is STREAM else ScriptedReply(error=UpstreamReset("It broke.")))
    gc.collect()
    with suppress(ConnectionResetError, UpstreamReset, BadRequest):
        await call(made, request(body), on_piece=leave)
    assert gc.collect() == 0


async def test_a_client_that_is_gone_when_a_held_reply_is_ready_did_not_get_it() -> None:
    made = world(plain())

    async def deliver(_: Reply) -> None:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await handle(request(), made.services, deliver)
    end = made.journal.end()
    assert (end["status"], end["output_tokens"]) == ("cancelled", 5)


async def _cancelled_while(started: asyncio.Event, running: "asyncio.Task[Any]") -> None:
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_client_that_leaves_before_the_first_byte_still_has_its_end() -> None:
    waiting = asyncio.Event()

    async def hang() -> None:
        waiting.set()
        await asyncio.Event().wait()

    made = world(ScriptedReply(headers=SSE, before_head=hang))
    running = asyncio.ensure_future(call(made, request(STREAM)))
    await _cancelled_while(waiting, running)
    assert made.journal.end()["status"] == "cancelled"
    (generation,) = made.journal.events("$ai_generation")
    assert generation["properties"]["$ai_is_error"] is True


async def test_a_client_that_leaves_between_head_and_body_frees_the_provider() -> None:
    waiting = asyncio.Event()

    async def hang() -> None:
        waiting.set()
        await asyncio.Event().wait()

    made = world(ScriptedReply(headers=SSE, steps=[hang]))
    running = asyncio.ensure_future(call(made, request(STREAM)))
    await _cancelled_while(waiting, running)
    assert made.journal.end()["status"] == "cancelled"
    assert made.upstream.replies[0].is_left


async def test_a_client_that_leaves_while_sending_its_body_has_its_end() -> None:
    waiting = asyncio.Event()

    async def hang() -> None:
        waiting.set()
        await asyncio.Event().wait()

    made = world()
    running = asyncio.ensure_future(call(made, request(pieces=[b'{"model":', hang])))
    await _cancelled_while(waiting, running)
    end = made.journal.end()
    assert (end["status"], end["error_type"]) == ("cancelled", "client_disconnect")


async def test_what_the_proxy_cuts_is_told_as_its_own_shutdown() -> None:
    waiting = asyncio.Event()

    async def hang() -> None:
        waiting.set()
        await asyncio.Event().wait()

    made = world(streamed(stream_chunk("Hel"), hang))
    running = asyncio.ensure_future(call(made, request(STREAM)))
    await waiting.wait()
    made.services.is_cutting = True
    await _cancelled_while(waiting, running)
    assert made.journal.end()["error_type"] == "shutdown"


async def test_a_bug_in_the_edge_is_told_without_its_text() -> None:
    made = world(streamed())

    def stumble(_: int) -> None:
        raise RuntimeError("quotes a prompt")

    with pytest.raises(RuntimeError):
        await call(made, request(STREAM), on_piece=stumble)
    end = made.journal.end()
    assert end["error_type"] == "internal"
    assert "quotes" not in str(made.journal.closings)


async def test_other_paths_pass_through_without_events() -> None:
    made = world(ScriptedReply(steps=[b'{"data":[]}']))
    answer = await call(made, request(b"", method="GET", target="/v1/models?limit=2"))
    assert answer.body == b'{"data":[]}'
    assert "x-trace-id" not in answer.headers
    assert made.upstream.requests[0].url == "http://o.test/v1/models?limit=2"
    assert not made.journal.openings
    assert not made.journal.closings


async def test_a_broken_journal_never_reaches_the_client() -> None:
    made = world(plain())
    made.journal.is_broken = True
    assert (await call(made)).status == 200


async def test_every_exchange_id_is_ours_and_new() -> None:
    made = world(plain(), plain())
    for _ in range(2):
        await call(made, request(headers=[("X-Request-Id", "same")]))
    ids = [closing.exchange_id for closing in made.journal.closings]
    assert len(set(ids)) == 2
    assert all(orjson.loads(c.record)["properties"]["request_id"] == "same" for c in made.journal.closings)


async def test_errors_have_public_messages_of_their_own() -> None:
    made = world()
    with pytest.raises(ProxyError) as refused:
        await call(made, request(b'{"model": "CANARY", "messages": [}'))
    assert "CANARY" not in refused.value.public_message
