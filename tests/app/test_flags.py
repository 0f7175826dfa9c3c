"""Rollouts by a flag in a whole worker on real sockets, while PostHog is there, late, slow, full, broken or away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio

from proxy.adapters.flags import service
from proxy.app import App, Settings, worker
from proxy.app.flags import flag_settings
from proxy.config import Changes, Configuration, Places, Seen
from proxy.config.load import load, look
from proxy.domain.rollout import Split
from tests.harness.bed import chat
from tests.harness.call import PATIENCE_S
from tests.harness.client import RawClient, RawReply
from tests.harness.flags import definitions, flag
from tests.harness.oracle import Event
from tests.harness.posthog import Answer, ScriptedPostHog
from tests.harness.provider import ScriptedProvider
from tests.harness.serve import posthog_environment, upstream_environment

ROUTING = """version: 1
models:
  fast:
    rollout: {flag: answers, variants: {control: openai/gpt-4.1, treatment: openai/gpt-5}}
"""
TREATED = definitions(flag("answers", variants={"control": 0, "treatment": 100}))
CONTROL = definitions(flag("answers", variants={"control": 100, "treatment": 0}))
KEYS = {"POSTHOG_SECRET_KEY": "phs_hidden"}


@pytest_asyncio.fixture
async def provider() -> AsyncIterator[ScriptedProvider]:
    async with ScriptedProvider() as provider:
        yield provider


@pytest_asyncio.fixture
async def posthog() -> AsyncIterator[ScriptedPostHog]:
    async with ScriptedPostHog() as posthog:
        posthog.flags = TREATED
        yield posthog


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "DELIVERY_S", 1.0)
    monkeypatch.setattr("proxy.adapters.flags.fetch.PATIENCE_S", 0.01)


def configured(folder: Path, env: dict[str, str], routing: str = ROUTING) -> Configuration:
    (folder / "routing.yaml").write_text(routing)
    made = load(folder, folder / "none.yaml", env)
    return replace(made, analytics=replace(made.analytics, flags=replace(made.analytics.flags, poll_s=0.02)))


@asynccontextmanager
async def started(
    folder: Path, provider: ScriptedProvider, posthog: ScriptedPostHog, routing: str = ROUTING, **settings: Any
) -> AsyncIterator[App]:
    env = {**upstream_environment(provider.url), **posthog_environment(posthog.url), **KEYS}
    configuration = configured(folder, env, routing)
    places = Places(config_dir=folder, pricing_file=folder / "none.yaml", data_dir=folder / "data")
    told = Settings(host="127.0.0.1", port=0, data_dir=places.data_dir, secret=b"0" * 16, **settings)

    def read() -> Seen:
        return look(places.config_dir, places.pricing_file, env)

    made = App(configuration, told, Changes(places, read(), read))
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


def asks(call_id: str, user: str = "user_1", **headers: str) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    body = chat(model="fast")
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: {call_id}\r\n"
        f"X-PostHog-Distinct-Id: {user}\r\n{lines}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@asynccontextmanager
async def connected(made: App) -> AsyncIterator[RawClient]:
    async with RawClient(int(made.address.rpartition(":")[2])) as client:
        yield client


async def ask(made: App, call_id: str, user: str = "user_1", **headers: str) -> RawReply:
    async with connected(made) as client:
        await client.send(asks(call_id, user, **headers))
        return await client.reply("POST")


def shown(reply: RawReply) -> list[str]:
    """What the reply's header says."""
    return reply.head.get_all("X-Feature-Flag")


