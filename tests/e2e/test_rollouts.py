"""Rollouts through the real server with two workers: one of them fetches definitions, both decide alike."""

import asyncio
from pathlib import Path

from tests.harness.bed import Bed, chat
from tests.harness.client import Plan
from tests.harness.flags import definitions, flag
from tests.harness.posthog import Answer

SHARES = {"control": 50.0, "treatment": 50.0}
USERS = [f"user_{number}" for number in range(12)]


def routing(provider_url: str) -> object:
    targets = {"control": "openai/gpt-4.1", "treatment": "openai/gpt-5"}
    one = {"kind": "openai", "base_url": f"{provider_url}/v1", "credentials": "passthrough"}
    return {
        "version": 1,
        "providers": {"openai": one},
        "models": {"fast": {"rollout": {"flag": "answers", "variants": targets}}},
    }


def plan(user: str) -> Plan:
    return Plan(
        body=chat(model="fast"),
        # a connection of its own may reach either worker
        headers=(("X-PostHog-Distinct-Id", user), ("Connection", "close")),
    )


async def variants_of(bed: Bed, times: int) -> dict[str, set[str]]:
    """What each user's calls were told to have got, and by which model they were answered."""
    calls = [await bed.client.call(plan(user)) for user in USERS for _ in range(times)]
    await asyncio.gather(*(bed.posthog.wait_for_end(call.call_id) for call in calls))
    seen: dict[str, set[str]] = {user: set() for user in USERS}
    for call in calls:
        (end,) = [event for event in bed.posthog.of_request(call.call_id) if event["event"].startswith("llm_request_c")]
        properties = end["properties"]
        seen[end["distinct_id"]].add(f"{properties['$feature/answers']} {properties['target']}")
    return seen


async def test_workers_decide_alike_and_expose_once_also_after_a_restart_without_definitions(tmp_path: Path) -> None:
    bed = Bed(tmp_path, routing=routing, environment={"POSTHOG_SECRET_KEY": "phs_hidden"}, arguments=("--workers", "2"))
    bed.posthog.flags = definitions(flag("answers", variants=SHARES))
    async with bed:
        before = await variants_of(bed, times=4)
        assert all(len(variants) == 1 for variants in before.values())
        assert set.union(*before.values()) == {"control openai/gpt-4.1", "treatment openai/gpt-5"}
        await bed.served.terminate()
        bed.posthog.flags = definitions()
        bed.posthog.flags_answer = Answer(status=402)
        await bed.served.start()
        assert await variants_of(bed, times=2) == before
        exposed = [event for event in bed.posthog.delivered if event["event"] == "$feature_flag_called"]
        assert sorted(event["distinct_id"] for event in exposed) == sorted(USERS)
        assert bed.posthog.strangers == []
        assert b"phs_hidden" not in bed.served.stdout + bed.served.stderr
    assert sorted(each.name for each in (tmp_path / "data").glob("flag-*")) == ["flag-definitions.json"]
