"""One worker on real sockets, with its real journal, between a scripted provider and a scripted PostHog."""

import asyncio
import logging
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio
from aiohttp.test_utils import unused_port

from proxy import __version__
from proxy.adapters.journal import JournalReader, JournalSettings, SqliteJournal, journal_files
from proxy.adapters.posthog_sink import PostHogSink
from proxy.app import App, Settings, worker
from proxy.config import Configuration
from proxy.config.load import load
from proxy.domain import events
from proxy.domain.exchange import Exchange
from proxy.domain.journal_rows import JournalEvent
from tests.harness.bed import chat
from tests.harness.client import RawClient, RawReply
from tests.harness.exchanges import running
from tests.harness.oracle import COMPLETED, FAILED, STARTED
from tests.harness.posthog import ScriptedPostHog
from tests.harness.provider import ScriptedProvider
from tests.harness.replies import End, Reply
from tests.harness.serve import posthog_environment, upstream_environment

SECRET = b"0123456789abcdef"
STREAM = (("Content-Type", "text/event-stream"),)


@pytest_asyncio.fixture
async def provider() -> AsyncIterator[ScriptedProvider]:
    async with ScriptedProvider() as provider:
        yield provider


@pytest_asyncio.fixture
async def posthog() -> AsyncIterator[ScriptedPostHog]:
    async with ScriptedPostHog() as posthog:
        yield posthog


def configured(folder: Path, provider: ScriptedProvider, posthog_url: str | None = None) -> Configuration:
    """No files; all dialects go to the provider."""
    posthog = {} if posthog_url is None else posthog_environment(posthog_url)
    return load(folder / "none", folder / "none.yaml", {**upstream_environment(provider.url), **posthog})


@asynccontextmanager
async def started(configuration: Configuration, folder: Path, **changes: Any) -> AsyncIterator[App]:
    """A running application; stopped at the end, unless the test has done so."""
    settings = Settings(host="127.0.0.1", port=0, data_dir=folder / "data", secret=SECRET)
    made = App(configuration, replace(settings, **changes))
    await made.start()
    try:
        yield made
    finally:
        if not made._is_draining:
            await made.stop()


def port_of(made: App) -> int:
    return int(made.address.rpartition(":")[2])


def asks(path: str = "/v1/chat/completions", body: bytes = b"", method: str = "POST") -> bytes:
    """One request, under a request id of its own."""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: req-1\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def ask(made: App, path: str, *, body: bytes = b"", method: str = "POST") -> RawReply:
    async with RawClient(port_of(made)) as client:
        await client.send(asks(path, body, method))
        return await client.reply(method)


def pending(folder: Path) -> list[str]:
    """Names of the events that wait in the outboxes of a data folder."""
    names: list[str] = []
    for path in journal_files(folder / "data"):
        with JournalReader(path) as reader:
            names += [orjson.loads(event.body)["event"] for event in reader.pending()]
    return sorted(names)


async def test_a_call_is_relayed_and_told(provider: ScriptedProvider, posthog: ScriptedPostHog, tmp_path: Path) -> None:
    async with started(configured(tmp_path, provider, posthog.url), tmp_path) as made:
        reply = await ask(made, "/v1/chat/completions", body=chat())
        told = await posthog.wait_for_end("req-1")
    assert reply.status == 200
    assert sorted(event["event"] for event in told) == ["$ai_generation", COMPLETED, STARTED]
    assert len(provider.ledger) == 1
    assert pending(tmp_path) == []


async def test_after_stopping_nothing_is_left_open(
    provider: ScriptedProvider, posthog: ScriptedPostHog, tmp_path: Path
) -> None:
    async with started(configured(tmp_path, provider, posthog.url), tmp_path) as made:
        async with RawClient(port_of(made)) as client:
            await client.send(asks(body=chat()))
            await client.reply()
            await made.stop()
            assert await client.head() is None
        with pytest.raises(ConnectionRefusedError):
            await ask(made, "/healthz", method="GET")
        await provider.ledger[0].wait_closed()
    assert COMPLETED in {event["event"] for event in posthog.of_request("req-1")}


async def test_a_running_stream_may_end_before_the_process_does(provider: ScriptedProvider, tmp_path: Path) -> None:
    """Meanwhile nobody new is taken in, and who does nothing is sent away."""
    gate = asyncio.Event()
    provider.scripts.append(Reply(headers=STREAM, pieces=[b"data: 1\n\n", gate, b"data: [DONE]\n\n"]))
    async with (
        started(configured(tmp_path, provider), tmp_path) as made,
        RawClient(port_of(made)) as client,
        RawClient(port_of(made)) as idle,
    ):
        await idle.send(asks("/healthz", method="GET"))
        await idle.reply()
        await client.send(asks(body=chat(stream=True)))
        head = await client.head()
        assert head is not None
        stopping = asyncio.ensure_future(made.stop())
        await until_refused(made)
        assert await idle.head() is None
        assert not stopping.done()
        gate.set()
        reply = await client.body(head)
        await stopping
    assert (reply.body, reply.is_whole) == (b"data: 1\n\ndata: [DONE]\n\n", True)


