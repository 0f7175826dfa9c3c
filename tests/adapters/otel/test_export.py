import asyncio
import logging
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from proxy import __version__
from proxy.adapters.otel import OtelExport, export
from proxy.domain.exchange import Exchange
from proxy.domain.identity import ParentSpan
from proxy.domain.policy import AnalyticsPolicy, Telemetry
from tests.harness.call import PATIENCE_S
from tests.harness.collector import Collector
from tests.harness.exchanges import caller, finished, running

BOTH = Telemetry(traces=True, metrics=True)
TOLD_OF = "the collector does not take telemetry; see OTEL_EXPORTER_OTLP_ENDPOINT"


@pytest_asyncio.fixture
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    """One that the variables name; exports come fast, and none is waited for long."""
    for name in os.environ:
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)
    async with Collector() as collector:
        variables = {
            "NO_PROXY": "127.0.0.1",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_EXPORTER_OTLP_TIMEOUT": "0.5",
            "OTEL_BSP_SCHEDULE_DELAY": "10",
            "OTEL_METRIC_EXPORT_INTERVAL": "20",
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        yield collector


def exporter(telemetry: Telemetry = BOTH, *, worker: int = 0, worker_count: int = 1) -> OtelExport:
    policy = AnalyticsPolicy(environment="staging", telemetry=telemetry)
    return OtelExport(policy, worker=worker, worker_count=worker_count)


def settled(**changes: Any) -> Exchange:
    return finished(is_started=True, **changes)


async def test_spans_and_metrics_of_a_call_reach_the_collector(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20token")
    exporting, exchange = exporter(), settled()
    exporting.observe(exchange)
    call, attempt = await collector.trace_of(exchange.exchange_id)
    assert (call.kind, attempt.kind, attempt.name) == ("server", "client", "chat gpt-4.1-mini")
    assert attempt.attributes["gen_ai.response.finish_reasons"] == ["stop"]
    await collector.wait_for(lambda seen: len(seen.metrics) == 3)
    assert {head.get("authorization") for head in collector.heads} == {"Bearer token"}
    await asyncio.to_thread(exporting.stop)
    assert exporting.lost_spans == 0


@pytest.mark.parametrize(
    ("telemetry", "paths"), [(Telemetry(traces=True), {"/v1/traces"}), (Telemetry(metrics=True), {"/v1/metrics"})]
)
async def test_only_what_was_asked_for_is_sent(collector: Collector, telemetry: Telemetry, paths: set[str]) -> None:
    exporting = exporter(telemetry)
    exporting.observe(settled())
    await asyncio.to_thread(exporting.stop)
    assert {head.start_line.split(" ")[1] for head in collector.heads} == paths
    assert exporting.lost_spans == 0


async def test_what_waits_is_sent_before_the_end(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "60000")
    exporting = exporter()
    exporting.observe(settled())
    await asyncio.to_thread(exporting.stop)
    assert (len(collector.spans), len(collector.metrics)) == (2, 3)


async def test_the_service_is_named_and_the_operator_may_rename_it(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def resource_of(**workers: int) -> dict[str, Any]:
        exporting = exporter(Telemetry(traces=True), **workers)
        exporting.observe(settled())
        await asyncio.to_thread(exporting.stop)
        return dict(collector.resources[-1])

    ours, another = await resource_of(), await resource_of()
    assert ours["service.name"] == "promptlane"
    assert ours["service.version"] == __version__
    assert ours["deployment.environment.name"] == "staging"
    assert ours["service.instance.id"] != another["service.instance.id"]
    monkeypatch.setenv("OTEL_SERVICE_NAME", "gateway")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=pod-7,deployment.environment.name=eu")
    theirs = await resource_of()
    assert (theirs["service.name"], theirs["deployment.environment.name"]) == ("gateway", "eu")
    assert theirs["service.instance.id"] == "pod-7"
    assert (await resource_of(worker=1, worker_count=2))["service.instance.id"] == "pod-7-1"


async def test_a_call_without_events_has_no_telemetry(collector: Collector) -> None:
    exporting = exporter()
    exporting.observe(finished())
    exporting.observe(running(caller=None))
    await asyncio.to_thread(exporting.stop)
    assert (collector.spans, collector.metrics) == ([], {})


async def test_a_full_queue_drops_calls_whole_and_counts_them(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", str(PATIENCE_S))
    collector.gate = asyncio.Event()
    exporting = exporter(Telemetry(traces=True, max_queued_spans=4))
    exporting.observe(settled())
    await collector.wait_for(lambda seen: len(seen.heads) == 1)
    for _ in range(5):
        exporting.observe(settled())
    assert exporting.lost_spans == 3 * 2
    collector.gate.set()
    await asyncio.to_thread(exporting.stop)
    assert (len(collector.spans), exporting.lost_spans) == (3 * 2, 3 * 2)


async def test_a_trace_that_is_not_sampled_takes_no_place(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2")
    exporting = exporter(Telemetry(traces=True, max_queued_spans=2))
    for _ in range(5):
        exporting.observe(settled())
    await asyncio.to_thread(exporting.stop)
    assert (collector.spans, exporting.lost_spans) == ([], 0)


async def test_a_collector_that_refuses_is_told_of_once_and_so_is_its_return(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "proxy")
    collector.status = 400
    exporting = exporter(Telemetry(traces=True))
    for refused in (1, 2, 3):
        exporting.observe(settled())
        await collector.wait_for(lambda seen, refused=refused: len(seen.heads) == refused)  # type: ignore[misc]
    collector.status = 200
    exporting.observe(settled())
    await asyncio.to_thread(exporting.stop)
    ours = [record for record in caplog.records if record.name.startswith("proxy.")]
    assert [(record.levelname, record.message) for record in ours] == [
        ("WARNING", TOLD_OF),
        ("INFO", "the collector takes telemetry again"),
    ]
    assert vars(ours[1])["lost"] == exporting.lost_spans == 3 * 2


async def test_a_redirect_is_a_refusal(collector: Collector, caplog: pytest.LogCaptureFixture) -> None:
    """The SDK does not follow one, and takes it for success."""
    collector.status = 307
    exporting = exporter()
    exporting.observe(settled())
    await collector.wait_for(lambda seen: len(seen.heads) >= 2)
    await asyncio.to_thread(exporting.stop)
    assert exporting.lost_spans == 2
    assert {vars(record)["signal"] for record in caplog.records if record.message == TOLD_OF} == {"traces", "metrics"}


async def test_metrics_outlive_a_collector_that_refused_them(collector: Collector) -> None:
    collector.status = 400
    exporting = exporter(Telemetry(metrics=True))
    exporting.observe(settled())
    await collector.wait_for(lambda seen: len(seen.heads) == 2)
    collector.status = 200
    await collector.wait_for(lambda seen: bool(seen.metrics))
    await asyncio.to_thread(exporting.stop)
    (point,) = collector.points("gen_ai.client.operation.duration").values()
    assert point.count == 1


async def test_a_silent_collector_holds_up_the_end_for_a_bounded_time(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(export, "STOP_S", 0.05)
    collector.gate = asyncio.Event()
    exporting = exporter()
    exporting.observe(settled())
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.to_thread(exporting.stop)
    (told,) = (record for record in caplog.records if "did not take the last telemetry in time" in record.message)
    assert vars(told)["lost"] == exporting.lost_spans == 2


async def test_telling_never_fails_a_call(collector: Collector, caplog: pytest.LogCaptureFixture) -> None:
    exporting = exporter()
    exporting.observe(running(is_started=True))  # never settled
    await asyncio.to_thread(exporting.stop)
    assert "telemetry of a call failed" in caplog.text


@pytest.mark.parametrize("flaps", [False, True])
def test_a_collector_that_stays_away_or_flaps_is_told_of_seldom(flaps: bool, caplog: pytest.LogCaptureFixture) -> None:
    now_s = 0.0
    watch = export._Watch("traces", lambda: now_s)
    for _ in range(5):
        watch.note(is_good=False, lost=1)
        if flaps:
            watch.note(is_good=True, lost=1)
        now_s += export.REMINDER_S / 2
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [TOLD_OF] * 3


async def test_the_callers_trace_goes_on(collector: Collector) -> None:
    exporting = exporter(Telemetry(traces=True))
    exporting.observe(settled(caller=caller(parent_span=ParentSpan("a" * 32, "b" * 16, is_sampled=True))))
    await asyncio.to_thread(exporting.stop)
    assert {span.trace_id for span in collector.spans} == {"a" * 32}
    assert {span.parent_id for span in collector.spans if span.kind == "server"} == {"b" * 16}