async def until_shown(made: App, expected: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while shown(await ask(made, "req-again")) != [expected]:
            pass


def asked_model(provider: ScriptedProvider) -> str:
    model: str = orjson.loads(provider.ledger[-1].body)["model"]
    return model


def exposures(posthog: ScriptedPostHog) -> list[Event]:
    return [event for event in posthog.events.values() if event["event"] == "$feature_flag_called"]


async def test_the_flag_chooses_and_everything_says_so(
    tmp_path: Path, provider: ScriptedProvider, posthog: ScriptedPostHog
) -> None:
    async with started(tmp_path, provider, posthog) as made:
        reply = await ask(made, "req-1", X_Feature_Flag="answers=control, colour=blue")
        assert shown(reply) == ["answers=treatment", "colour=blue"]
        assert asked_model(provider) == "gpt-5"
        told = await posthog.wait_for_end("req-1")
    assert {event["event"] for event in told} == {"llm_request_started", "llm_request_completed", "$ai_generation"}
    for event in told:
        properties = event["properties"]
        assert (properties["posthog_flag"], properties["posthog_flag_variant"]) == ("answers", "treatment")
        assert (properties["posthog_flag_source"], properties["posthog_flag_reason"]) == ("assigned", "matched")
        assert (properties["$feature/answers"], properties["$feature/colour"]) == ("treatment", "blue")
        assert properties["$active_feature_flags"] == ["answers", "colour"]
    assert posthog.strangers == []


async def test_a_person_is_exposed_once_also_over_a_restart(
    tmp_path: Path, provider: ScriptedProvider, posthog: ScriptedPostHog
) -> None:
    for run in range(2):
        async with started(tmp_path, provider, posthog) as made:
            for number, user in enumerate(("user_1", "user_2", "user_1")):
                await ask(made, f"req-{run}-{number}", user)
    delivered = [event for event in posthog.delivered if event["event"] == "$feature_flag_called"]
    assert sorted(event["distinct_id"] for event in delivered) == ["user_1", "user_2"]
    for event in delivered:
        assert event["properties"]["$feature_flag_response"] == "treatment"
        assert event["properties"]["$feature_flag_version"] == 3


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(Answer(status=402), id="quota"),
        pytest.param(Answer(status=401), id="key refused"),
        pytest.param(Answer(status=500), id="server error"),
        pytest.param(Answer(body=b"<html>hello</html>"), id="malformed"),
        pytest.param(Answer(gate=asyncio.Event()), id="slow"),
    ],
)
async def test_while_posthog_gives_no_definitions_the_default_runs_and_is_marked(
    tmp_path: Path,
    provider: ScriptedProvider,
    posthog: ScriptedPostHog,
    trouble: Answer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("proxy.adapters.flags.fetch.TOTAL_S", 0.3)
    monkeypatch.setattr(service, "FIRST_WAIT_S", 0.2)
    posthog.flags_answer = trouble
    async with started(tmp_path, provider, posthog) as made:
        reply = await ask(made, "req-1")
        assert (reply.status, shown(reply)) == (200, ["answers=control;reason=no_definitions"])
        assert asked_model(provider) == "gpt-4.1"
        assert "flags" in made._problems()
        (end,) = [event for event in await posthog.wait_for_end("req-1") if event["event"] == "llm_request_completed"]
        said = end["properties"]
        assert (said["posthog_flag_variant"], said["posthog_flag_source"]) == ("control", "default")
        assert said["posthog_flag_reason"] == "no_definitions"
        assert "$feature/answers" not in said
        posthog.flags_answer = None
        await until_shown(made, "answers=treatment")
    assert all(event["properties"]["$feature_flag_response"] == "treatment" for event in exposures(posthog))


async def test_a_posthog_that_goes_away_later_changes_nothing_and_one_that_comes_back_counts(
    tmp_path: Path, provider: ScriptedProvider, posthog: ScriptedPostHog
) -> None:
    async with started(tmp_path, provider, posthog) as made:
        await posthog.refuse()
        assert shown(await ask(made, "req-1")) == ["answers=treatment"]
        posthog.flags = CONTROL
        await posthog.listen()
        await until_shown(made, "answers=control")


async def test_a_start_while_posthog_is_away_decides_as_before(
    tmp_path: Path, provider: ScriptedProvider, posthog: ScriptedPostHog
) -> None:
    async with started(tmp_path, provider, posthog):
        pass
    await posthog.refuse()
    async with started(tmp_path, provider, posthog, worker=1, worker_count=2) as made:
        assert shown(await ask(made, "req-1")) == ["answers=treatment"]


async def test_a_reload_brings_flags_in_and_takes_them_out_again(
    tmp_path: Path, provider: ScriptedProvider, posthog: ScriptedPostHog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "LOOK_S", 0.01)
    without = "version: 1\nmodels: {fast: {target: openai/gpt-4.1}}\n"
    taken_up: asyncio.Queue[Configuration] = asyncio.Queue()
    async with started(tmp_path, provider, posthog, without, on_configuration=taken_up.put_nowait) as made:
        assert (shown(await ask(made, "req-1")), posthog.flags_requests) == ([], [])
        for text, expected in ((ROUTING, ["answers=treatment"]), (without, [])):
            (tmp_path / "routing.yaml").write_text(text)
            async with asyncio.timeout(PATIENCE_S):
                await taken_up.get()
            assert shown(await ask(made, "req-2")) == expected
        assert made._flags.service is None


async def test_callers_without_an_id_get_one_variant_for_each_trace(
    tmp_path: Path, provider: ScriptedProvider, posthog: ScriptedPostHog
) -> None:
    posthog.flags = definitions(flag("answers", variants={"control": 50, "treatment": 50}))
    async with started(tmp_path, provider, posthog) as made:
        seen = {
            trace: {tuple(shown(await ask(made, f"{trace}-{n}", "", X_Trace_Id=trace))) for n in range(2)}
            for trace in "abcdefghij"
        }
    assert all(len(variants) == 1 for variants in seen.values())
    assert len(set.union(*seen.values())) == 2
    assert all(event["properties"]["$process_person_profile"] is False for event in exposures(posthog))


PROMPTS = """version: 1
prompts:
  support:
    flag: answers
    default: pv_1
    versions:
      pv_1: {variant: control, system: be short}
      pv_2: {variant: treatment, system: be kind}
"""


async def test_one_flag_may_decide_on_prompt_and_model_together(
    tmp_path: Path, provider: ScriptedProvider, posthog: ScriptedPostHog
) -> None:
    (tmp_path / "prompts.yaml").write_text(PROMPTS)
    async with started(tmp_path, provider, posthog) as made:
        reply = await ask(made, "req-1", X_Prompt_Name="support")
        assert shown(reply) == ["answers=treatment"]
        assert reply.head.get("X-Prompt-Version") == "pv_2"
        assert asked_model(provider) == "gpt-5"
        assert b"be kind" in provider.ledger[-1].body
        told = await posthog.wait_for_end("req-1")
    for event in told:
        properties = event["properties"]
        assert (properties["prompt_version_id"], properties["$feature/answers"]) == ("pv_2", "treatment")
    assert len(exposures(posthog)) == 1


async def test_five_percent_of_users_are_five_percent_within_chance(
    tmp_path: Path, provider: ScriptedProvider, posthog: ScriptedPostHog
) -> None:
    posthog.flags = definitions(flag("answers", variants={"control": 95, "treatment": 5}))
    split, users = Split((("control", 95.0), ("treatment", 5.0))), [f"user_{number}" for number in range(200)]
    async with started(tmp_path, provider, posthog) as made, connected(made) as client:
        for user in users:
            await client.send(asks(user, user))
            variant = split.variant_of("answers", user)
            assert shown(await client.reply("POST")) == [f"answers={variant}"]
    answers = [event["properties"]["$feature_flag_response"] for event in exposures(posthog)]
    assert len(answers) == len(users)
    assert abs(answers.count("treatment") / len(users) - 0.05) < 4 * (0.05 * 0.95 / len(users)) ** 0.5


@pytest.mark.parametrize(
    ("routing", "env", "is_wanted"),
    [
        (ROUTING, {"POSTHOG_API_KEY": "phc_x", **KEYS}, True),
        (ROUTING, {"POSTHOG_API_KEY": "phc_x"}, False),
        (ROUTING, KEYS, False),
        ("version: 1\nmodels: {fast: {target: openai}}\n", {"POSTHOG_API_KEY": "phc_x", **KEYS}, False),
        (
            "version: 1\nmodels: {fast: {rollout: {split: {a: 100}, variants: {a: openai}}}}\n",
            {"POSTHOG_API_KEY": "phc_x", **KEYS},
            False,
        ),
    ],
)
def test_posthogs_definitions_are_fetched_only_where_a_rollout_asks_for_a_flag(
    tmp_path: Path, routing: str, env: dict[str, str], is_wanted: bool
) -> None:
    settings = flag_settings(configured(tmp_path, env, routing))
    assert (settings is not None) == is_wanted
    if settings is not None:
        assert settings.wanted == {"answers"}
        assert "phs_hidden" not in repr(settings)
