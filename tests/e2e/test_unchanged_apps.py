"""What the product promises, from end to end: apps that know nothing of it, told their base URL by the environment.

A chat app, another one with Anthropic's SDK and an agents framework's loop run on two workers. Versions are dealt out
by a split and by a flag of PostHog's, the page rates, the ticket system tells what came of it, a broken guardrail stops
the rollout, and the report says so. What PostHog has then is looked at as a whole.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import orjson
import pytest
import yaml
from agents.models.openai_provider import shared_http_client

from proxy.cli import main
from proxy.domain.rollout import Split
from tests.harness import apps
from tests.harness.bed import Bed
from tests.harness.call import PATIENCE_S, Call
from tests.harness.canary import Canaries
from tests.harness.client import RawClient, RawReply
from tests.harness.dialects import reply_to
from tests.harness.flags import definitions, flag
from tests.harness.oracle import COMPLETED, FAILED, STARTED, Event
from tests.harness.provider import ScriptedProvider
from tests.harness.replies import Reply, json_reply

PAGE = "https://app.example.com"
HALVES = Split((("old", 50.0), ("new", 50.0)))
PROMPTS: dict[str, Any] = {
    "support_answer": {
        "split": {"v1": 50, "v2": 50},
        "default": "v1",
        "versions": {
            "v1": {"model": "gpt-4.1-mini", "system": "«system_text» one"},
            "v2": {"model": "gpt-4.1-mini", "system": "«system_text» two"},
        },
        "experiment": {
            "primary": {"event": "llm_task_completed", "property": "task_completed"},
            "guardrails": [{"metric": "escalated_to_human", "max_increase": 0.02}],
            "on_breach": "stop",
            "check_every_s": 1,
        },
    },
    "triage": {
        "flag": "triage-test",
        "default": "t1",
        "versions": {
            "t1": {"variant": "control", "system": "«developer_text» one"},
            "t2": {"variant": "test", "system": "«developer_text» two"},
        },
    },
}


def is_treated(person: str, key: str = "support_answer") -> bool:
    """By the hash of PostHog's, which is tested on its own."""
    return HALVES.variant_of(key, person) == "new"


def version_of(person: str) -> str:
    return "v2" if is_treated(person) else "v1"


def people(kind: str, each: int, key: str = "support_answer") -> list[str]:
    """So many of the old version, then so many of the new one."""
    names = [f"{kind}_{number}" for number in range(8 * each)]
    old, new = ([name for name in names if is_treated(name, key) == is_new] for is_new in (False, True))
    assert min(len(old), len(new)) >= each
    return old[:each] + new[:each]


CUSTOMERS = people("customer", 52)
"""A verdict needs fifty under each version."""
VISITORS = people("visitor", 2, "triage-test")
AGENTS = people("agent", 3)


class Sides(NamedTuple):
    """What the test holds."""

    bed: Bed
    canaries: Canaries
    words: apps.Words


class Model:
    """Asks for its tool once in a conversation, then answers; every word of it is a canary."""

    def __init__(self, canaries: Canaries) -> None:
        self._text = canaries.token("output_text")
        self._arguments = orjson.dumps({"number": canaries.token("tool_arguments")}).decode()

    async def __call__(self, call: Call) -> None:
        body = orjson.loads(await call.read_body())
        if call.record.target.endswith("/responses"):
            await self._response(body)(call)
        else:
            reply = reply_to(call.record.body, call.record.target)
            pieces = [
                piece.replace(b"word0", self._text.encode()) for piece in reply.pieces if isinstance(piece, bytes)
            ]
            await Reply(headers=reply.headers, pieces=pieces)(call)

    def _response(self, body: dict[str, Any]) -> Reply:
        is_told = any(item.get("type") == "function_call_output" for item in body["input"] if body["input"] != item)
        name = uuid4().hex[:24]
        text = {"type": "output_text", "text": self._text, "annotations": []}
        item: dict[str, Any] = {
            "id": f"fc_{name}", "type": "function_call", "call_id": f"call_{name}", "name": "find_order",
            "arguments": self._arguments, "status": "completed",
        }  # fmt: skip
        if is_told:
            item = {
                "id": f"msg_{name}", "type": "message", "role": "assistant", "status": "completed", "content": [text],
            }  # fmt: skip
        whole = {
            "id": f"resp_{name}", "object": "response", "created_at": 1, "status": "completed", "model": body["model"],
            "output": [item], "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
            "usage": {
                "input_tokens": 9, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 5,
                "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 14,
            },
        }  # fmt: skip
        if not body.get("stream"):
            return json_reply(200, whole)
        event = {"type": "response.completed", "sequence_number": 0, "response": whole}
        line = b"event: response.completed\ndata: " + orjson.dumps(event) + b"\n\n"
        return Reply(headers=(("Content-Type", "text/event-stream"),), pieces=[line])


