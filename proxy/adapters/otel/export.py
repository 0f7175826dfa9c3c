"""The SDK's pipelines, to a collector that may be slow or gone: bounded, quiet, and never in a call's way.

A call's spans are queued whole or dropped whole, by a count of what the exporter has not taken yet; so the SDK's own
queue never overflows, and what is lost is known. The exporting itself is done in the SDK's threads.
"""

import logging
import threading
import time
import uuid
from collections.abc import Callable, Sequence

import requests
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from proxy import __version__
from proxy.adapters.otel.measures import Measures
from proxy.adapters.otel.spans import SpanMaker, span_count
from proxy.domain.exchange import Exchange
from proxy.domain.policy import AnalyticsPolicy

log = logging.getLogger(__name__)

SCOPE = "promptlane"
STOP_S = 2.0
"""How long, at the end, a collector may take for what waits."""
REMINDER_S = 300.0
"""How often a collector that stays away is told of again."""


class OtelExport:
    """Tells the collector of settled exchanges, from one event loop. Threads of the SDK do the rest, until `stop`."""

    def __init__(self, policy: AnalyticsPolicy, *, worker: int, worker_count: int) -> None:
        wanted = policy.telemetry
        resource = _resource(policy.environment, f"-{worker}" if worker_count > 1 else "")
        self._traces = _Traces(resource, wanted.max_queued_spans) if wanted.traces else None
        metrics = _Metrics(resource) if wanted.metrics else None
        self._signals: Sequence[_Traces | _Metrics] = [each for each in (self._traces, metrics) if each is not None]

    @property
    def lost_spans(self) -> int:
        """Spans that found the queue full, or that no collector took."""
        return self._traces.lost if self._traces is not None else 0

    def observe(self, exchange: Exchange) -> None:
        """Tell of a model call that has events. Never raises and never waits."""
        if not exchange.is_started:
            return
        try:
            for signal in self._signals:
                signal.observe(exchange)
        except Exception:
            log.exception("telemetry of a call failed", extra={"exchange_id": exchange.exchange_id})

    def stop(self) -> None:
        """Export what waits, within `STOP_S`; what a silent collector holds up is given up. Blocks."""
        ending = threading.Thread(target=self._shut_down, name="otel-stop", daemon=True)
        ending.start()
        ending.join(STOP_S)
        if self._traces is not None:
            self._traces.give_up()
        if ending.is_alive():
            log.warning("the collector did not take the last telemetry in time", extra={"lost": self.lost_spans})

    def _shut_down(self) -> None:
        for signal in self._signals:
            try:
                signal.provider.shutdown()
            except Exception:
                log.exception("telemetry did not end well")


class _Traces:
    """Spans, by way of the SDK's queue."""

    def __init__(self, resource: Resource, max_queued_spans: int) -> None:
        self._exporter = _SpanExporter()
        self._processor = BatchSpanProcessor(self._exporter, max_queued_spans)
        self._max_queued_spans = max_queued_spans
        self._queued_spans = self._dropped_spans = 0
        self._lost_in_all: int | None = None
        self.provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self.provider.add_span_processor(self._processor)
        self._maker = SpanMaker(self.provider, InstrumentationScope(SCOPE, __version__))

    @property
    def lost(self) -> int:
        if self._lost_in_all is not None:
            return self._lost_in_all
        return self._dropped_spans + self._exporter.lost

    def give_up(self) -> None:
        """What no collector has taken until now is lost."""
        self._lost_in_all = self._dropped_spans + self._queued_spans - self._exporter.delivered

    def observe(self, exchange: Exchange) -> None:
        if self._queued_spans + span_count(exchange) - self._exporter.taken > self._max_queued_spans:
            self._dropped_spans += span_count(exchange)
            return
        for span in self._maker.spans_of(exchange):
            self._processor.on_end(span)
            self._queued_spans += 1


class _Metrics:
    """Histograms, exported from time to time."""

    def __init__(self, resource: Resource) -> None:
        reader = PeriodicExportingMetricReader(_MetricExporter())
        self.provider = MeterProvider(metric_readers=[reader], resource=resource, shutdown_on_exit=False)
        self._measures = Measures(self.provider.get_meter(SCOPE, __version__))

    def observe(self, exchange: Exchange) -> None:
        self._measures.record(exchange)


class _SpanExporter(OTLPSpanExporter):
    """Counts what it takes from the queue, and what became of it."""

    def __init__(self) -> None:
        super().__init__(session=_session())
        self.taken = self.delivered = self.lost = 0
        self._watch = _Watch("traces")

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.taken += len(spans)
        result = super().export(spans)
        is_good = result is SpanExportResult.SUCCESS
        self.delivered += len(spans) if is_good else 0
        self.lost += 0 if is_good else len(spans)
        self._watch.note(is_good=is_good, lost=self.lost)
        return result


class _MetricExporter(OTLPMetricExporter):
    """Nothing is lost when an export fails: the next one carries the sums."""

    def __init__(self) -> None:
        super().__init__(session=_session())
        self._watch = _Watch("metrics")

    def export(
        self, metrics_data: MetricsData, timeout_millis: float | None = 10_000, **kwargs: object
    ) -> MetricExportResult:
        result = super().export(metrics_data, timeout_millis, **kwargs)
        self._watch.note(is_good=result is MetricExportResult.SUCCESS, lost=0)
        return result


class _Watch:
    """Says in the log when exports fail, at most once in `REMINDER_S`, and when they then work again."""

    def __init__(self, signal: str, now_s: Callable[[], float] = time.monotonic) -> None:
        self._signal = signal
        self._now_s = now_s
        self._told_s: float | None = None
        self._is_failing = False

    def note(self, *, is_good: bool, lost: int) -> None:
        """One export ended; `lost` counts what has been lost so far."""
        said = {"signal": self._signal, "lost": lost}
        now_s = self._now_s()
        if is_good and self._is_failing:
            self._is_failing = False
            log.info("the collector takes telemetry again", extra=said)
        elif not is_good and (self._told_s is None or now_s - self._told_s >= REMINDER_S):
            self._told_s, self._is_failing = now_s, True
            log.warning("the collector does not take telemetry; see OTEL_EXPORTER_OTLP_ENDPOINT", extra=said)


def _session() -> requests.Session:
    """The exporters take a redirect for success, and send nothing to where it leads: here it is an error."""
    session = requests.Session()
    session.hooks["response"].append(_refuse_redirect)
    return session


def _refuse_redirect(response: requests.Response, *_: object, **__: object) -> None:
    if 300 <= response.status_code < 400:
        response.close()
        raise requests.TooManyRedirects


def _resource(environment: str, suffix: str) -> Resource:
    """Who we are, unless OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say otherwise.

    `suffix` keeps apart workers that were all given one name for their instance.
    """
    said = OTELResourceDetector().detect()
    instance = said.attributes.get("service.instance.id")
    ours = {
        "service.name": "promptlane",
        "service.version": __version__,
        "deployment.environment.name": environment,
    }
    named = {"service.instance.id": f"{instance}{suffix}" if instance else str(uuid.uuid4())}
    return Resource.create(ours).merge(said).merge(Resource(named))
