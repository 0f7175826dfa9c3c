"""Checks of answers, through the whole pipeline."""

from typing import Any

import orjson
import pytest

from proxy.domain.checks import Check, Length, Matches, MatchesSchema, NoRefusal
from proxy.domain.routing import Route, Target
from tests.pipeline.fakes import (
    CHAT,
    DONE,
    OPENAI,
    USAGE,
    ScriptedReply,
    World,
    call,
    plain,
    request,
    snapshot,
    stream_chunk,
    streamed,
    world,
)
from tests.pipeline.fakes import event as sse

STREAM = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}
HELLO = Check(name="says_hello", rule=Matches("^Hello"))
SHORT = Check(name="short", rule=Length(max_chars=3))
JSON = Check(name="form", rule=MatchesSchema('{"type": "object"}'))


def a_world(*replies: ScriptedReply, checks: tuple[Check, ...]) -> World:
    return world(
        *replies, configured=snapshot(Route(pattern="gpt-*", targets=(Target(provider=OPENAI),), checks=checks))
    )


def quality(made: World) -> dict[str, Any]:
    return {name: value for name, value in made.journal.end().items() if name.startswith("eval_")}


async def test_an_answer_that_passes_says_so_on_its_end() -> None:
    made = a_world(plain(), checks=(HELLO, Check(name="kind", rule=NoRefusal())))
    await call(made)
    assert quality(made) == {"eval_passed": True, "eval_score": 1.0, "eval_name": "says_hello"}
    assert made.journal.end()["status"] == "success"


async def test_a_check_that_fails_ends_the_call_as_failed_though_the_client_has_its_answer() -> None:
    made = a_world(plain(), checks=(JSON, SHORT))
    answer = await call(made)
    assert answer.status == 200
    assert quality(made) == {
        "eval_passed": False, "eval_score": 0.0, "eval_name": "form", "eval_reason_code": "not_json",
        "eval_failed": ["form", "short"],
    }  # fmt: skip
    end = made.journal.end()
    assert (end["status"], end["error_type"], end["http_status"]) == ("validation_failed", "check_failed", 200)
    assert "failed_phase" not in end
    assert end["cost_status"] == "priced"
    assert made.journal.events("llm_request_failed")


async def test_a_check_that_only_notes_leaves_the_call_a_success() -> None:
    made = a_world(plain(), checks=(Check(name="short", rule=SHORT.rule, fails=False),))
    await call(made)
    assert (made.journal.end()["status"], quality(made)["eval_passed"]) == ("success", False)


async def test_a_stream_is_checked_whole_and_without_its_reasoning() -> None:
    chunks = (
        sse({"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"reasoning_content": "Hm, Hello?"}}]}),
        stream_chunk("Hel"),
        stream_chunk("lo.", finish_reason="stop"),
        sse({"id": "c", "model": "m", "choices": [], "usage": USAGE}),
        DONE,
    )
    made = a_world(streamed(*chunks), checks=(HELLO,))
    await call(made, request(STREAM))
    assert made.checker.texts == ["Hello."]
    assert quality(made)["eval_passed"] is True


async def test_the_tokens_that_were_estimated_are_there_before_the_checks() -> None:
    silent = (stream_chunk("Hel"), stream_chunk("lo.", finish_reason="stop"), DONE)
    made = a_world(streamed(*silent), checks=(Check(name="brief", rule=Length(max_tokens=2)),))
    await call(made, request(STREAM))
    end = made.journal.end()
    assert (end["output_tokens"], end["eval_reason_code"], end["cost_status"]) == (3, "too_long", "partial")


@pytest.mark.parametrize("trouble", ["is_full", "is_dead"])
async def test_what_could_not_be_looked_at_is_not_known_and_fails_nothing(trouble: str) -> None:
    made = a_world(plain(), checks=(JSON, Check(name="kind", rule=NoRefusal())))
    setattr(made.checker, trouble, True)
    await call(made)
    assert quality(made) == {"eval_score": 1.0, "eval_name": "form", "eval_reason_code": "check_not_run"}
    assert made.journal.end()["status"] == "success"


async def test_a_bug_in_checking_costs_the_verdict_and_not_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    made = a_world(plain(), checks=(JSON,))
    monkeypatch.setattr(made.checker, "submit", None)
    await call(made)
    assert (made.journal.end()["status"], quality(made)) == ("success", {})


async def test_a_bug_after_the_child_has_answered_does_not_cost_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    made = a_world(plain(), checks=(JSON,))
    answers: list[Any] = []

    def submit(_: Any, __: str, done: Any) -> bool:
        answers.append(done)
        return True

    monkeypatch.setattr(made.checker, "submit", submit)
    await call(made)
    assert made.journal.closings == []
    with pytest.raises(AttributeError):
        answers[0](None)
    assert (made.journal.end()["status"], quality(made)) == ("success", {})


async def test_a_tool_call_is_no_answer_and_a_failed_call_has_none() -> None:
    tool = {"id": "t", "type": "function", "function": {"name": "find", "arguments": "{}"}}
    choice = {"index": 0, "message": {"role": "assistant", "tool_calls": [tool]}, "finish_reason": "tool_calls"}
    body = orjson.dumps({"id": "c", "model": "gpt-4.1-mini", "choices": [choice], "usage": USAGE})
    for reply in (plain(steps=(body,)), plain(status=500, steps=(b"{}",))):
        made = a_world(reply, checks=(JSON,))
        await call(made)
        assert quality(made) == {}
        assert made.checker.texts == []