def routing(provider_url: str) -> object:
    checks = [{"name": "brief", "length": {"max_chars": 200}}, {"name": "helps", "refusal": "never"}]
    return {
        "version": 1,
        "providers": {
            "openai": {"kind": "openai", "base_url": f"{provider_url}/v1"},
            "anthropic": {"kind": "anthropic", "base_url": provider_url},
        },
        "models": {"gpt-4.1-mini": {"target": "openai/gpt-4.1-mini", "checks": checks}},
    }


def made(folder: Path, canaries: Canaries) -> Bed:
    (folder / "config").mkdir()
    prompts = yaml.safe_dump({"version": 1, "prompts": PROMPTS}, allow_unicode=True)
    (folder / "config" / "prompts.yaml").write_text(canaries.plant(prompts))
    bed = Bed(
        folder,
        routing=routing,
        analytics={"version": 1, "outcomes": {"origins": [PAGE], "feedback_token_hours": 1}},
        environment={"POSTHOG_SECRET_KEY": "phs_hidden"},
        arguments=("--workers", "2"),
    )
    bed.provider = ScriptedProvider(default=Model(canaries))
    bed.posthog.flags = definitions(flag("triage-test", variants={"control": 50.0, "test": 50.0}))
    return bed


def surroundings(url: str) -> Mapping[str, str]:
    """All that tells the apps where they are."""
    return {
        "OPENAI_BASE_URL": f"{url}/v1",
        "OPENAI_API_KEY": "sk-app",
        "OPENAI_DEFAULT_MODEL": "prompt/support_answer",
        "OPENAI_AGENTS_DISABLE_TRACING": "1",
        apps.MODEL: "prompt/support_answer",
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": "sk-ant-app",
        "ANTHROPIC_CUSTOM_HEADERS": "X-Prompt-Name: triage",
    }


async def test_unchanged_apps_are_dealt_out_traced_rated_judged_and_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    canaries = Canaries()
    words = apps.Words(
        instructions=canaries.token("instructions"),
        question=canaries.token("user_text"),
        found=canaries.token("tool_result"),
    )
    async with made(tmp_path, canaries) as bed:
        for name, value in surroundings(bed.served.url).items():
            monkeypatch.setenv(name, value)
        sides = Sides(bed, canaries, words)
        await use(sides)
        ends = await ends_of(bed, 2 * len(CUSTOMERS) + 2 * len(VISITORS) + 3 * len(AGENTS))
        check_versions(ends)
        check_agents(bed, ends)
        await rate(bed, CUSTOMERS[0])
        await tell_tasks(bed, ends)
        await stopped(bed, CUSTOMERS[-1])
        assert await bed.served.terminate() == 0
        check_every_event(bed)
        check_no_content(sides)
    report(tmp_path, capsys)


