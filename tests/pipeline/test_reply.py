"""The head that the client gets, and which bodies are held for their cost."""

from dataclasses import replace

import orjson
import pytest

from proxy.domain.context_token import verify
from proxy.domain.feedback_token import FeedbackToken, verify_feedback
from proxy.domain.fields import fields_of
from proxy.domain.policy import OutcomePolicy
from proxy.pipeline.handle import handle
from proxy.pipeline.reply import HELD_LIMIT_BYTES
from proxy.pipeline.services import Reply
from tests.pipeline.fakes import (
    CHAT,
    PLAIN_BODY,
    SECRET,
    ScriptedReply,
    call,
    plain,
    request,
    snapshot,
    streamed,
    world,
)

JSON = ("Content-Type", "application/json")


async def test_a_whole_json_reply_carries_its_cost_and_context() -> None:
    made = world(plain())
    answer = await call(made, request(headers=[("X-Prompt-Version", "pv_7"), ("X-Trace-Id", "t/1")]))
    assert answer.headers["x-llm-cost-usd"] == "0.0000120"
    assert answer.headers["x-llm-model"] == "gpt-4.1-mini"
    assert answer.headers["x-prompt-version"] == "pv_7"
    assert answer.headers["x-trace-id"] == "t/1"
    assert answer.headers["x-trace-url"] == "http://proxy.test/t/t%2F1"
    assert answer.headers["x-request-id"].startswith("req_")
    assert answer.headers["server-timing"].startswith("upstream;dur=")
    claims = verify(answer.headers["x-llm-context"], SECRET)
    assert claims is not None
    assert (claims["trace_id"], claims["prompt_version_id"], claims["model"]) == ("t/1", "pv_7", "gpt-4.1-mini")


async def test_the_flags_that_decided_are_told_again() -> None:
    flags = [("X-Feature-Flag", "tone=warm, length=short"), ("X-Feature-Flag-Greeting", "gr\u00fc\u00df")]
    told: list[str] = []

    async def deliver(reply: Reply) -> None:
        told.extend(value for name, value in reply.headers if name == "X-Feature-Flag")

    await handle(request(headers=flags), world(plain()).services, deliver)
    assert told == ["tone=warm", "length=short"]


async def test_the_provider_s_request_id_stays_and_ours_stands_beside_it() -> None:
    made = world(plain(headers=fields_of([JSON, ("x-request-id", "req_theirs")])))
    answer = await call(made)
    assert answer.headers["x-request-id"] == "req_theirs"
    assert answer.headers["x-llm-request-id"].startswith("req_")


async def test_a_stream_is_not_held_and_asks_proxies_in_front_not_to_buffer() -> None:
    made = world(streamed())
    answer = await call(made, request({**CHAT, "stream": True, "stream_options": {"include_usage": True}}))
    assert len(answer.pieces) == 4
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["cache-control"] == "no-cache"
    assert "x-llm-cost-usd" not in answer.headers


async def test_a_stream_s_own_cache_control_stays() -> None:
    reply = streamed()
    reply.headers = fields_of([*reply.headers, ("Cache-Control", "private")])
    answer = await call(world(reply), request({**CHAT, "stream": True}))
    assert answer.headers["cache-control"] == "private"


async def test_a_json_body_that_begins_with_keep_alive_blanks_is_passed_on_at_once() -> None:
    made = world(ScriptedReply(steps=[b"\n", b"\n", PLAIN_BODY]))
    answer = await call(made)
    assert answer.pieces == [b"\n", b"\n", PLAIN_BODY]
    assert made.journal.end()["input_tokens"] == 10


@pytest.mark.parametrize(
    ("content_type", "first"),
    [("application/json", b'data: {"id":1}\n\n'), ("application/x-ndjson", b'{"id":1}\n')],
)
async def test_a_stream_under_a_json_type_is_passed_on_at_once(content_type: str, first: bytes) -> None:
    made = world(ScriptedReply(headers=fields_of([("Content-Type", content_type)]), steps=[first, b"rest"]))
    assert (await call(made)).pieces == [first, b"rest"]


async def test_a_large_json_body_is_not_held() -> None:
    padding = b'{"choices":[],"padding":"' + b"a" * HELD_LIMIT_BYTES
    usage = b'","usage":' + orjson.dumps({"prompt_tokens": 1, "completion_tokens": 2}) + b"}"
    made = world(ScriptedReply(steps=[padding, usage]))
    answer = await call(made)
    assert answer.body == padding + usage
    assert "x-llm-cost-usd" not in answer.headers


async def test_an_unpriced_reply_has_no_cost_header() -> None:
    body = PLAIN_BODY.replace(b"gpt-4.1-mini", b"nobody-knows")
    made = world(ScriptedReply(steps=[body]))
    assert "x-llm-cost-usd" not in (await call(made)).headers
    end = made.journal.end()
    assert end["cost_status"] == "unpriced"
    assert "estimated_cost_usd" not in end


async def test_a_feedback_token_comes_where_it_was_asked_for() -> None:
    assert "x-llm-feedback-token" not in (await call(world(plain()))).headers
    asked = replace(snapshot(), outcomes=OutcomePolicy(feedback_token_s=3_600))
    made = world(plain(), configured=asked)
    answer = await call(made)
    token = verify_feedback(answer.headers["x-llm-feedback-token"], SECRET)
    assert token == FeedbackToken(made.observed[0].exchange_id, 1_795_000_000 + 3_600)
