"""Unchanged apps that name a prompt: the versions that real SDKs get, and what the provider and PostHog then see."""

from pathlib import Path
from typing import Any

import anthropic
import openai
import orjson
import yaml

from proxy.domain.rollout import Split
from tests.harness.bed import Bed
from tests.harness.call import CALL_ID_HEADER
from tests.harness.flags import definitions, flag
from tests.harness.oracle import AI_FAMILY, Event

PROMPTS = {
    "version": 1,
    "prompts": {
        "support": {
            "split": {"pv_1": 50, "pv_2": 50},
            "default": "pv_1",
            "variables": {"customer": None},
            "versions": {
                "pv_1": {"model": "gpt-4.1-mini", "system": {"file": "prompts/v1.md"}},
                "pv_2": {"model": "gpt-4.1", "system": "Help {{customer}}, tersely.", "temperature": 0.2},
            },
        },
        "triage": {
            "flag": "triage-test",
            "default": "t_1",
            "versions": {
                "t_1": {"variant": "control", "system": "Sort."},
                "t_2": {"variant": "test", "system": "Rank."},
            },
        },
    },
}
TEXTS = {"pv_1": "Help Ada Lovelace.", "pv_2": "Help Ada Lovelace, tersely."}
LONG = "x" * 200_000
"""So long that the body is read, and edited, in a process of its own."""


def written(folder: Path) -> Path:
    (folder / "config" / "prompts").mkdir(parents=True)
    (folder / "config" / "prompts" / "v1.md").write_text("Help {{customer}}.\n")
    (folder / "config" / "prompts.yaml").write_text(yaml.safe_dump(PROMPTS, sort_keys=False))
    return folder


def headers(call_id: str, user: str) -> dict[str, str]:
    return {"X-Request-Id": call_id, CALL_ID_HEADER: call_id, "X-PostHog-Distinct-Id": user}


def told(events: list[Event]) -> set[tuple[Any, ...]]:
    """What the call's events say of prompt and variant: one thing."""
    names = ("prompt_name", "prompt_version_id", "prompt_version_source", "posthog_flag", "posthog_flag_variant")
    return {tuple(event["properties"].get(name) for name in (*names, "$feature/support")) for event in events}


async def test_a_chat_app_gets_a_version_for_each_of_its_users(tmp_path: Path) -> None:
    of_split = Split((("pv_1", 50.0), ("pv_2", 50.0)))
    async with Bed(written(tmp_path)) as bed, openai.AsyncOpenAI(
        base_url=f"{bed.served.url}/v1", api_key="sk-caller", max_retries=0,
        default_headers={"X-Prompt-Name": "support"},
    ) as api:  # fmt: skip
        for call_id, user in ((f"c{number}", f"user_{number % 4}") for number in range(8)):
            reply = await api.chat.completions.with_raw_response.create(
                model="gpt-4.1-nano",
                messages=[
                    {"role": "system", "content": "Old."},
                    {"role": "user", "content": "hé" if call_id < "c4" else LONG},
                ],
                extra_headers=headers(call_id, user),
                extra_body={"prompt_variables": {"customer": "Ada Lovelace"}},
            )
            version = of_split.variant_of("support", user)
            assert (reply.headers["x-prompt-version"], reply.headers["x-feature-flag"]) == (
                version,
                f"support={version}",
            )
            (record,) = bed.provider.of_call(call_id)
            body = orjson.loads(record.body)
            assert body["messages"][0] == {"role": "system", "content": TEXTS[version]}
            assert body["model"] == PROMPTS["prompts"]["support"]["versions"][version]["model"]  # type: ignore[index]
            assert ("temperature" in body, "prompt_variables" in body) == (version == "pv_2", False)
            events = await bed.events_of(call_id)
            assert told(events) == {("support", version, "rollout", "support", version, version)}
            assert {event["event"] for event in events} & set(AI_FAMILY)
            assert {event["properties"]["$ai_prompt_version"] for event in events if event["event"] in AI_FAMILY} == {
                version
            }
        assert leaks(bed) == []


def leaks(bed: Bed) -> list[bytes]:
    """What of prompts and values is on the disk, in the log or with PostHog."""
    data = [path.read_bytes() for path in bed.served.data.rglob("*") if path.is_file()]
    said = b"".join([*data, bed.served.stdout, bed.served.stderr, *(post.body for post in bed.posthog.posts)])
    return [word for word in (b"Lovelace", b"tersely", b"Help ") if word in said]


async def test_apps_of_other_dialects_are_served_alike_by_posthog_s_flags(tmp_path: Path) -> None:
    bed = Bed(written(tmp_path), environment={"POSTHOG_SECRET_KEY": "phs_hidden"})
    bed.posthog.flags = definitions(flag("triage-test", variants={"control": 50, "test": 50}))
    async with bed:
        named = {"X-Prompt-Name": "triage"}
        variant = Split((("control", 50.0), ("test", 50.0))).variant_of("triage-test", "user_7")
        triage = {"control": ("t_1", "Sort."), "test": ("t_2", "Rank.")}[variant]
        async with anthropic.AsyncAnthropic(base_url=bed.served.url, api_key="sk-ant", max_retries=0) as claude:
            await claude.messages.create(
                model="claude-sonnet-5-5", max_tokens=9, system="Old.", messages=[{"role": "user", "content": "hi"}],
                extra_headers=headers("a1", "user_7") | named,
            )  # fmt: skip
        async with openai.AsyncOpenAI(base_url=f"{bed.served.url}/v1", api_key="sk", max_retries=0) as api:
            reply = await api.responses.with_raw_response.create(
                prompt={"id": "support", "variables": {"customer": "Ada Lovelace"}},
                input="hi",
                extra_headers=headers("r1", "user_1"),
            )
            stream = await api.chat.completions.create(
                model="prompt/support", messages=[{"role": "user", "content": "hi"}], stream=True,
                extra_headers=headers("s1", "user_1"), extra_body={"prompt_variables": {"customer": "Ada Lovelace"}},
            )  # fmt: skip
            assert [chunk async for chunk in stream]
        version = reply.headers["x-prompt-version"]
        sent = {name: orjson.loads(bed.provider.of_call(name)[0].body) for name in ("a1", "r1", "s1")}
        assert sent["a1"]["system"] == triage[1]
        assert sent["r1"]["instructions"] == TEXTS[version]
        assert sent["s1"]["messages"][0]["content"] == TEXTS[version]
        assert sent["s1"]["stream_options"] == {"include_usage": True}
        events = await bed.events_of("a1")
        assert told(events) == {("triage", triage[0], "rollout", "triage-test", variant, None)}
        assert {event["properties"]["$feature/triage-test"] for event in events} == {variant}
        assert {event["properties"]["posthog_flag_source"] for event in events} == {"assigned"}
        for call_id in ("r1", "s1"):
            assert told(await bed.events_of(call_id)) == {("support", version, "rollout", "support", version, version)}
