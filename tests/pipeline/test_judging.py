"""Judges, asked through the pipeline that they judge."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import orjson
import pytest

from proxy.domain.checks import Check, NoRefusal
from proxy.domain.endpoints import Dialect
from proxy.domain.errors import UpstreamUnreachable
from proxy.domain.judges import Judge
from proxy.domain.prompt_versions import VersionPolicy
from proxy.domain.routing import Route, Target
from proxy.pipeline import judging
from proxy.pipeline.judging import Judging
from tests.pipeline.fakes import (
    ANTHROPIC,
    CHAT,
    OPENAI,
    OURS,
    USAGE,
    ScriptedReply,
    World,
    call,
    plain,
    request,
    snapshot,
    world,
)

HELPS = Judge(name="helps", model="strong", criteria="Helps.", sample=1.0, per_minute=6_000.0, reasons=("vague",))
QUESTION = {**CHAT, "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "When?"}]}
STRONG = Route(pattern="strong", targets=(Target(provider=OURS, model="gpt-4.1"),))


def says(verdict: str, **more: Any) -> ScriptedReply:
    message = {"role": "assistant", "content": verdict}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = {"id": "j", "model": "gpt-4.1", "choices": [choice], "usage": USAGE}
    return plain(steps=(orjson.dumps(body),), **more)


GOOD = '{"passed": true, "score": 0.75, "reason": "none"}'
BAD = '{"passed": false, "score": 0.25, "reason": "vague"}'


@dataclass
class Court:
    made: World
    judges: Judging
    counted: list[tuple[str, str]]

    async def ask(self, body: Any = QUESTION, count: int = 1) -> None:
        for _ in range(count):
            await call(self.made, request(body))
        await asyncio.gather(*self.judges._tasks)

    @property
    def verdicts(self) -> list[dict[str, Any]]:
        return [event["properties"] for event in self.made.journal.events("llm_output_evaluated")]


def route_of(judge: Judge) -> Route:
    return Route(pattern="gpt-*", targets=(Target(provider=OPENAI),), judges=(judge,))


def court(*replies: ScriptedReply, judge: Judge = HELPS, strong: Route = STRONG, **changes: Any) -> Court:
    """A route whose answers are judged, and whoever answers: the provider first, then the judge's."""
    made = world(*replies, configured=replace(snapshot(route_of(judge), strong), **changes))
    counted: list[tuple[str, str]] = []
    judges = Judging(made.services, lambda name, result: counted.append((name, result)))
    made.services.judge = judges.consider
    return Court(made, judges, counted)


async def test_a_verdict_is_an_outcome_of_the_call_that_was_judged() -> None:
    it = court(plain(), says(BAD))
    await it.ask()
    (verdict,) = it.verdicts
    call_of, _ = it.made.journal.closings
    assert verdict["exchange_id"] == call_of.exchange_id
    assert (verdict["eval_name"], verdict["eval_passed"], verdict["eval_score"]) == ("helps", False, 0.25)
    assert (verdict["eval_reason_code"], verdict["eval_model"]) == ("vague", "strong")
    assert (verdict["prompt_version_source"], verdict["context_found"]) == ("inferred", True)
    (twin,) = it.made.journal.events("$ai_evaluation")
    assert (twin["properties"]["$ai_evaluation_result"], twin["properties"]["$ai_evaluation_runtime"]) == (
        False, "llm_judge",
    )  # fmt: skip
    assert it.counted == [("helps", "failed")]


async def test_the_judge_sees_question_and_answer_and_is_asked_by_our_own_key() -> None:
    it = court(plain(), says(GOOD))
    await it.ask()
    asked = orjson.loads(it.made.upstream.bodies[1])
    assert asked["model"] == "gpt-4.1"
    shown = asked["messages"][1]["content"]
    assert "system: Be kind.\n\nuser: When?" in shown
    assert "<answer>\nHello.\n</answer>" in shown
    sent = dict(it.made.upstream.requests[1].headers)
    assert sent["Authorization"] == "Bearer sk-ours-1"
    assert not [name for name in sent if name.lower().startswith("x-p")]


async def test_a_judges_own_call_is_no_part_of_the_product_and_is_marked() -> None:
    it = court(plain(), says(GOOD))
    await it.ask()
    journal = it.made.journal
    assert len(journal.events("llm_request_started")) == len(journal.events("llm_request_completed")) == 1
    _, own = journal.closings
    said = orjson.loads(own.record)["properties"]
    assert (said["call_purpose"], said["key_alias"], said["prompt_name"]) == ("judge", "judge", "helps")
    assert own.trace_id.startswith("judge_")
    marks = [event["properties"].get("call_purpose") for event in journal.events("$ai_generation")]
    assert marks == [None, "judge"]


