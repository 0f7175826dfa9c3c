import asyncio
from typing import Any

import pytest

from proxy import __version__
from proxy.adapters.otel import metrics
from proxy.adapters.otel.metrics import MetricExport
from proxy.domain.exchange import Exchange
from tests.harness.call import PATIENCE_S
from tests.harness.collector import Collector
from tests.harness.exchanges import finished, running

DURATION = "gen_ai.client.operation.duration"
TOLD_OF = "the collector does not take telemetry; see OTEL_EXPORTER_OTLP_ENDPOINT"


def exporter(*, worker: int = 0, worker_count: int = 1) -> MetricExport:
    return MetricExport("staging", worker=worker, worker_count=worker_count)


def settled(**changes: Any) -> Exchange:
    return finished(is_started=True, **changes)


async def test_metrics_of_a_call_reach_the_collector(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20token")
    exporting = exporter()
    exporting.observe(settled())
    await collector.wait_for(lambda seen: len(seen.metrics) == 3)
    await asyncio.to_thread(exporting.stop)
    assert {head.get("authorization") for head in collector.heads} == {"Bearer token"}
    assert {head.start_line.split(" ")[1] for head in collector.heads} == {"/v1/metrics"}
    assert collector.resources[-1]["service.version"] == __version__


async def test_the_last_sums_are_sent_before_the_end(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "60000")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=pod-7")
    exporting = exporter(worker=1, worker_count=2)
    exporting.observe(settled())
    await asyncio.to_thread(exporting.stop)
    assert len(collector.metrics) == 3
    assert collector.resources[-1]["service.instance.id"] == "pod-7-1"


async def test_a_call_without_events_has_no_telemetry(collector: Collector) -> None:
    exporting = exporter()
    exporting.observe(finished())
    exporting.observe(running(caller=None))
    await asyncio.to_thread(exporting.stop)
    assert collector.metrics == {}


@pytest.mark.parametrize("status", [400, 307])
async def test_metrics_outlive_a_collector_that_refused_them(
    collector: Collector, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A redirect is a refusal: the SDK does not follow one, and would take it for success."""
    collector.status = status
    exporting = exporter()
    exporting.observe(settled())
    await collector.wait_for(lambda seen: len(seen.heads) == 2)
    collector.status = 200
    await collector.wait_for(lambda seen: bool(seen.metrics))
    await asyncio.to_thread(exporting.stop)
    (point,) = collector.points(DURATION).values()
    assert point.count == 1
    assert [record.message for record in caplog.records if record.levelname == "WARNING"].count(TOLD_OF) == 1


async def test_a_silent_collector_holds_up_the_end_for_a_bounded_time(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(metrics, "STOP_S", 0.05)
    collector.gate = asyncio.Event()
    exporting = exporter()
    exporting.observe(settled())
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.to_thread(exporting.stop)
    assert "did not take the last telemetry in time" in caplog.text


async def test_telling_never_fails_a_call(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def wrong(*_: object) -> None:
        raise ValueError

    exporting = exporter()
    monkeypatch.setattr(exporting._measures, "record", wrong)
    exporting.observe(settled())
    await asyncio.to_thread(exporting.stop)
    assert "telemetry of a call failed" in caplog.text
