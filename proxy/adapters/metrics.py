"""Prometheus metrics of calls and of this process. Labels come from closed lists and from configuration only, never
from a request.

Several workers count into one folder of shared memory maps, prometheus_client's multi-process mode, so that whichever
worker answers a scrape tells the sums of all, and what a dead worker has counted stays counted. The library takes the
folder from `PROMETHEUS_MULTIPROC_DIR`, which whoever starts the workers sets for them; see `metric_files`. What is
read at a scrape, as the journal's numbers are, is a collector in a registry of its own.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from proxy import __version__
from proxy.adapters.metric_files import count_as
from proxy.adapters.tallies import LATENCY_BUCKETS_S, OVERHEAD_BUCKETS_S, Alike, SummedHistogram, Tally
from proxy.domain.checks import CheckResult
from proxy.domain.exchange import Attempt, Exchange
from proxy.domain.pricing import CostStatus

_COMMIT_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_UNKNOWN = CostStatus.UNKNOWN
M = TypeVar("M", bound=MetricWrapperBase)

PARTS = ("memory", "disk_full", "delivery", "flags", "telemetry")
"""What may be degraded: the journal has no file, the journal has no room, events cannot be delivered, definitions of
feature flags cannot be fetched, an OpenTelemetry collector takes no traces.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """What one worker says of itself from time to time. `degraded` holds some of `PARTS`."""

    calls_running: int = 0
    queued_rows: int = 0
    queued_bytes: int = 0
    retried_events: int = 0
    """Since the worker started."""
    lost_spans: int = 0
    """Since the worker started; see `adapters.telemetry`."""
    telemetry_lag_s: float = 0.0
    """How long ago the oldest call ended that the collector could not be told of."""
    lost_content: int = 0
    """Since the worker started; see `adapters.content`."""
    alerts_firing: int = 0
    degraded: tuple[str, ...] = ()


