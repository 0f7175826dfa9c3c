"""Nothing is lost, doubled or invented: mixed calls under kills and outages, judged by the oracle."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.harness.bed import Bed, chat
from tests.harness.client import Ending, Leave, Plan
from tests.harness.mix import mixed
from tests.harness.oracle import COMPLETED, Evidence, Verdict, verify
from tests.harness.outbox import read_kept
from tests.harness.posthog import LOST, Answer, Post, Script, always, refuse_over
from tests.harness.scripts import gated
from tests.harness.serve import until_refused

CALLS = 2_000
SOAK_CALLS = int(os.environ.get("PROMPTLANE_SOAK_CALLS", "10000"))
CONCURRENCY = 32
SEED = 20261123

Step = Callable[[], Awaitable[object]]


async def judged(bed: Bed, kills_ns: list[int]) -> Verdict:
    """Stop the proxy in order, so that it delivers what it can, and judge what is where."""
    assert await bed.served.terminate() == 0
    kept = read_kept(bed.served.data)
    assert kept.unbalanced == 0
    assert kept.open_exchanges == 0
    return verify(
        Evidence(
            calls=bed.client.ledger,
            provider=bed.provider.ledger,
            delivered=bed.posthog.delivered,
            kept=kept.events,
            dropped=kept.dropped.total(),
            kills_ns=kills_ns,
        )
    )


async def kill(bed: Bed, kills_ns: list[int]) -> None:
    """kill -9 while calls run, and a new start on the same port and data."""
    bed.client.is_up.clear()
    kills_ns.append(time.monotonic_ns())
    await bed.served.kill()
    await bed.served.start()
    bed.client.is_up.set()


async def direct(bed: Bed, steps: dict[int, Step]) -> None:
    """Take each step once so many calls have begun."""
    for begun, step in sorted(steps.items()):
        await bed.client.reached(begun)
        await step()


async def run(bed: Bed, count: int, steps: dict[int, Step]) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(direct(bed, steps))
        group.create_task(bed.client.run(mixed(count, SEED), concurrency=CONCURRENCY))


@pytest.mark.parametrize("calls", [CALLS, pytest.param(SOAK_CALLS, marks=pytest.mark.soak)])
async def test_mixed_calls_with_kills_and_every_fault_of_posthog(tmp_path: Path, calls: int) -> None:
    kills_ns: list[int] = []
    async with Bed(tmp_path) as bed:

        def posthog(script: Script) -> Step:
            async def change() -> None:
                bed.posthog.default = script

            return change

        part = calls // 20
        steps: dict[int, Step] = {
            2 * part: bed.posthog.refuse,
            4 * part: lambda: kill(bed, kills_ns),
            5 * part: bed.posthog.listen,
            6 * part: posthog(always(Answer(status=500))),
            8 * part: posthog(refuse_over(20_000)),
            10 * part: posthog(always(LOST)),
            12 * part: lambda: kill(bed, kills_ns),
            13 * part: posthog(always(Answer(status=429, headers={"Retry-After": "1"}))),
            14 * part: posthog(slow),
            16 * part: posthog(always(Answer())),
            18 * part: lambda: kill(bed, kills_ns),
        }
        await run(bed, calls, steps)
        verdict = await judged(bed, kills_ns)
    print(verdict.report())
    assert len(kills_ns) == 3
    # The faster the proxy and the slower the disk, the more calls end in the last moments before a kill.
    assert verdict.admitted > calls * 0.25
    assert verdict.by_end[COMPLETED] > calls * 0.25


def slow(_: Post) -> Answer:
    """An answer that takes a second."""
    gate = asyncio.Event()
    asyncio.get_running_loop().call_later(1.0, gate.set)
    return Answer(gate=gate)


async def test_a_good_day_delivers_everything_once(tmp_path: Path) -> None:
    async with Bed(tmp_path) as bed:
        await run(bed, 500, {})
        verdict = await judged(bed, [])
        assert read_kept(bed.served.data).events == []
    assert (verdict.resent, verdict.interrupted) == (0, 0)


async def test_a_kill_leaves_no_call_without_an_end(tmp_path: Path) -> None:
    kills_ns: list[int] = []
    async with Bed(tmp_path) as bed:
        done = [await bed.outcome(Plan(body=chat(stream=True))) for _ in range(5)]
        running = [
            asyncio.ensure_future(bed.client.call(Plan(body=chat(stream=True), script="hang_after:3")))
            for _ in range(20)
        ]
        for _ in running:
            await bed.provider.arrival()
        await asyncio.sleep(0.3)  # what the promise allows before a start is durable
        await kill(bed, kills_ns)
        calls = await asyncio.gather(*running)
        assert {call.ending for call in calls} == {Ending.BROKEN}
        for call in calls:
            (end,) = [e for e in await bed.events_of(call.call_id) if e["event"] == "llm_request_failed"]
            assert (end["properties"]["status"], end["properties"]["error_type"]) == ("error", "interrupted")
        verdict = await judged(bed, kills_ns)
    assert verdict.interrupted == len(running)
    assert all(outcome.end["status"] == "success" for outcome in done)


async def test_posthog_away_is_not_felt_and_all_is_delivered_afterwards(tmp_path: Path) -> None:
    async with Bed(tmp_path) as bed:
        await bed.posthog.refuse()
        for _ in range(50):
            call = await bed.client.call(Plan(body=chat(stream=True), expected_end=COMPLETED))
            assert (call.status, call.ending) == (200, Ending.COMPLETE)
        await bed.posthog.listen()
        for call in bed.client.ledger:
            await bed.events_of(call.call_id)
        verdict = await judged(bed, [])
        assert read_kept(bed.served.data).events == []
    assert verdict.by_end[COMPLETED] == 50


async def test_sigterm_lets_a_running_stream_end(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with Bed(tmp_path) as bed:
        bed.provider.named["gated"] = gated(gate)
        running = asyncio.ensure_future(bed.client.call(Plan(body=chat(stream=True), script="gated")))
        await bed.provider.arrival()
        stopping = asyncio.ensure_future(bed.served.terminate())
        await until_refused(bed.served.port)
        gate.set()
        call = await running
        assert await stopping == 0
        assert (call.status, call.ending) == (200, Ending.COMPLETE)
        events = await bed.events_of(call.call_id)
        assert [event["event"] for event in events].count(COMPLETED) == 1


async def test_sigterm_waits_for_a_reply_of_posthog_that_is_under_way(tmp_path: Path) -> None:
    """Events are sent twice only where an acknowledgement was lost; here it was merely slow."""
    async with Bed(tmp_path) as bed:
        bed.posthog.default = slow
        await bed.client.call(Plan(body=chat()))
        await bed.posthog.wait_for(lambda posthog: len(posthog.posts) > 0)
        verdict = await judged(bed, [])
        assert read_kept(bed.served.data).events == []
    assert verdict.resent == 0


async def test_without_posthog_events_stay_here(tmp_path: Path) -> None:
    async with Bed(tmp_path, environment={"POSTHOG_API_KEY": ""}) as bed:
        await bed.client.run(
            [Plan(body=chat()), Plan(body=chat(stream=True), script="hang", leaves=Leave.BEFORE_FIRST_BYTE)],
            concurrency=1,
        )
        verdict = await judged(bed, [])
        assert bed.posthog.posts == []
    assert verdict.admitted == 2
