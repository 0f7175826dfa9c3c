"""A running worker takes up a changed configuration whole, or keeps the one that it has."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from proxy.app import App, Settings
from proxy.app import worker as worker_module
from proxy.config import Changes, Configuration, Places, Seen
from proxy.config.load import look
from proxy.domain.keys import key_hash
from tests.harness.bed import chat
from tests.harness.call import PATIENCE_S
from tests.harness.client import RawClient, RawReply
from tests.harness.collector import Collector
from tests.harness.posthog import ScriptedPostHog
from tests.harness.provider import ScriptedProvider
from tests.harness.serve import posthog_environment

SECRET = b"0123456789abcdef"
PROXY_KEY = "plk_first"
BROKEN = "version: 1\nenviroment: x\n"


def routing(url: str, key: str) -> str:
    """One provider with a key of ours, and one proxy key."""
    return json.dumps(
        {
            "version": 1,
            "providers": {"openai": {"preset": "openai", "base_url": f"{url}/v1", "key_env": "OUR_KEY"}},
            "keys": [{"alias": "web", "hash": key_hash(key, SECRET)}],
        }
    )


@dataclass
class Running:
    """A worker with two files, and what it says when it takes them up."""

    worker: App
    folder: Path
    taken_up: asyncio.Queue[Configuration]

    def write(self, name: str, text: str) -> None:
        (self.folder / f"{name}.yaml").write_text(text)

    async def news(self) -> Configuration:
        async with asyncio.timeout(PATIENCE_S):
            return await self.taken_up.get()

    async def ask(self, method: str, path: str, key: str = PROXY_KEY, body: bytes = b"") -> RawReply:
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
            f"X-Request-Id: req-1\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        async with RawClient(int(self.worker.address.rpartition(":")[2])) as client:
            await client.send(head.encode() + body)
            return await client.reply(method)

    async def metric(self, name: str) -> list[str]:
        lines = (await self.ask("GET", "/metrics")).body.decode().splitlines()
        return [line for line in lines if line.startswith(name)]


@pytest_asyncio.fixture
async def provider() -> AsyncIterator[ScriptedProvider]:
    async with ScriptedProvider() as provider:
        yield provider


@pytest_asyncio.fixture
async def posthog() -> AsyncIterator[ScriptedPostHog]:
    async with ScriptedPostHog() as posthog:
        yield posthog


@pytest_asyncio.fixture
async def running(
    provider: ScriptedProvider, posthog: ScriptedPostHog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Running]:
    monkeypatch.setattr(worker_module, "LOOK_S", 0.01)
    (tmp_path / "routing.yaml").write_text(routing(provider.url, PROXY_KEY))
    (tmp_path / "analytics.yaml").write_text("version: 1\n")
    env = {"OUR_KEY": "sk-ours", **posthog_environment(posthog.url)}
    places = Places(config_dir=tmp_path, pricing_file=tmp_path / "pricing.yaml", data_dir=tmp_path / "data")

    def read() -> Seen:
        return look(places.config_dir, places.pricing_file, env)

    first = read()
    taken_up: asyncio.Queue[Configuration] = asyncio.Queue()
    settings = Settings(
        host="127.0.0.1", port=0, data_dir=places.data_dir, secret=SECRET, on_configuration=taken_up.put_nowait
    )
    worker = App(first.usable(), settings, Changes(places, first, read))
    await worker.start()
    try:
        yield Running(worker, tmp_path, taken_up)
    finally:
        await worker.stop()


async def test_keys_and_routes_change_for_new_calls(running: Running, provider: ScriptedProvider) -> None:
    assert (await running.ask("POST", "/v1/chat/completions", body=chat())).status == 200
    running.write("routing", routing(provider.url, "plk_second"))
    digest = (await running.news()).digest
    assert (await running.ask("POST", "/v1/chat/completions", body=chat())).status == 401
    assert (await running.ask("POST", "/v1/chat/completions", key="plk_second", body=chat())).status == 200
    assert (await running.ask("GET", "/version")).json()["config"] == digest
    assert await running.metric("promptlane_config_info") == [f'promptlane_config_info{{digest="{digest}"}} 1.0']
    assert await running.metric("promptlane_config_reloads_total") == [
        'promptlane_config_reloads_total{result="applied"} 1.0'
    ]


async def test_the_http_client_is_switched_and_back_for_new_calls(running: Running, provider: ScriptedProvider) -> None:
    """Each client has connections of its own, and keeps them meanwhile."""
    connections = []
    for client in ("native", "aiohttp", "native"):
        written = {**json.loads(routing(provider.url, PROXY_KEY)), "upstream_client": client}
        running.write("routing", json.dumps(written))
        assert (await running.news()).upstream_client == client
        assert (await running.ask("POST", "/v1/chat/completions", body=chat())).status == 200
        connections.append(provider.ledger[-1].connection)
    assert connections == [1, 2, 1]


async def test_what_events_say_how_they_go_and_what_may_wait_change_too(
    running: Running, posthog: ScriptedPostHog
) -> None:
    running.write(
        "analytics",
        "version: 1\nenvironment: staging\nposthog: {capture: v1, gzip: false}\noutbox: {max_bytes: 2MiB}\n",
    )
    await running.news()
    await running.ask("POST", "/v1/chat/completions", body=chat())
    told = await posthog.wait_for_end("req-1")
    assert {event["properties"]["environment"] for event in told} == {"staging"}
    (post,) = {(post.is_v1, post.head.get("content-encoding")) for post in posthog.posts}
    assert post == (True, None)
    assert await running.metric("promptlane_outbox_max_bytes") == ["promptlane_outbox_max_bytes 2.097152e+06"]
    assert running.worker._journal._settings.outbox_max_bytes == 2 << 20


async def test_telemetry_begins_and_ends_with_the_file(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    async with Collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        running.write("analytics", "version: 1\notel: {traces: true}\n")
        await running.news()
        async with asyncio.timeout(PATIENCE_S):
            while running.worker._telemetry._traces is None:
                await running.ask("POST", "/v1/chat/completions", body=chat())
        await running.ask("POST", "/v1/chat/completions", body=chat())
        running.write("analytics", "version: 1\n")
        await running.news()
        await collector.wait_for(lambda seen: bool(seen.spans))  # its end sends what waits
    assert await running.metric("promptlane_telemetry_lost_spans_total") == [
        "promptlane_telemetry_lost_spans_total 0.0"
    ]


async def test_a_bad_file_changes_nothing_and_says_so_once(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    before = (await running.ask("GET", "/version")).json()
    running.write("analytics", BROKEN)
    async with asyncio.timeout(PATIENCE_S):
        while await running.metric("promptlane_config_last_reload_successful") != [
            "promptlane_config_last_reload_successful 0.0"
        ]:
            assert (await running.ask("POST", "/v1/chat/completions", body=chat())).status == 200
    running.write("analytics", "version: 1\nenvironment: staging\n")
    await running.news()
    assert before != (await running.ask("GET", "/version")).json()
    (said,) = caplog.records
    assert "is kept" in said.message
    assert said.__dict__["problem_count"] == 1
    assert "analytics.yaml:2:1: enviroment: unknown key" in said.__dict__["problems"][0]
    assert await running.metric("promptlane_config_last_reload_successful") == [
        "promptlane_config_last_reload_successful 1.0"
    ]


async def test_a_stumble_does_not_end_the_watch(
    running: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stumbled = asyncio.Event()

    def stumble() -> None:
        monkeypatch.undo()
        stumbled.set()
        raise KeyError

    monkeypatch.setattr(running.worker, "_vitals", stumble)
    await stumbled.wait()
    running.write("analytics", "version: 1\nenvironment: staging\n")
    assert (await running.news()).analytics.environment == "staging"
    assert "housekeeping stumbled" in caplog.text


async def test_who_asks_is_answered_in_the_log(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    running.worker.ask_reload()
    async with asyncio.timeout(PATIENCE_S):
        while "has not changed" not in caplog.text:
            await running.ask("GET", "/healthz")
