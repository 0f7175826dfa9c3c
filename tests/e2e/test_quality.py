"""Versions and checks on real sockets: what an app gets, and what PostHog is told of it."""

import asyncio
from pathlib import Path
from typing import Any

import orjson

from tests.harness.bed import Bed, Outcome, chat
from tests.harness.call import PATIENCE_S
from tests.harness.client import LoadClient, Plan
from tests.harness.oracle import COMPLETED, FAILED, Event
from tests.harness.provider import ScriptedProvider
from tests.harness.replies import json_reply

CANARY = "CANARY-5f0e"
V1 = ("X-Prompt-Version", "pv_1")
FORM = {"type": "object", "required": ["kind"], "properties": {"kind": {"enum": ["refund", "other"]}}}
JUDGE = {
    "model": "strong", "criteria": "It helps.", "reasons": ["vague"], "sample": 1, "max_per_minute": 600,
    "sends_content": True,
}  # fmt: skip
VERDICT = '{"passed": false, "score": 0.25, "reason": "vague"}'


def routing(url: str) -> dict[str, Any]:
    return {
        "version": 1,
        "providers": {
            "openai": {"kind": "openai", "base_url": f"{url}/v1"},
            "ours": {"kind": "openai", "base_url": f"{url}/v1", "key_env": "OUR_KEY"},
        },
        "models": {
            "strong": {"target": "ours/gpt-4.1"},
            "strict": {"target": "openai/gpt-4.1-mini", "require_prompt_version": "enforce"},
            "form": {
                "target": "openai/gpt-4.1-mini",
                "checks": [
                    {"name": "ticket", "json_schema": FORM},
                    {"name": "kind", "refusal": "never"},
                    {"name": "helps", "judge": JUDGE},
                ],
            },
        },
    }


def says(text: str) -> Any:
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return json_reply(200, {"id": "c", "model": "gpt-4.1-mini", "choices": [choice], "usage": usage})


def bed(folder: Path, **options: Any) -> Bed:
    made = Bed(folder, routing=routing, environment={"OUR_KEY": "sk-ours"}, **options)
    made.provider = ScriptedProvider(default=says(VERDICT))
    made.provider.named |= {
        "good": says('{"kind": "refund"}'),
        "bad": says(f"Your ticket is a refund, {CANARY}."),
    }
    return made


def prompted(system: str, model: str = "gpt-4.1-mini", *headers: tuple[str, str]) -> Plan:
    messages = [{"role": "system", "content": system}, {"role": "user", "content": "hello"}]
    return Plan(body=orjson.dumps({"model": model, "messages": messages}), headers=headers)


async def test_versions_are_inferred_demanded_and_watched_after_a_restart_too(tmp_path: Path) -> None:
    async with bed(tmp_path) as it:
        days = ("June 4, 2026", "May 1, 2026")
        ends = [(await it.outcome(prompted(f"Be kind. Today is {day}."))).end for day in days]
        assert {(end["prompt_version_source"], end["prompt_version_id"][:3]) for end in ends} == {("inferred", "fp_")}
        assert len({end["prompt_version_id"] for end in ends}) == 1
        refused = await it.outcome(prompted("Be kind.", "strict"))
        assert (refused.call.status, refused.attempts) == (400, [])
        assert refused.fate == ("blocked", "forbidden", "admit")
        for system in ("Be kind.", "Be terse.", "Be kind.", "Be terse.", "Be terse."):
            await it.outcome(prompted(system, "gpt-4.1-mini", V1))
        assert len(drifts(it)) == 1
        await it.served.terminate()
        await it.served.start()
        async with LoadClient(port=it.served.port, provider_saw=it.provider.wait_for_call) as it.client:
            for system in ("Be terse.", "Be new."):
                await it.outcome(prompted(system, "gpt-4.1-mini", V1))
        await it.posthog.wait_for(lambda _: len(drifts(it)) == 2)


def drifts(it: Bed) -> list[Event]:
    return [event for event in it.posthog.events.values() if event["event"] == "llm_prompt_drifted"]


async def test_answers_are_checked_and_judged_and_no_word_of_them_is_kept(tmp_path: Path) -> None:
    async with bed(tmp_path) as it:
        good = await checked(it)
        assert (good.end["eval_passed"], good.end["eval_score"]) == (True, 1.0)
        bad = await it.outcome(Plan(body=chat(model="form"), script="bad", expected_end=FAILED))
        assert bad.call.status == 200
        assert bad.fate == ("validation_failed", "check_failed", None)
        assert (bad.end["eval_name"], bad.end["eval_reason_code"]) == ("ticket", "not_json")
        await it.posthog.wait_for(lambda _: {good.end["exchange_id"], bad.end["exchange_id"]} <= judged(it))
        assert {event["properties"]["eval_reason_code"] for event in verdicts(it)} == {"vague"}
        asked = [record for record in it.provider.ledger if CANARY.encode() in record.body]
        assert [dict(record.head.headers)["Authorization"] for record in asked] == ["Bearer sk-ours"]
        ends = [event for event in it.posthog.events.values() if event["event"] in (COMPLETED, FAILED)]
        assert {event["properties"]["requested_model"] for event in ends} == {"form"}
        said = b"".join(path.read_bytes() for path in it.served.data.rglob("*") if path.is_file())
        assert CANARY.encode() not in said + it.served.stdout + it.served.stderr
        assert not [post for post in it.posthog.posts if CANARY.encode() in post.body]


def verdicts(it: Bed) -> list[Event]:
    return [event for event in it.posthog.events.values() if event["event"] == "llm_output_evaluated"]


def judged(it: Bed) -> set[Any]:
    return {event["properties"]["exchange_id"] for event in verdicts(it)}


async def checked(it: Bed) -> Outcome:
    """A good call, once the process that looks at answers has loaded."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            made = await it.outcome(Plan(body=chat(model="form"), script="good", expected_end=COMPLETED))
            if "eval_passed" in made.end:
                return made
