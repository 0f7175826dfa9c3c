"""Reload under load: no call is lost, and none sees parts of two configurations."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import yaml

from tests.harness.bed import Bed, chat
from tests.harness.call import PATIENCE_S
from tests.harness.client import Ending, Plan, RawClient
from tests.harness.oracle import COMPLETED, Evidence, verify
from tests.harness.outbox import read_kept
from tests.harness.scripts import gated

FLIPS = 8
NAMES = ("one", "two")


def routing(provider_url: str, name: str) -> dict[str, Any]:
    """An alias that leads to the provider of this name, as a model of that name."""
    return {
        "version": 1,
        "providers": {name: {"kind": "openai", "base_url": f"{provider_url}/v1"}},
        "models": {"fast": {"targets": [{"provider": name, "model": f"model-{name}"}]}},
    }


async def digests(port: int, seen: int) -> set[str]:
    """What so many fresh connections are told: the workers share them out."""
    found = set()
    for _ in range(seen):
        async with RawClient(port) as client:
            await client.send(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
            found.add((await client.reply("GET")).json()["config"])
    return found


async def flip(bed: Bed, name: str) -> str:
    """Write the configuration of this name, and wait until every worker has it; returns its digest."""
    before = await digests(bed.served.port, 8)
    (bed.served.folder / "config" / "routing.yaml").write_text(yaml.safe_dump(routing(bed.provider.url, name)))
    async with asyncio.timeout(PATIENCE_S):
        while True:
            after = await digests(bed.served.port, 8)
            if len(after) == 1 and after != before:
                return after.pop()


def plans(done: asyncio.Event) -> Iterator[Plan]:
    """Calls without end, until told."""
    while not done.is_set():
        yield Plan(body=chat(model="fast"), expected_end=COMPLETED)
        yield Plan(body=chat(model="fast", stream=True), expected_end=COMPLETED)


async def test_reload_under_load_loses_and_mixes_nothing(tmp_path: Path) -> None:
    done = asyncio.Event()
    async with Bed(tmp_path, routing=lambda url: routing(url, "one"), arguments=("--workers", "2")) as bed:
        async with asyncio.TaskGroup() as group:
            group.create_task(bed.client.run(plans(done), concurrency=8))
            found = [await flip(bed, NAMES[turn % 2]) for turn in range(1, FLIPS + 1)]
            done.set()
        assert len(set(found)) == 2
        assert await bed.served.terminate() == 0
        assert read_kept(bed.served.data).events == []
        verdict = verify(
            Evidence(calls=bed.client.ledger, provider=bed.provider.ledger, delivered=bed.posthog.delivered)
        )
    ends = [event["properties"] for event in bed.posthog.delivered if event["event"] == COMPLETED]
    models = {record.call_id: orjson.loads(record.body)["model"] for record in bed.provider.ledger}
    assert {(call.status, call.ending) for call in bed.client.ledger} == {(200, Ending.COMPLETE)}
    assert verdict.by_end[COMPLETED] == len(bed.client.ledger) > FLIPS
    assert {end["target"] for end in ends} == {f"{name}/model-{name}" for name in NAMES}
    assert [end for end in ends if end["target"].partition("/")[2] != models[end["request_id"]]] == []


async def test_a_call_that_runs_keeps_its_configuration(tmp_path: Path) -> None:
    """Meanwhile its provider has gone from the file, and its model has another target."""
    gate = asyncio.Event()
    async with Bed(tmp_path, routing=lambda url: routing(url, "one")) as bed:
        bed.provider.named["gated"] = gated(gate)
        running = asyncio.ensure_future(bed.client.call(Plan(body=chat(model="fast", stream=True), script="gated")))
        await bed.provider.arrival()
        await flip(bed, "two")
        new = await bed.outcome(Plan(body=chat(model="fast")))
        gate.set()
        old = await running
        (end,) = [event for event in await bed.events_of(old.call_id) if event["event"] == COMPLETED]
    assert (old.status, old.ending) == (200, Ending.COMPLETE)
    assert end["properties"]["target"] == "one/model-one"
    assert new.end["target"] == "two/model-two"