async def test_a_judge_is_never_judged_checked_or_refused() -> None:
    """Not even where its own model has it as a judge, checks of its own, and a demand for versions."""
    strong = replace(STRONG, judges=(HELPS,), checks=(Check(name="kind", rule=NoRefusal()),), demand="enforce")
    it = court(plain(), says(GOOD), strong=strong, versions=VersionPolicy(demand="warn"))
    await it.ask()
    assert len(it.made.upstream.requests) == 2
    assert "eval_passed" not in orjson.loads(it.made.journal.closings[1].record)["properties"]
    assert it.counted == [("helps", "passed")]


async def test_an_anthropic_model_is_asked_in_its_dialect() -> None:
    body = {
        "id": "m", "type": "message", "role": "assistant", "model": "claude", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": GOOD}], "usage": {"input_tokens": 1, "output_tokens": 1},
    }  # fmt: skip
    ours = replace(ANTHROPIC, name="ours_a", api_key="sk-ant-ours")
    strong = Route(pattern="strong", targets=(Target(provider=ours, model="claude"),))
    it = court(plain(), plain(steps=(orjson.dumps(body),)), strong=strong)
    await it.ask()
    assert ours.dialect is Dialect.ANTHROPIC
    assert it.made.upstream.requests[1].url.endswith("/v1/messages")
    assert it.verdicts[0]["eval_passed"] is True


@pytest.mark.parametrize(
    ("reply", "result"),
    [
        (lambda: says("It is fine."), "undecided"),
        (lambda: says("{}", status=500), "lost"),
        (lambda: plain(error=UpstreamUnreachable("no connection")), "lost"),
        (lambda: says("x" * (judging.REPLY_LIMIT_BYTES + 1)), "lost"),
    ],
)
async def test_a_judge_that_gives_no_verdict_says_nothing_and_is_counted(
    reply: Callable[[], ScriptedReply], result: str
) -> None:
    it = court(plain(), reply())
    await it.ask()
    assert it.verdicts == []
    assert it.counted == [("helps", result)]


async def test_a_reply_without_an_end_is_left() -> None:
    it = court(plain(), plain(steps=tuple(b"x" * 65_536 for _ in range(99))))
    await it.ask()
    _, own = it.made.journal.closings
    assert orjson.loads(own.record)["properties"]["status"] == "cancelled"
    assert it.counted == [("helps", "lost")]


async def test_only_a_share_is_judged_and_no_more_a_minute_than_the_budget() -> None:
    none = court(*(plain() for _ in range(9)), judge=replace(HELPS, sample=0.5))
    none.made.services.random_bytes = lambda count: b"\x80" * count
    await none.ask(count=9)
    assert none.counted == []
    one = court(plain(), says(GOOD), *(plain() for _ in range(8)), judge=replace(HELPS, per_minute=6.0))
    await one.ask()
    await one.ask(count=8)
    assert one.counted == [("helps", "passed")]


async def test_judges_of_one_name_on_two_routes_have_a_budget_each() -> None:
    kind, short = (replace(HELPS, criteria=criteria, per_minute=6.0) for criteria in ("Kind.", "Short."))
    other = Route(pattern="o3", targets=(Target(provider=OPENAI),), judges=(short,))
    replies = (plain(), says(GOOD), plain(), says(BAD), *(plain() for _ in range(4)))
    it = court(*replies, judge=kind, routing=snapshot(route_of(kind), other, STRONG).routing)
    for _ in range(3):
        await it.ask()
        await it.ask({**QUESTION, "model": "o3"})
    assert it.counted == [("helps", "passed"), ("helps", "failed")]


async def test_so_many_at_once_and_the_next_is_left_out() -> None:
    it = court(*(plain() for _ in range(judging.MOST_AT_ONCE + 1)), *(says(GOOD) for _ in range(judging.MOST_AT_ONCE)))
    hold = asyncio.Event()
    handed = it.judges._ask

    async def held(*args: Any) -> str | None:
        await hold.wait()
        return await handed(*args)

    it.judges._ask = held  # type: ignore[method-assign, assignment]
    for _ in range(judging.MOST_AT_ONCE + 1):
        await call(it.made, request(QUESTION))
    assert it.counted == [("helps", "lost")]
    hold.set()
    await it.judges.stop()


async def test_what_cannot_be_shown_whole_is_not_judged() -> None:
    long = {**QUESTION, "messages": [{"role": "user", "content": "x" * judging.QUESTION_LIMIT_BYTES}]}
    it = court(plain(), plain(status=500, steps=(b"{}",)))
    await it.ask(long)
    await it.ask()
    assert (it.counted, len(it.made.upstream.requests)) == ([], 2)


async def test_a_bug_in_judging_is_told_and_costs_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    it = court(plain(), says(GOOD))
    it.judges._tell = None  # type: ignore[assignment, method-assign]
    await it.ask()
    assert "a judge stumbled over an answer" in caplog.text
    assert it.counted == [("helps", "passed")]
