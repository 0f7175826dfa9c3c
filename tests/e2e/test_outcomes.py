"""Outcomes of calls that two workers serve: found on either, told once, and kept across a crash."""

import asyncio
from pathlib import Path
from typing import Any

import orjson

from tests.harness.bed import Bed, chat
from tests.harness.client import Plan, RawClient, RawReply
from tests.harness.posthog import ScriptedPostHog

RATED = "llm_output_rated"
REPETITIONS = 60
CALLS = 40


async def tell(bed: Bed, body: object, verb: str = "feedback") -> RawReply:
    """On a connection of its own, so that either worker may get it."""
    data = orjson.dumps(body)
    head = f"POST /analytics/v1/{verb} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    async with RawClient(bed.served.port) as client:
        await client.send(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        return await client.reply()


def told(posthog: ScriptedPostHog, name: str = RATED) -> list[dict[str, Any]]:
    return [dict(event) for event in posthog.events.values() if event["event"] == name]


async def test_two_workers_know_the_same_calls_and_the_same_outcomes(tmp_path: Path) -> None:
    async with Bed(tmp_path, arguments=("--workers", "2")) as bed:
        await found_as_soon_as_answered(bed)
        await once_at_the_same_moment(bed)


async def found_as_soon_as_answered(bed: Bed) -> None:
    async def rate(number: int) -> RawReply:
        trace = (("X-Trace-Id", f"trace_{number}"), ("X-Prompt-Version", f"v{number}"))
        call = await bed.client.call(Plan(body=chat(), headers=trace))
        about = {"trace_id": f"trace_{number}"} if number % 2 else {"request_id": call.call_id}
        return await tell(bed, {**about, "user_feedback": "positive"})

    replies = await asyncio.gather(*map(rate, range(CALLS)))
    assert [reply.json()["context_found"] for reply in replies] == [[True]] * CALLS
    await bed.posthog.wait_for(lambda posthog: len(told(posthog)) == CALLS)
    rated = {event["properties"]["trace_id"]: event["properties"] for event in told(bed.posthog)}
    for number in range(CALLS):
        said = rated[f"trace_{number}"]
        assert (said["prompt_version_id"], said["request_count"], said["cost_status"]) == (f"v{number}", 1, "priced")


async def once_at_the_same_moment(bed: Bed) -> None:
    completed = {"trace_id": "trace_1", "task_completed": True, "id": "task_1"}
    replies = await asyncio.gather(*(tell(bed, completed, "tasks") for _ in range(REPETITIONS)))
    assert {reply.status for reply in replies} == {202}
    assert len({reply.body for reply in replies}) == 1
    assert (await tell(bed, {**completed, "task_completed": False}, "tasks")).status == 409
    await tell(bed, {"trace_id": "trace_1", "event": "the_end"}, "events")
    await bed.posthog.wait_for(lambda posthog: all(told(posthog, name) for name in ("the_end", "$ai_metric")))
    assert len(told(bed.posthog, "llm_task_completed")) == len(told(bed.posthog, "$ai_metric")) == 1
    assert bed.posthog.divergent == []


async def test_what_was_answered_outlives_the_process_and_what_was_refused_is_nowhere(tmp_path: Path) -> None:
    async with Bed(tmp_path) as bed:
        await bed.outcome(Plan(body=chat(), headers=(("X-Trace-Id", "t"),)))
        await bed.posthog.refuse()
        done = {"trace_id": "t", "task_completed": True, "revenue_usd": 3.5, "id": "ticket_1"}
        first = await tell(bed, done, "tasks")
        await bed.served.kill()
        await bed.posthog.listen()
        await bed.served.start()
        again = await tell(bed, done, "tasks")
        assert (first.status, again.body, again.head.get("idempotent-replayed")) == (202, first.body, "true")
        await bed.posthog.wait_for(lambda posthog: bool(told(posthog, "llm_task_completed")))
        (event,) = told(bed.posthog, "llm_task_completed")
        assert (event["uuid"], event["properties"]["revenue_usd"]) == (first.json()["uuids"][0], 3.5)
        await nothing_of_what_is_refused(bed)


async def nothing_of_what_is_refused(bed: Bed) -> None:
    """Neither in the log nor on disk."""
    canary = "swordfish-5b1c"
    bodies: list[object] = [
        {"trace_id": "t", "user_feedback": canary, canary: canary, "properties": {canary: canary}},
        {"trace_id": canary, "user_feedback": "positive", "comment": canary},
        [{"trace_id": "t", "user_feedback": "positive"}, canary],
    ]
    assert {(await tell(bed, body)).status for body in bodies} == {400}
    assert await bed.served.terminate() == 0
    left = bed.served.stdout + bed.served.stderr
    left += b"".join(path.read_bytes() for path in bed.served.data.rglob("*") if path.is_file())
    assert canary.encode() not in left
    assert told(bed.posthog) == []
