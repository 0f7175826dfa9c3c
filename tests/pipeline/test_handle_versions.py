"""Prompt versions on calls: demanded, warned of, inferred."""

from dataclasses import replace

import pytest

from proxy.domain.errors import PromptVersionRequired
from proxy.domain.prompt_versions import Demand, VersionPolicy
from proxy.domain.routing import Route, Target
from tests.pipeline.fakes import CHAT, OPENAI, call, plain, request, snapshot, world

PROMPTED = {**CHAT, "messages": [{"role": "system", "content": "Be kind."}, *CHAT["messages"]]}


def route(demand: Demand) -> Route:
    return Route(pattern="gpt-*", targets=(Target(provider=OPENAI),), demand=demand)


async def test_unlabelled_traffic_has_an_inferred_version_in_its_events_and_not_in_its_reply() -> None:
    made = world(plain())
    answer = await call(made, request(PROMPTED))
    end = made.journal.end()
    assert end["prompt_version_source"] == "inferred"
    assert end["prompt_version_id"] == "fp_" + end["prompt_hash"].removeprefix("hmac-sha256:")[:12]
    assert "x-prompt-version" not in answer.headers
    assert "analytics_warnings" not in end


async def test_a_missing_version_is_warned_of_on_events_and_in_the_reply() -> None:
    made = world(plain(), configured=snapshot(route("warn")))
    answer = await call(made, request(PROMPTED))
    assert made.journal.end()["analytics_warnings"] == ["prompt_version:missing"]
    assert answer.headers["x-llm-warning"] == "prompt_version:missing"


@pytest.mark.parametrize("of_all", ["observe", "warn"])
async def test_a_missing_version_is_refused_before_any_provider_is_asked(of_all: Demand) -> None:
    made = world(configured=replace(snapshot(route("enforce")), versions=VersionPolicy(demand=of_all)))
    with pytest.raises(PromptVersionRequired):
        await call(made, request(PROMPTED))
    end = made.journal.end()
    assert (end["status"], end["failed_phase"], end["http_status"]) == ("blocked", "admit", 400)
    assert (end["error_type"], end["error_code"]) == ("forbidden", "prompt_version_required")
    assert made.upstream.requests == []


async def test_a_version_in_the_body_meets_the_demand() -> None:
    made = world(plain(), configured=snapshot(route("enforce")))
    await call(made, request({**PROMPTED, "metadata": {"prompt_version_id": "pv_1"}}))
    assert (made.journal.end()["prompt_version_id"], made.journal.end()["prompt_version_source"]) == ("pv_1", "body")


async def test_the_demand_for_all_calls_is_for_models_that_no_route_names_too() -> None:
    made = world(configured=replace(snapshot(), versions=VersionPolicy(demand="enforce")))
    with pytest.raises(PromptVersionRequired):
        await call(made, request(PROMPTED))