async def until_refused(made: App) -> None:
    """New connections are turned away from the first moment of the drain."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port_of(made))
            writer.close()
            await writer.wait_closed()
        except ConnectionRefusedError:
            return
        except ConnectionResetError:  # it waited to be accepted when the listener was closed
            continue


async def test_what_outlasts_the_drain_is_cut_and_told(
    provider: ScriptedProvider, posthog: ScriptedPostHog, tmp_path: Path
) -> None:
    provider.scripts.append(Reply(headers=STREAM, pieces=[b"data: 1\n\n"], end=End.HANG))
    impatient = replace(configured(tmp_path, provider, posthog.url), drain_s=0.0)
    async with started(impatient, tmp_path) as made, RawClient(port_of(made)) as client:
        await client.send(asks(body=chat(stream=True)))
        head = await client.head()
        assert head is not None
        await made.stop()
        assert not (await client.body(head)).is_whole
        await provider.ledger[0].wait_closed()
    (end,) = [event for event in posthog.of_request("req-1") if event["event"] == FAILED]
    assert (end["properties"]["status"], end["properties"]["error_type"]) == ("error", "shutdown")


async def test_calls_that_an_earlier_process_left_open_are_closed(
    provider: ScriptedProvider, posthog: ScriptedPostHog, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    policy = events.EventPolicy(trace_url="http://localhost/{trace_id}")
    died = SqliteJournal(JournalSettings(directory=tmp_path / "data"))
    died.start()
    exchange = running()
    died.open(replace(events.opening(exchange, policy), events=()))
    await asyncio.to_thread(died.close_journal, 5.0)
    async with started(configured(tmp_path, provider, posthog.url), tmp_path):
        (end,) = await posthog.wait_for_end("req_1")
    assert (end["event"], end["properties"]["error_type"]) == (FAILED, "interrupted")
    assert [vars(record)["calls"] for record in caplog.records if "left open" in record.msg] == [1]


async def test_posthog_away_is_nothing_to_the_caller(
    provider: ScriptedProvider, posthog: ScriptedPostHog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The events wait on disk, over the end of the process, until PostHog is back."""
    monkeypatch.setattr(worker, "DELIVERY_S", 0.05)
    configuration = configured(tmp_path, provider, posthog.url)
    await posthog.refuse()
    async with started(configuration, tmp_path) as made:
        assert (await ask(made, "/v1/chat/completions", body=chat())).status == 200
    assert pending(tmp_path) == ["$ai_generation", COMPLETED, STARTED]
    await posthog.listen()
    async with started(configuration, tmp_path):
        await posthog.wait_for_end("req-1")


