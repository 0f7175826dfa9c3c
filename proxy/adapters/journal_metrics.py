"""The journal's numbers for Prometheus: those of all files in the data folder, whoever writes them."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from proxy.adapters.journal import JournalStats


class JournalMetrics(Collector):
    """Reads when a scrape asks. Totals are as old as the files: a restart does not set them back."""

    def __init__(
        self,
        read: Callable[[], Sequence[JournalStats]],
        max_bytes: Callable[[], int],
        wall_unix_s: Callable[[], float] = time.time,
    ) -> None:
        """`max_bytes`: the configured bound of what may wait, all workers together."""
        self._read = read
        self._max_bytes = max_bytes
        self._now_s = wall_unix_s

    def collect(self) -> Iterator[Metric]:
        """Yield the families of one scrape."""
        found = self._read()
        yield _gauge("outbox_pending_events", "Events not yet delivered.", sum(stats.pending for stats in found))
        yield _gauge("outbox_bytes", "Bytes of pending events.", sum(stats.pending_bytes for stats in found))
        yield _gauge("outbox_max_bytes", "What may wait at most.", self._max_bytes())
        yield _gauge("outbox_oldest_age_seconds", "Age of the oldest.", self._oldest_age_s(found))
        delivered = _summed(stats.delivered for stats in found)
        yield _total("outbox_delivered", "Accepted by PostHog.", sum(delivered.values()))
        yield _total("outbox_delivered_unverified", "Accepted without a verdict.", delivered.get("unverified", 0))
        dead = GaugeMetricFamily(
            "promptlane_outbox_dead", "Events PostHog refused, kept for replay.", labels=("reason",)
        )
        yield _by_reason(dead, _summed(stats.dead for stats in found))
        dropped = CounterMetricFamily("promptlane_outbox_dropped", "Events lost, by reason.", labels=("reason",))
        yield _by_reason(dropped, _summed(stats.dropped for stats in found))
        yield _gauge(
            "outbox_unbalanced",
            "Events of which nobody knows; not 0 is a bug.",
            sum(stats.unbalanced for stats in found),
        )
        yield _gauge("store_calls", "Ended calls whose records are kept.", sum(stats.exchanges for stats in found))
        yield _gauge("store_bytes", "Bytes of these records.", sum(stats.store_bytes for stats in found))

    def _oldest_age_s(self, found: Sequence[JournalStats]) -> float:
        oldest_us = min(
            (stats.oldest_pending_unix_us for stats in found if stats.oldest_pending_unix_us is not None), default=None
        )
        return 0.0 if oldest_us is None else max(0.0, self._now_s() - oldest_us / 1e6)


def _summed(counts: Iterator[Mapping[str, int]]) -> Mapping[str, int]:
    return sum((Counter(one) for one in counts), Counter())


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"promptlane_{name}", text, value)


def _total(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"promptlane_{name}", text, value)


def _by_reason(family: GaugeMetricFamily | CounterMetricFamily, counts: Mapping[str, int]) -> Metric:
    for reason, count in sorted(counts.items()):
        family.add_metric((reason,), count)
    return family