class CallMetrics:
    """Counts settled exchanges, on the event loop; never raises."""

    def __init__(
        self,
        journal: Collector,
        shared_dir: Path | None = None,
        worker: int = 0,
        later: Callable[[Callable[[], None]], None] = lambda action: action(),
    ) -> None:
        """`journal` is read at each scrape. `shared_dir` is where the workers count, None with one alone. By `later`
        the library is told of several calls at once.
        """
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._own = CollectorRegistry()
        self._shown = self._own if shared_dir is None else CollectorRegistry()
        count_as(None if shared_dir is None else worker)
        if shared_dir is not None:
            MultiProcessCollector(self._shown, str(shared_dir))  # type: ignore[no-untyped-call]
        self._shown.register(journal)
        self.configuration = ConfigurationMetrics(self._own)
        self._shown.register(self.configuration)
        self._later = later
        self._tallies: dict[tuple[str, str, str, str, str, str], Tally] = {}
        """By the fields of an `Alike`, which is made where it is read."""
        self._series: dict[tuple[MetricWrapperBase, tuple[str, ...]], MetricWrapperBase] = {}
        by_call = ("endpoint", "target", "status", "error_type")
        self._calls = self._counter("promptlane_calls", "Calls by their end.", *by_call)
        self._latency = self._seconds(
            "promptlane_call_seconds", "From request to last byte.", LATENCY_BUCKETS_S, "target"
        )
        self._ttft = self._seconds(
            "promptlane_first_token_seconds", "From request to first token.", LATENCY_BUCKETS_S, "target"
        )
        self._overhead = self._seconds(
            "promptlane_overhead_seconds", "Time added before the request went upstream.", OVERHEAD_BUCKETS_S
        )
        self._tokens = self._counter(
            "promptlane_tokens", "Tokens by direction and source.", "target", "direction", "source"
        )
        self._cost = self._counter("promptlane_cost_usd", "Cost of priced calls.", "target")
        self._cost_status = self._counter(
            "promptlane_cost_status", "Calls by whether they could be priced.", "target", "cost_status"
        )
        self._warnings = self._counter(
            "promptlane_analytics_warnings",
            "Analytics values dropped, and calls that a wrapper of PostHog captures too.",
            "value",
            "reason",
        )
        self._outcomes = self._counter(
            "promptlane_outcomes", "Outcomes by what became of them; of a refused call, one.", "verb", "result"
        )
        self._decisions = self._counter(
            "promptlane_flag_decisions", "Variants served by rollouts, and why.", "flag", "variant", "reason"
        )
        self._checks = self._counter(
            "promptlane_checks", "Checks of answers by what they came to; `lost`: there was no time.", "check", "result"
        )
        self._commits = self._seconds(
            "promptlane_journal_commit_seconds", "Time of one commit of the journal.", _COMMIT_BUCKETS_S
        )
        self._count_vitals()

    def _count_vitals(self) -> None:
        """What the worker says of itself."""
        self._retried = self._counter("promptlane_outbox_retried", "Events sent again after a failure.")
        self._lost_spans = self._counter(
            "promptlane_telemetry_lost_spans", "Spans that no collector took, or ever will."
        )
        self._telemetry_lag = Gauge(
            "promptlane_telemetry_lag_seconds",
            "How long ago the oldest call ended that the collector could not be told of; 0 where it knows all.",
            registry=self._own,
            multiprocess_mode="livemax",
        )
        self._lost_content = self._counter(
            "promptlane_content_lost", "Calls whose content was to be kept, and had no room."
        )
        self._last = Vitals()
        self._running = self._gauge("promptlane_calls_running", "Calls that run now.")
        self._queued_rows = self._gauge("promptlane_journal_queued_rows", "Rows that wait for the journal's writer.")
        self._queued_bytes = self._gauge("promptlane_journal_queued_bytes", "Bytes of these rows.")
        self._alerts_firing = self._gauge("promptlane_alerts_firing", "Alerts of alerts.yaml that fire now.")
        self._degraded = Gauge(
            "promptlane_degraded",
            "1 where a part of the analytics is in trouble; calls go on.",
            ("part",),
            registry=self._own,
            multiprocess_mode="livemax",
        )
        self._gauge("promptlane_workers", "Processes that serve.").set(1)
        self._counter("promptlane_worker_starts", "Times that a worker was started.").inc()

    def render(self) -> bytes:
        """Prometheus text exposition. Reads the disk."""
        return generate_latest(self._shown)

    def publish(self, vitals: Vitals) -> None:
        """Take in what the worker says of itself, for its own scrapes and the other workers'."""
        self._running.set(vitals.calls_running)
        self._queued_rows.set(vitals.queued_rows)
        self._queued_bytes.set(vitals.queued_bytes)
        self._alerts_firing.set(vitals.alerts_firing)
        self._retried.inc(vitals.retried_events - self._last.retried_events)
        self._lost_spans.inc(vitals.lost_spans - self._last.lost_spans)
        self._telemetry_lag.set(vitals.telemetry_lag_s)
        self._lost_content.inc(vitals.lost_content - self._last.lost_content)
        self._last = vitals
        for part in PARTS:
            self._degraded.labels(part).set(part in vitals.degraded)

    def observe_commit(self, duration_s: float) -> None:
        """Note one commit of the journal."""
        self._commits.observe(duration_s)

    def count_outcome(self, verb: str, result: str) -> None:
        """Count one outcome, or one call that was refused."""
        self._one(self._outcomes, verb, result).inc()

    def observe_check(self, name: str, result: CheckResult) -> None:
        """Count one check, or one judge, of an answer."""
        self._one(self._checks, name, result).inc()

    def observe(self, exchange: Exchange) -> None:
        """Count one settled exchange."""
        attempt, fate = exchange.final_attempt, exchange.fate
        reading, cost = (attempt.reading, attempt.cost) if attempt is not None else (None, None)
        # `_value_` is the attribute behind `value`, which is two function calls
        alike = (
            exchange.endpoint.name,
            attempt.target.label if attempt is not None else "none",
            fate.status._value_ if fate is not None else "error",
            fate.error_type._value_ if fate is not None and fate.error_type is not None else "none",
            reading.usage_source._value_ if reading is not None else "",
            cost.status._value_ if cost is not None else "",
        )
        tally, is_first = self._tallies.get(alike), not self._tallies
        if tally is None:
            tally = self._tallies[alike] = Tally()
        tally.calls += 1
        if exchange.endpoint.is_model_call and exchange.ended_ns is not None:
            tally.latency.note(exchange.ended_ns - exchange.received_ns)
            if attempt is not None:
                _note_attempt(tally, attempt, exchange)
        self._count_findings(exchange)
        if is_first:
            self._later(self._tell)

    def _count_findings(self, exchange: Exchange) -> None:
        """What few calls have."""
        for warning in exchange.caller.warnings if exchange.caller else ():
            self._one(self._warnings, *warning.split(":", 1)).inc()
        for made in exchange.decisions:
            self._one(self._decisions, made.flag, made.variant, made.reason).inc()
        for check, finding in exchange.evaluation.found if exchange.evaluation else ():
            self.observe_check(check.name, finding.result)

    def _tell(self) -> None:
        """Tell the library what was counted since it was told last."""
        tallies, self._tallies = self._tallies, {}
        for labels, tally in tallies.items():
            alike = Alike(*labels)
            target, source = alike.target, alike.source
            self._one(self._calls, alike.endpoint, target, alike.status, alike.error_type).inc(tally.calls)
            if any(tally.latency.counts):
                self._one(self._latency, target).add(tally.latency)
            if any(tally.first_token.counts):
                self._one(self._ttft, target).add(tally.first_token)
            self._overhead.add(tally.overhead)
            for direction, tokens in (("input", tally.input_tokens), ("output", tally.output_tokens)):
                if tokens is not None:
                    self._one(self._tokens, target, direction, source).inc(tokens)
            if alike.cost_status and any(tally.latency.counts):
                self._one(self._cost_status, target, alike.cost_status).inc(tally.calls)
            if tally.cost_usd is not None:
                self._one(self._cost, target).inc(tally.cost_usd)

    def _one(self, metric: M, *labels: str) -> M:
        """The series of these label values; the library's own look-up is ten times as slow."""
        key = (metric, labels)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = metric.labels(*labels)
        return cast("M", series)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self._own)

    def _seconds(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> SummedHistogram:
        return SummedHistogram(name, text, labels, buckets=buckets, registry=self._own)

    def _gauge(self, name: str, text: str) -> Gauge:
        """Summed over the workers that live."""
        return Gauge(name, text, registry=self._own, multiprocess_mode="livesum")


def _note_attempt(tally: Tally, attempt: Attempt, exchange: Exchange) -> None:
    first_sent_ns = exchange.attempts[0].sent_ns
    if first_sent_ns is not None and exchange.admitted_ns is not None:
        tally.overhead.note(max(0, first_sent_ns - exchange.admitted_ns))
    reading, cost = attempt.reading, attempt.cost
    if reading is not None:
        if reading.first_token_ns is not None:
            tally.first_token.note(reading.first_token_ns - exchange.received_ns)
        if reading.usage.input_tokens is not None:
            tally.input_tokens = (tally.input_tokens or 0) + reading.usage.input_tokens
        if reading.usage.output_tokens is not None:
            tally.output_tokens = (tally.output_tokens or 0) + reading.usage.output_tokens
    if cost is not None and cost.total_usd is not None and cost.status is not _UNKNOWN:
        tally.cost_usd = (tally.cost_usd or 0.0) + float(cost.total_usd)


class ConfigurationMetrics(Collector):
    """Which code and configuration run. The digest is that of the worker that answers."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._digest = ""
        self._reloads = Counter(
            "promptlane_config_reloads", "Changes of the configuration.", ("result",), registry=registry
        )
        self._is_current = Gauge(
            "promptlane_config_last_reload_successful",
            "0 where what lies on disk cannot be used and an earlier configuration runs.",
            registry=registry,
            multiprocess_mode="livemin",
        )
        self._loaded = Gauge(
            "promptlane_config_loaded_timestamp_seconds",
            "When the configuration that runs was taken up.",
            registry=registry,
            multiprocess_mode="livemin",
        )

    def runs(self, digest: str, *, is_reload: bool) -> None:
        """This configuration runs from now on."""
        self._digest = digest
        self._is_current.set(1)
        self._loaded.set(time.time())
        if is_reload:
            self._reloads.labels("applied").inc()

    def refused(self) -> None:
        """What lies on disk cannot be used."""
        self._is_current.set(0)
        self._reloads.labels("refused").inc()

    def collect(self) -> Iterator[Metric]:
        """Yield the families of one scrape."""
        build = GaugeMetricFamily("promptlane_build_info", "The code that runs.", labels=("version",))
        build.add_metric((__version__,), 1)
        yield build
        config = GaugeMetricFamily("promptlane_config_info", "The configuration that runs.", labels=("digest",))
        config.add_metric((self._digest,), 1)
        yield config
