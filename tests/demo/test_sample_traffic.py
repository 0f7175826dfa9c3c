from collections import Counter

import pytest
from aiohttp import ClientError, web
from aiohttp.test_utils import TestServer, unused_port

from proxy.demo import fake_provider, sample_traffic
from proxy.demo.sample_traffic import Tally, script_of


def test_eleven_calls_hold_every_kind():
    calls = list(script_of(calls=11, seed=1))
    assert {call.path for call in calls} == {"chat/completions", "messages", "embeddings", "responses"}
    assert {call.user for call in calls} == set(sample_traffic.USERS)
    assert len({call.headers["X-Prompt-Version"] for call in calls}) == 2
    assert sum(call.leaves_early for call in calls) == 1
    assert sum(call.body["model"] == "fake-error" for call in calls) == 1
    assert sum(bool(call.body.get("stream")) for call in calls) > 4


def test_the_agent_keeps_its_trace_over_both_steps():
    steps = [call for call in script_of(calls=11, seed=1) if "X-Agent-Step" in call.headers]
    assert [call.headers["X-Agent-Step"] for call in steps] == ["plan", "answer"]
    assert len({call.headers["X-Trace-Id"] for call in steps}) == 1
    assert steps[1].body["messages"][-1]["role"] == "tool"


def test_a_user_stays_on_one_version_and_session():
    calls = list(script_of(calls=60, seed=3))
    kept = {(call.user, call.headers["X-Prompt-Version"], call.headers["X-PostHog-Session-Id"]) for call in calls}
    assert len(kept) == len(sample_traffic.USERS)


def test_tickets_are_resolved_or_escalated():
    calls = list(script_of(calls=200, seed=1))
    tickets = [call for call in calls if call.headers["X-Task-Type"] == "answer_ticket"]
    assert {call.headers["X-Task-Type"] for call in calls if call.outcome is None} >= {"find_order", "search_articles"}
    outcomes = [call.outcome for call in tickets if call.outcome is not None]
    assert len(outcomes) == len(tickets)
    assert {(told["task_completed"], told["escalated_to_human"]) for told in outcomes} == {(True, False), (False, True)}


def test_the_same_seed_gives_the_same_calls():
    assert list(script_of(calls=20, seed=1)) == list(script_of(calls=20, seed=1)) != list(script_of(calls=20, seed=2))


async def test_a_run_against_the_fake_provider():
    paths: Counter[str] = Counter()

    @web.middleware
    async def note(request, handler):
        paths[request.path] += 1
        return await handler(request)

    provider = fake_provider.build(token_s=0)
    provider.middlewares.append(note)
    async with TestServer(provider) as server:
        tally = await sample_traffic.run(str(server.make_url("/v1")), calls=11, seed=1)
    assert tally == Tally(answered=9, refused=1, left=1)
    assert paths == {"/v1/chat/completions": 8, "/v1/messages": 1, "/v1/embeddings": 1, "/v1/responses": 1}


async def test_a_proxy_that_is_not_there_is_told():
    with pytest.raises(ExceptionGroup) as caught:
        await sample_traffic.run(f"http://127.0.0.1:{unused_port()}/v1", calls=3, seed=1)
    assert caught.group_contains(ClientError)
