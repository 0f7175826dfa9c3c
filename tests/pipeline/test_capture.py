"""What is handed over for keeping: request and reply, where they are asked for, once the call has ended."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from proxy.domain.capture import Captured, CapturePolicy, CaptureRule, Level
from proxy.domain.errors import UnknownModel, UpstreamReset
from proxy.domain.prompts import ManagedPrompt, PromptBook, PromptVersion
from proxy.domain.routing import Route, Target
from proxy.pipeline import capture
from proxy.providers.transcript import transcript
from tests.pipeline.fakes import CHAT, OPENAI, OURS, ScriptedReply, call, plain, request, snapshot, streamed, world

STREAM = {**CHAT, "stream": True}


class Keeper(list[Captured]):
    def keep(self, captured: Captured) -> None:
        self.append(captured)


async def kept(*replies: ScriptedReply, body: Any = CHAT, is_on: bool = True, **rule: Any) -> list[Captured]:
    policy = CapturePolicy(rule=CaptureRule(**{"level": Level.FULL, **rule})) if is_on else None
    made = world(*replies, configured=replace(snapshot(), capture=policy))
    made.services.content = keeper = Keeper()
    await call(made, request(body))
    return keeper


async def test_request_and_reply_are_handed_over_once_the_call_has_ended() -> None:
    (captured,) = await kept(streamed(), body=STREAM)
    assert captured.request is not None
    assert orjson.loads(captured.request)["messages"] == CHAT["messages"]
    assert transcript(b"".join(captured.reply)) == {"text": "Hello."}
    assert captured.level is Level.FULL
    assert captured.distinct_id.startswith("anon_")
    assert captured.ended_unix_us > 1_795_000_000_000_000


async def test_a_reply_that_came_whole_and_its_level() -> None:
    (captured,) = await kept(plain(), level=Level.TOOLS, max_bytes=77)
    assert (captured.level, captured.max_bytes) == (Level.TOOLS, 77)
    assert transcript(b"".join(captured.reply))


async def test_what_is_off_or_no_model_call_is_not_handed_over() -> None:
    assert await kept(plain(), is_on=False) == []
    assert await kept(plain(), level=Level.NONE) == []
    made = world(plain(), configured=replace(snapshot(), capture=CapturePolicy(rule=CaptureRule(level=Level.FULL))))
    made.services.content = keeper = Keeper()
    await call(made, request(b"", method="GET", target="/v1/models"))
    assert keeper == []


async def test_only_of_calls_that_failed_where_that_is_asked() -> None:
    assert await kept(plain(), on_error_only=True) == []
    (captured,) = await kept(plain(status=500, steps=(b'{"error": {"message": "no"}}',)), on_error_only=True)
    assert transcript(b"".join(captured.reply)) == {"error": {"message": "no"}}


async def test_of_several_attempts_the_last_ones_reply_is_kept() -> None:
    route = Route(pattern="gpt-*", targets=(Target(provider=OURS),), fallback=(Target(provider=OURS, model="spare"),))
    policy = CapturePolicy(routes=(("gpt-*", CaptureRule(level=Level.FULL)),))
    first = plain(status=500, steps=(b'{"error": "first"}',))
    made = world(first, plain(), configured=replace(snapshot(route), capture=policy))
    made.services.content = keeper = Keeper()
    await call(made, request(headers=[("X-Promptlane-Key", "plk_web")]))
    assert [b"first" in b"".join(captured.reply) for captured in keeper] == [False]


async def test_a_request_is_kept_as_it_was_sent_to_the_provider_whose_reply_is_kept() -> None:
    """With a managed prompt's text, the model of an alias, and the usage that was asked for."""
    prompt = ManagedPrompt(name="support", versions={"pv_1": PromptVersion(id="pv_1", text="Be kind.")}, default="pv_1")
    spare = Target(provider=OPENAI, model="gpt-4.1")
    route = Route(pattern="fast", targets=(Target(provider=OPENAI, model="gpt-4.1-mini"),), fallback=(spare,))
    policy = CapturePolicy(rule=CaptureRule(level=Level.FULL))
    prompts = PromptBook(prompts={"support": prompt})
    configured = replace(snapshot(route), capture=policy, prompts=prompts)
    made = world(plain(status=500, steps=(b"{}",)), streamed(), configured=configured)
    made.services.content = keeper = Keeper()
    headers = [("Authorization", "Bearer sk-theirs"), ("X-Prompt-Name", "support")]
    await call(made, request({**STREAM, "model": "fast"}, headers=headers))
    (captured,) = keeper
    assert captured.request == made.upstream.bodies[-1]
    sent = orjson.loads(captured.request)
    assert (sent["model"], sent["messages"][0]["content"]) == ("gpt-4.1", "Be kind.")
    assert sent["stream_options"] == {"include_usage": True}


async def test_a_request_is_kept_decoded_though_it_was_sent_as_it_came() -> None:
    made = world(plain(), configured=replace(snapshot(), capture=CapturePolicy(rule=CaptureRule(level=Level.FULL))))
    made.services.content = keeper = Keeper()
    packed = b"gzip" + orjson.dumps(CHAT)
    await call(made, request(packed, headers=[("Authorization", "Bearer sk"), ("Content-Encoding", "gzip")]))
    assert made.upstream.bodies == [packed]
    assert [captured.request for captured in keeper] == [orjson.dumps(CHAT)]


async def test_a_stream_that_breaks_off_leaves_what_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "REQUEST_LIMIT_BYTES", 10)
    steps = (*streamed().steps[:1], UpstreamReset("gone"))
    policy = CapturePolicy(rule=CaptureRule(level=Level.FULL))
    made = world(streamed(*steps), configured=replace(snapshot(), capture=policy))
    made.services.content = keeper = Keeper()
    with pytest.raises(UpstreamReset):
        await call(made, request(STREAM))
    (captured,) = keeper
    assert transcript(b"".join(captured.reply)) == {"text": "Hel"}
    assert captured.request is None, "and a request that is too long for the pipe is left out"


async def test_a_call_that_is_refused_before_its_route_is_known_leaves_nothing() -> None:
    policy = CapturePolicy(rule=CaptureRule(level=Level.FULL))
    made = world(configured=replace(snapshot(), capture=policy))
    made.services.content = keeper = Keeper()
    with pytest.raises(UnknownModel):
        await call(made, request(b"{}", target="/v1beta/models/gemini:generateContent", headers=[]))
    assert keeper == []
