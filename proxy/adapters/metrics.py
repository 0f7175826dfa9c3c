"""Prometheus metrics of calls. Labels come from closed lists and from configuration only, never from a request."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from proxy.domain.exchange import Exchange
from proxy.domain.pricing import CostStatus

_LATENCY_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_OVERHEAD_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauges:
    """What is read from elsewhere at each scrape. Keys of `drops` are reasons."""

    pending_events: int
    pending_bytes: int
    oldest_age_s: float
    delivered: int
    delivered_unverified: int
    dead: Mapping[str, int]
    drops: Mapping[str, int]


class CallMetrics:
    """Counts settled exchanges; `observe` may be called from any thread and never raises."""

    def __init__(self, read_gauges: Callable[[], Gauges]) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        by_call = ("endpoint", "target", "status", "error_type")
        self._calls = Counter("promptlane_calls", "Calls by their end.", by_call, registry=self.registry)
        self._latency = _histogram("promptlane_call_seconds", "From request to last byte.", self.registry)
        self._ttft = _histogram("promptlane_first_token_seconds", "From request to first token.", self.registry)
        self._overhead = Histogram(
            "promptlane_overhead_seconds",
            "Time added before the request went upstream.",
            buckets=_OVERHEAD_BUCKETS_S,
            registry=self.registry,
        )
        self._tokens = Counter(
            "promptlane_tokens",
            "Tokens by direction and source.",
            ("target", "direction", "source"),
            registry=self.registry,
        )
        self._cost = Counter("promptlane_cost_usd", "Cost of priced calls.", ("target",), registry=self.registry)
        self._cost_status = Counter(
            "promptlane_cost_status",
            "Calls by whether they could be priced.",
            ("target", "cost_status"),
            registry=self.registry,
        )
        self._warnings = Counter(
            "promptlane_analytics_warnings",
            "Malformed analytics values dropped.",
            ("value", "reason"),
            registry=self.registry,
        )
        self.registry.register(_GaugeCollector(read_gauges))

    def render(self) -> bytes:
        """Prometheus text exposition."""
        return generate_latest(self.registry)

    def observe(self, exchange: Exchange) -> None:
        """Count one settled exchange."""
        attempt, fate = exchange.final_attempt, exchange.fate
        target = attempt.target.label if attempt else "none"
        endpoint = exchange.endpoint.name
        status = fate.status.value if fate else "error"
        error_type = fate.error_type.value if fate and fate.error_type else "none"
        self._calls.labels(endpoint, target, status, error_type).inc()
        for warning in exchange.caller.warnings if exchange.caller else ():
            self._warnings.labels(*warning.split(":", 1)).inc()
        if not exchange.endpoint.is_model_call or exchange.ended_ns is None:
            return
        self._latency.labels(target).observe((exchange.ended_ns - exchange.received_ns) / 1e9)
        if attempt is not None:
            self._observe_attempt(exchange, target)

    def _observe_attempt(self, exchange: Exchange, target: str) -> None:
        attempt = exchange.final_attempt
        assert attempt is not None
        first_sent_ns = exchange.attempts[0].sent_ns
        if first_sent_ns is not None and exchange.admitted_ns is not None:
            self._overhead.observe(max(0, first_sent_ns - exchange.admitted_ns) / 1e9)
        reading, cost = attempt.reading, attempt.cost
        if reading is not None:
            if reading.first_token_ns is not None:
                self._ttft.labels(target).observe((reading.first_token_ns - exchange.received_ns) / 1e9)
            usage, source = reading.usage, reading.usage_source.value
            for direction, tokens in (("input", usage.input_tokens), ("output", usage.output_tokens)):
                if tokens is not None:
                    self._tokens.labels(target, direction, source).inc(tokens)
        if cost is not None:
            self._cost_status.labels(target, cost.status.value).inc()
            if cost.status is not CostStatus.UNKNOWN and cost.total_usd is not None:
                self._cost.labels(target).inc(float(cost.total_usd))


def _histogram(name: str, text: str, registry: CollectorRegistry) -> Histogram:
    return Histogram(name, text, ("target",), buckets=_LATENCY_BUCKETS_S, registry=registry)


class _GaugeCollector(Collector):
    """Reads the journal's numbers when a scrape asks for them."""

    def __init__(self, read: Callable[[], Gauges]) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        """Yield the families of one scrape."""
        gauges = self._read()
        yield GaugeMetricFamily("promptlane_outbox_pending_events", "Events not yet delivered.", gauges.pending_events)
        yield GaugeMetricFamily("promptlane_outbox_bytes", "Bytes of pending events.", gauges.pending_bytes)
        yield GaugeMetricFamily("promptlane_outbox_oldest_age_seconds", "Age of the oldest.", gauges.oldest_age_s)
        yield CounterMetricFamily("promptlane_outbox_delivered", "Accepted by PostHog.", gauges.delivered)
        yield CounterMetricFamily(
            "promptlane_outbox_delivered_unverified", "Accepted without a verdict.", gauges.delivered_unverified
        )
        yield _by_reason("promptlane_outbox_dead", "Events PostHog refused, kept for replay.", gauges.dead)
        yield _by_reason("promptlane_outbox_dropped", "Events lost, by reason.", gauges.drops)


def _by_reason(name: str, text: str, counts: Mapping[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=("reason",))
    for reason, count in sorted(counts.items()):
        family.add_metric((reason,), count)
    return family