async def use(sides: Sides) -> None:
    """Everybody comes, and all but the agents come twice."""
    for _ in range(2):
        await apps.chat(sides.words, CUSTOMERS)
        await apps.claude(sides.words, VISITORS)
    answers = await asyncio.gather(*(apps.agent(sides.words, person) for person in AGENTS))
    assert answers == [[sides.canaries.token("output_text")] * 2] * len(AGENTS)
    await shared_http_client().aclose()


async def ends_of(bed: Bed, count: int) -> list[Event]:
    await bed.posthog.wait_for(lambda _: len(told(bed, COMPLETED)) >= count)
    assert told(bed, FAILED) == []
    return told(bed, COMPLETED)


def told(bed: Bed, name: str) -> list[Event]:
    return [event for event in bed.posthog.events.values() if event["event"] == name]


def check_versions(ends: list[Event]) -> None:
    """Each person has one version, on whichever worker: the one that the split or PostHog's flag gives."""
    seen: dict[str, set[tuple[str, str]]] = {}
    for end in ends:
        said = end["properties"]
        seen.setdefault(end["distinct_id"], set()).add((said["prompt_version_id"], said["posthog_flag_variant"]))
        assert (said["prompt_version_source"], said["posthog_flag_source"]) == ("rollout", "assigned")
        if said["endpoint"] == "chat":
            assert (said["eval_passed"], said["status"]) == (True, "success")
    for person, versions in seen.items():
        by_flag = ("t2", "test") if is_treated(person, "triage-test") else ("t1", "control")
        assert versions == {by_flag if person.startswith("visitor") else (version_of(person), version_of(person))}
    assert {version for versions in seen.values() for version, _ in versions} == {"v1", "v2", "t1", "t2"}


def check_agents(bed: Bed, ends: list[Event]) -> None:
    """One trace for each, found without a header, and one step with its tool."""
    runs = [end["properties"] for end in ends if end["properties"]["endpoint"] == "responses"]
    assert Counter(run["trace_source"] for run in runs) == dict.fromkeys(("new", "tool_call", "prefix"), len(AGENTS))
    assert set(Counter(run["trace_id"] for run in runs).values()) == {3}
    steps = [step["properties"] for step in told(bed, "llm_agent_step")]
    assert {step["trace_id"] for step in steps} == {run["trace_id"] for run in runs}
    assert [(step["tool_name"], step["step_index"], step["step_status"]) for step in steps] == [
        ("find_order", 1, "success")
    ] * len(AGENTS)
    for step in told(bed, "llm_agent_step"):
        assert step["properties"]["prompt_version_id"] == version_of(step["distinct_id"])


async def post(bed: Bed, path: str, body: object, **headers: str) -> RawReply:
    data = orjson.dumps(body)
    fields = {"Host": "127.0.0.1", "Content-Type": "application/json", "Content-Length": str(len(data)), **headers}
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    async with RawClient(bed.served.port) as client:
        await client.send(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + data)
        return await client.reply()


async def raw_chat(bed: Bed, person: str) -> RawReply:
    """A call whose reply's head is looked at."""
    asked = {"model": os.environ[apps.MODEL], "messages": [{"role": "user", "content": "hi"}], "user": person}
    return await post(bed, "/v1/chat/completions", asked, Authorization="Bearer sk-app")


async def rate(bed: Bed, person: str) -> None:
    """A thumb on a page: it has a token from the reply, and no key."""
    answer = await raw_chat(bed, person)
    token = answer.head.get("x-llm-feedback-token")
    assert token is not None
    thumb = {"user_feedback": "positive"}
    page = {"Origin": PAGE, "X_LLM_Feedback_Token": token}
    for _ in range(2):
        rated = await post(bed, "/analytics/v1/feedback", thumb, **page)
        assert (rated.status, rated.json()["context_found"]) == (202, [True])
    await bed.posthog.wait_for(lambda _: len(told(bed, "llm_output_rated")) == 1)
    (event,) = told(bed, "llm_output_rated")
    assert (event["distinct_id"], event["properties"]["trace_id"]) == (person, answer.head.get("x-trace-id"))