async def test_a_bug_in_delivery_is_not_the_end_of_it(
    provider: ScriptedProvider,
    posthog: ScriptedPostHog,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    whole, stumbles = PostHogSink.step, [ValueError("CANARY")]

    async def step(self: PostHogSink) -> float:
        if stumbles:
            raise stumbles.pop()
        return await whole(self)

    monkeypatch.setattr(PostHogSink, "step", step)
    async with started(configured(tmp_path, provider, posthog.url), tmp_path) as made:
        await ask(made, "/v1/chat/completions", body=chat())
        await posthog.wait_for_end("req-1")
    assert [record.levelno for record in caplog.records if "stumbled" in record.msg] == [logging.ERROR]


async def test_without_a_key_events_stay_and_are_shown(provider: ScriptedProvider, tmp_path: Path) -> None:
    ended: list[Exchange] = []
    kept: list[JournalEvent] = []
    async with started(
        configured(tmp_path, provider), tmp_path, on_exchange=ended.append, on_events=kept.extend
    ) as made:
        await ask(made, "/v1/chat/completions", body=chat())
        await made.settled()
        assert sorted(event.name for event in kept) == ["$ai_generation", COMPLETED, STARTED]
        assert [exchange.caller.request_id for exchange in ended if exchange.caller] == ["req-1"]
    assert pending(tmp_path) == ["$ai_generation", COMPLETED, STARTED]


async def test_settled_is_when_the_running_call_has_ended_and_is_on_disk(
    provider: ScriptedProvider, tmp_path: Path
) -> None:
    kept: list[JournalEvent] = []
    gate = asyncio.Event()
    provider.scripts.append(Reply(headers=STREAM, pieces=[b"data: 1\n\n", gate, b"data: [DONE]\n\n"]))
    async with (
        started(configured(tmp_path, provider), tmp_path, on_events=kept.extend) as made,
        RawClient(port_of(made)) as client,
    ):
        await client.send(asks(body=chat(stream=True)))
        assert await client.head() is not None
        settling = asyncio.ensure_future(made.settled())
        await ask(made, "/healthz", method="GET")
        assert not settling.done()
        gate.set()
        await settling
        assert COMPLETED in {event.name for event in kept} or FAILED in {event.name for event in kept}


async def test_tokens_that_nobody_reported_are_counted_before_the_end(
    provider: ScriptedProvider, tmp_path: Path
) -> None:
    """Elsewhere; the result comes back to the loop, as the journal takes rows from one thread alone.

    The vocabulary still loads at the first call, so the guess of four tokens is a rough one, by length.
    """
    kept: list[JournalEvent] = []
    threads: list[int] = []
    delta = b'data: {"choices":[{"index":0,"delta":{"content":"one two three"},"finish_reason":"stop"}]}\n\n'
    provider.scripts.append(Reply(headers=STREAM, pieces=[delta, b"data: [DONE]\n\n"]))

    def note(_: Exchange) -> None:
        threads.append(threading.get_ident())

    async with started(configured(tmp_path, provider), tmp_path, on_events=kept.extend, on_exchange=note) as made:
        await ask(made, "/v1/chat/completions", body=chat(stream=True, stream_options={"include_usage": True}))
    (end,) = [orjson.loads(event.body)["properties"] for event in kept if event.name == COMPLETED]
    assert (end["usage_source"], end["output_tokens"]) == ("estimated", 4)
    assert threads == [threading.get_ident()]


async def test_operations_show_the_state_of_this_worker(provider: ScriptedProvider, tmp_path: Path) -> None:
    configuration = configured(tmp_path, provider)
    async with started(configuration, tmp_path) as made:
        await ask(made, "/v1/chat/completions", body=chat())
        await made.settled()
        version = (await ask(made, "/version", method="GET")).json()
        ready = await ask(made, "/readyz", method="GET")
        metrics = (await ask(made, "/metrics", method="GET")).body.decode()
    assert version == {"version": __version__, "config": configuration.digest}
    assert (ready.status, ready.json()) == (200, {"status": "ready"})
    assert 'promptlane_calls_total{endpoint="chat",error_type="none",status="success",target="openai"} 1.0' in metrics
    assert "promptlane_outbox_pending_events 3.0" in metrics


async def test_the_trace_url_of_a_reply_is_a_page_of_ours(provider: ScriptedProvider, tmp_path: Path) -> None:
    async with started(configured(tmp_path, provider), tmp_path) as made:
        url = (await ask(made, "/v1/chat/completions", body=chat())).head.get("x-trace-url")
        assert url is not None
        assert url.startswith(f"{made.address}/ui/traces/")
        assert (await ask(made, url.removeprefix(made.address), method="GET")).status == 401


async def test_a_data_folder_that_cannot_be_had_stops_no_traffic(provider: ScriptedProvider, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("in the way")
    async with started(configured(tmp_path, provider), tmp_path) as made:
        assert (await ask(made, "/v1/chat/completions", body=chat())).status == 200
        ready = await ask(made, "/readyz", method="GET")
    assert (ready.status, ready.json()) == (200, {"status": "degraded"})


async def test_delivery_that_needs_somebody_degrades(
    provider: ScriptedProvider, posthog: ScriptedPostHog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PostHogSink, "stats", lambda sink: replace(sink._stats, is_alarming=True))
    async with started(configured(tmp_path, provider, posthog.url), tmp_path) as made:
        assert (await ask(made, "/readyz", method="GET")).json() == {"status": "degraded"}


def test_a_taken_port_is_told_before_anything_is_made(provider_less: Configuration, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        settings = Settings(host="127.0.0.1", port=port, data_dir=tmp_path / "data", secret=SECRET)
        with pytest.raises(OSError, match="in use"):
            App(provider_less, settings)
    assert not (tmp_path / "data").exists()


@pytest.fixture
def provider_less(tmp_path: Path) -> Configuration:
    return load(tmp_path / "none", tmp_path / "none.yaml", {})


async def test_the_address_is_known_before_the_start(provider_less: Configuration, tmp_path: Path) -> None:
    port = unused_port()
    settings = Settings(host="127.0.0.1", port=port, data_dir=tmp_path / "data", secret=SECRET)
    made = App(provider_less, settings)
    assert made.address == f"http://127.0.0.1:{port}"
    await made.start()
    await made.stop()


async def test_an_ipv6_address_is_written_as_one(provider_less: Configuration, tmp_path: Path) -> None:
    async with started(provider_less, tmp_path, host="::1") as made:
        assert made.address.startswith("http://[::1]:")
        reader, writer = await asyncio.open_connection("::1", port_of(made))
        writer.write(asks("/healthz", method="GET"))
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
        await writer.wait_closed()


def journal_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "journal"]


async def test_a_start_that_fails_half_way_leaves_nothing_behind(
    provider: ScriptedProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "Front", None)
    with pytest.raises(TypeError):
        async with started(configured(tmp_path, provider), tmp_path):
            pass
    assert not journal_threads()


async def test_a_step_of_leaving_that_fails_does_not_stop_the_others(
    provider: ScriptedProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(App, "_end_estimates", None)
    with pytest.raises(TypeError):
        async with started(configured(tmp_path, provider), tmp_path) as made:
            await ask(made, "/v1/chat/completions", body=chat())
    assert (pending(tmp_path), journal_threads()) == (["$ai_generation", COMPLETED, STARTED], [])
