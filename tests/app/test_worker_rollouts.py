"""A rollout that is stopped gives everybody control at once, in a worker that runs and in the next one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from time import time_ns

import pytest

from proxy.adapters.rollout_state import RolloutState
from proxy.app import App, Settings
from proxy.app import worker as worker_module
from proxy.config.load import load
from proxy.domain.overrides import ChangedBy
from proxy.domain.rollout_changes import RolloutChange
from tests.harness import support_folder
from tests.harness.bed import chat
from tests.harness.client import RawClient
from tests.harness.oracle import COMPLETED, Event
from tests.harness.posthog import ScriptedPostHog
from tests.harness.provider import ScriptedProvider
from tests.harness.serve import posthog_environment, upstream_environment

TREATED = "user_1"
"""To whom the split gives v2."""
STOPPED = RolloutChange(
    id="01",
    flag="support_answer",
    prompt="support_answer",
    shares={"v1": 100, "v2": 0},
    changed_by=ChangedBy.GUARDRAIL,
    changed_at_unix_us=time_ns() // 1_000,  # what is old is not kept, and would be told again
    evidence="v2 breaks a guardrail",
)


@asynccontextmanager
async def running(folder: Path, provider: ScriptedProvider, posthog: ScriptedPostHog) -> AsyncIterator[App]:
    env = upstream_environment(provider.url) | posthog_environment(posthog.url)
    settings = Settings(host="127.0.0.1", port=0, data_dir=folder / "data", secret=b"0123456789abcdef")
    worker = App(load(folder / "config", folder / "pricing.yaml", env), settings)
    await worker.start()
    try:
        yield worker
    finally:
        await worker.stop()


async def version_of(worker: App) -> str | None:
    """The version that runs for somebody who has the treatment."""
    body = chat()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        f"X-Prompt-Name: support_answer\r\nX-PostHog-Distinct-Id: {TREATED}\r\n\r\n"
    )
    async with RawClient(int(worker.address.rpartition(":")[2])) as client:
        await client.send(head.encode() + body)
        return (await client.reply("POST")).head.get("x-prompt-version")


async def test_a_stop_counts_at_once_and_after_a_restart_and_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "LOOK_S", 0.01)
    support_folder.write(tmp_path)
    state = RolloutState(tmp_path / "data")
    async with ScriptedProvider() as provider, ScriptedPostHog() as posthog:
        async with running(tmp_path, provider, posthog) as worker:
            assert await version_of(worker) == "v2"
            await asyncio.to_thread(state.add, STOPPED)
            await posthog.wait_for(lambda it: len(changes(it)) == 1)
            assert await version_of(worker) == "v1"
            await posthog.wait_for(lambda it: len(ends(it)) == 2)
        async with running(tmp_path, provider, posthog) as worker:
            assert await version_of(worker) == "v1"
            await asyncio.to_thread(state.add, replace(STOPPED, id="02", shares=None))
            await posthog.wait_for(lambda it: len(changes(it)) == 2)
            assert await version_of(worker) == "v2"
        assert changes(posthog)[0]["properties"]["rollout_evidence"] == "v2 breaks a guardrail"
        assert len([event for event in posthog.delivered if event["event"] == "llm_rollout_changed"]) == 2
        sources = [event["properties"]["posthog_flag_source"] for event in ends(posthog)]
    assert sources == ["assigned", "default", "default", "assigned"]


async def test_where_the_state_is_damaged_at_the_start_nothing_that_was_stopped_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "LOOK_S", 0.01)
    support_folder.write(tmp_path)
    state = RolloutState(tmp_path / "data")
    state.add(STOPPED)
    whole = state.path.read_bytes()
    state.path.write_bytes(whole[:-20])
    async with ScriptedProvider() as provider, ScriptedPostHog() as posthog:
        async with running(tmp_path, provider, posthog) as worker:
            assert await version_of(worker) == "v1"
            state.path.write_bytes(whole)
            await posthog.wait_for(lambda it: len(changes(it)) == 1)
            assert await version_of(worker) == "v1"
        reasons = [event["properties"]["posthog_flag_reason"] for event in ends(posthog)]
    assert reasons == ["unknown_state", "stopped"]


def changes(posthog: ScriptedPostHog) -> list[Event]:
    return [event for event in posthog.events.values() if event["event"] == "llm_rollout_changed"]


def ends(posthog: ScriptedPostHog) -> list[Event]:
    return [event for event in posthog.events.values() if event["event"] == COMPLETED]