async def tell_tasks(bed: Bed, ends: list[Event]) -> None:
    """The ticket system: the new version resolves more tickets, and hands far too many of them to people."""
    traces = {end["distinct_id"]: end["properties"]["trace_id"] for end in ends}
    tasks = [
        {
            "trace_id": traces[person],
            "task_completed": version_of(person) == "v2",
            "escalated_to_human": version_of(person) == "v2" and not person.endswith("7"),
            "revenue_usd": 4.5,
        }
        for person in CUSTOMERS
    ]
    for part in (tasks[:100], tasks[100:]):
        reply = await post(bed, "/analytics/v1/tasks", part)
        assert (reply.status, set(reply.json()["context_found"])) == (202, {True})
    await bed.posthog.wait_for(lambda _: len(told(bed, "llm_task_completed")) == len(tasks))


async def stopped(bed: Bed, treated: str) -> None:
    """The proxy itself sees the broken guardrail, and who had the new version has the old one."""
    await bed.posthog.wait_for(lambda _: bool(told(bed, "llm_rollout_changed")))
    (change,) = told(bed, "llm_rollout_changed")
    assert change["properties"]["rollout_shares"] == {"v1": "100", "v2": "0"}
    assert "escalated_to_human" in change["properties"]["rollout_evidence"]
    async with asyncio.timeout(PATIENCE_S):
        while (reply := await raw_chat(bed, treated)).head.get("x-feature-flag") != "support_answer=v1;reason=stopped":
            pass  # the other worker looks several times a second
    trace_id = reply.head.get("x-trace-id")
    await bed.posthog.wait_for(lambda _: any(end["properties"]["trace_id"] == trace_id for end in told(bed, COMPLETED)))
    (last,) = (end["properties"] for end in told(bed, COMPLETED) if end["properties"]["trace_id"] == trace_id)
    names = ("prompt_version_id", "posthog_flag_variant", "posthog_flag_source", "posthog_flag_reason")
    assert tuple(last[name] for name in names) == ("v1", "v1", "default", "stopped")


def check_every_event(bed: Bed) -> None:
    """Both variant and version, and of each call one start, one end and one generation."""
    exchanges: dict[str, list[str]] = {}
    for event in bed.posthog.events.values():
        name, said = event["event"], event["properties"]
        exchanges.setdefault(name, []).append(said.get("exchange_id"))
        if name != "llm_rollout_changed":
            assert said.get("prompt_version_id"), name
            assert said.get("posthog_flag_variant", said.get("$feature_flag_response")), name
    for name in (STARTED, COMPLETED, "$ai_generation"):
        assert len(exchanges[name]) == len(set(exchanges[name])) == len(bed.provider.ledger)
    exposed = [event["distinct_id"] for event in told(bed, "$feature_flag_called")]
    assert sorted(exposed) == sorted([*CUSTOMERS, *VISITORS, *AGENTS])
    assert bed.posthog.divergent == bed.posthog.strangers == []


def check_no_content(sides: Sides) -> None:
    bed = sides.bed
    said = {"output": bed.served.stdout, "log": bed.served.stderr}
    assert sides.canaries.scan(paths=[bed.served.data], texts=said, events=bed.posthog.delivered) == []
    sent = b"".join(record.body for record in bed.provider.ledger)
    for slot in ("system_text", "developer_text", "user_text", "tool_result", "tool_arguments", "output_text"):
        assert sides.canaries.token(slot).encode() in sent, slot
    assert sides.canaries.token("instructions").encode() not in sent  # they gave way to the version's


def report(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = ["--config", str(folder / "config"), "--data", str(folder / "data")]
    assert main(["experiment", "report", "support_answer", *places]) == 0
    found = capsys.readouterr().out
    assert "v2 breaks a guardrail: escalated_to_human rises by" in found
    assert "The rollout was stopped" in found
    assert "People: 55 v1 (50.0%), 55 v2 (50.0%)" in found
