"""Metrics from one worker to a collector that may be slow or gone: bounded, quiet, and never in a call's way.

Nothing is lost when an export fails, but for the last one: the next one carries the sums. The exporting itself is done
in the SDK's threads.
"""

import logging
import threading

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData, PeriodicExportingMetricReader

from proxy import __version__
from proxy.adapters.collector_watch import CollectorWatch
from proxy.adapters.otel.measures import Measures
from proxy.adapters.otel.sdk import SCOPE, CollectorSession, resource_of
from proxy.domain.exchange import Exchange

log = logging.getLogger(__name__)

STOP_S = 2.0
"""How long, at the end, a collector may take for the last sums."""


class MetricExport:
    """Counts settled exchanges, from one event loop. Threads of the SDK do the rest, until `stop`."""

    def __init__(self, environment: str, *, worker: int, worker_count: int) -> None:
        reader = PeriodicExportingMetricReader(_MetricExporter())
        resource = resource_of(environment, f"-{worker}" if worker_count > 1 else "")
        self._provider = MeterProvider(metric_readers=[reader], resource=resource, shutdown_on_exit=False)
        self._measures = Measures(self._provider.get_meter(SCOPE, __version__))

    def observe(self, exchange: Exchange) -> None:
        """Count a model call that has events. Never raises and never waits."""
        if not exchange.is_started:
            return
        try:
            self._measures.record(exchange)
        except Exception:
            log.exception("telemetry of a call failed", extra={"exchange_id": exchange.exchange_id})

    def stop(self) -> None:
        """Export the last sums, within `STOP_S`. Blocks."""
        ending = threading.Thread(target=self._shut_down, name="otel-stop", daemon=True)
        ending.start()
        ending.join(STOP_S)
        if ending.is_alive():
            log.warning("the collector did not take the last telemetry in time")

    def _shut_down(self) -> None:
        try:
            self._provider.shutdown()
        except Exception:
            log.exception("telemetry did not end well")


class _MetricExporter(OTLPMetricExporter):
    def __init__(self) -> None:
        super().__init__(session=CollectorSession())
        self._watch = CollectorWatch("metrics")

    def export(
        self, metrics_data: MetricsData, timeout_millis: float | None = 10_000, **kwargs: object
    ) -> MetricExportResult:
        result = super().export(metrics_data, timeout_millis, **kwargs)
        self._watch.note(is_good=result is MetricExportResult.SUCCESS, lost=0)
        return result
