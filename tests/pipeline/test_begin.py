"""The beginning of what is told of a call, also where it never came to its provider."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from proxy.domain.errors import BadRequest, Unauthenticated, UnknownModel, UpstreamUnreachable
from proxy.domain.prompt_versions import VersionPolicy
from proxy.domain.routing import Route, Target
from tests.pipeline.fakes import CHAT, OPENAI, OURS, ScriptedReply, World, call, plain, request, snapshot, world

PROMPTED = {**CHAT, "user": "ada", "messages": [{"role": "system", "content": "Be kind."}, *CHAT["messages"]]}
WARNING = replace(snapshot(), versions=VersionPolicy(demand="warn"))


def started(made: World) -> dict[str, Any]:
    (opening,) = made.journal.openings
    properties: dict[str, Any] = orjson.loads(opening.facts)["properties"]
    return properties


async def test_a_call_is_noted_once_with_whom_it_asks_first() -> None:
    fallback = Route(pattern="*", targets=(Target(provider=OPENAI),), fallback=(Target(provider=OURS),))
    made = world(ScriptedReply(error=UpstreamUnreachable("gone")), plain(), configured=snapshot(fallback))
    await call(made, request(PROMPTED, headers=[("Authorization", "Bearer plk_web")]))
    assert started(made)["target"] == "openai"
    assert made.journal.end()["target"] == "ours"


async def test_what_was_never_sent_has_its_caller_and_its_version() -> None:
    made = world(ScriptedReply(error=UpstreamUnreachable("gone")), configured=WARNING)
    with pytest.raises(UpstreamUnreachable):
        await call(made, request(PROMPTED))
    told = started(made)
    assert (told["target"], told["message_count"], told["prompt_version_source"]) == ("openai", 2, "inferred")
    assert told["analytics_warnings"] == ["prompt_version:missing"]
    assert made.journal.events("llm_request_failed")[0]["distinct_id"] == "ada"


async def test_what_was_refused_has_its_caller_and_nobody_who_was_asked() -> None:
    configured = replace(snapshot(), routing=replace(snapshot().routing, defaults={}))
    made = world(configured=configured)
    with pytest.raises(UnknownModel):
        await call(made, request(PROMPTED))
    assert "target" not in started(made)
    assert made.journal.end()["message_count"] == 2
    assert made.journal.events("llm_request_failed")[0]["distinct_id"] == "ada"


async def test_a_body_that_cannot_be_read_is_nobodys() -> None:
    made = world()
    with pytest.raises(BadRequest):
        await call(made, request(b'{"user": "ada"'))
    assert made.journal.events("llm_request_failed")[0]["distinct_id"].startswith("anon_")


async def test_who_may_not_pass_is_not_noted() -> None:
    made = world(configured=snapshot(Route(pattern="*", targets=(Target(provider=OURS),))))
    with pytest.raises(Unauthenticated):
        await call(made, request(PROMPTED))
    assert (made.journal.openings, made.journal.closings) == ([], [])
