"""When the caller is known: after the request went out, and before it where somebody has to decide by it."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from proxy.domain.capture import CapturePolicy, CaptureRule, Level
from proxy.domain.credentials import NO_CREDENTIALS
from proxy.domain.exchange import Exchange
from proxy.domain.identity import identify
from proxy.domain.prompt_versions import VersionPolicy
from proxy.domain.prompts import ManagedPrompt, PromptBook, PromptVersion
from proxy.domain.provenance import Provenance
from proxy.domain.rollout import Rollout
from proxy.domain.routing import Route, Target, TargetRollout
from proxy.pipeline.acquaint import acquaint
from proxy.pipeline.admit import LARGE_BODY_BYTES
from proxy.pipeline.call import Call
from proxy.pipeline.handle import endpoint_of
from proxy.pipeline.ports import UpstreamRequest
from proxy.pipeline.services import Snapshot
from tests.pipeline.fakes import CHAT, OPENAI, ScriptedReply, World, call, plain, request, snapshot, world

NAMED = [("X-PostHog-Distinct-Id", "ada"), ("X-Prompt-Version", "pv_1")]
OPENAIS = Target(provider=OPENAI)
BY_FLAG = TargetRollout(rollout=Rollout(flag="answers", default="a"), targets={"a": OPENAIS})
PROMPTS = PromptBook(
    prompts={"p": ManagedPrompt(name="p", default="v", versions={"v": PromptVersion(id="v", text="x")}, mode="prepend")}
)
EARLY: dict[str, Snapshot] = {
    "prompts": replace(snapshot(), prompts=PROMPTS),
    "a rollout": snapshot(Route(pattern="*", targets=(OPENAIS,), rollout=BY_FLAG)),
    "a demand": replace(snapshot(), versions=VersionPolicy(demand="enforce")),
    "a route's demand": snapshot(Route(pattern="*", targets=(OPENAIS,), demand="enforce")),
    "content": replace(snapshot(), capture=CapturePolicy(rule=CaptureRule(level=Level.FULL))),
}
LATE: dict[str, Snapshot] = {
    "nothing": snapshot(),
    "a route": snapshot(Route(pattern="*", targets=(OPENAIS,))),
    "a warning": replace(snapshot(), versions=VersionPolicy(demand="warn")),
}


@dataclass
class Watching:
    """An HTTP client, and how many callers had been identified when each request was about to go out."""

    made: World
    identified: int = 0
    when_sent: list[int] = field(default_factory=list)

    async def send(self, asked: UpstreamRequest) -> ScriptedReply:
        self.when_sent.append(self.identified)
        return await self.made.upstream.send(asked)


async def when_known(
    monkeypatch: pytest.MonkeyPatch, configured: Snapshot, *replies: ScriptedReply, body: Any = CHAT
) -> list[int]:
    """For each attempt, how many callers had been identified before it; one is in the end."""
    made = world(*replies, plain(), configured=configured)
    made.services.upstream = watching = Watching(made)

    def counted(*args: Any, **more: Any) -> Any:
        watching.identified += 1
        return identify(*args, **more)

    monkeypatch.setattr("proxy.pipeline.acquaint.identify", counted)
    await call(made, request(body, headers=NAMED))
    assert watching.identified == 1
    assert (made.journal.end()["prompt_version_id"], made.journal.end()["message_count"]) == ("pv_1", 1)
    assert [observed.parsed for observed in made.observed] == [None]
    return watching.when_sent


@pytest.mark.parametrize("configured", LATE.values(), ids=LATE)
async def test_a_request_goes_out_before_anybody_looks_who_calls(
    monkeypatch: pytest.MonkeyPatch, configured: Snapshot
) -> None:
    assert await when_known(monkeypatch, configured) == [0]


@pytest.mark.parametrize("configured", EARLY.values(), ids=EARLY)
async def test_whoever_decides_by_the_caller_knows_it(monkeypatch: pytest.MonkeyPatch, configured: Snapshot) -> None:
    assert await when_known(monkeypatch, configured) == [1]


async def test_a_large_body_was_read_whole_so_its_caller_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await when_known(monkeypatch, snapshot(), body={**CHAT, "user": "x" * LARGE_BODY_BYTES}) == [1]


async def test_several_attempts_have_one_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    refuses = ScriptedReply(status=400, steps=(b'{"error": "stream_options"}',))
    assert await when_known(monkeypatch, snapshot(), refuses, body={**CHAT, "stream": True}) == [0, 1]


def test_the_caller_is_found_out_once_and_the_body_let_go() -> None:
    raw, made = request(headers=NAMED[1:]), world()
    exchange = Exchange(exchange_id=raw.exchange_id, received_unix_us=0, received_ns=0, endpoint=endpoint_of(raw))
    asked = Call(raw=raw, credentials=NO_CREDENTIALS, exchange=exchange, snapshot=snapshot(), services=made.services)
    caller = acquaint(asked, Provenance(user="grace"))
    assert (caller.distinct_id, caller.prompt_version_id) == ("grace", "pv_1")
    assert acquaint(asked, Provenance(user="another")) is exchange.caller is caller
