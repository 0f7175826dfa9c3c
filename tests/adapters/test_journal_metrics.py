from collections.abc import Sequence

import pytest
from prometheus_client import CollectorRegistry

from proxy.adapters.journal import JournalStats
from proxy.adapters.journal_metrics import JournalMetrics

FIRST = JournalStats(
    admitted=21,
    pending=2,
    pending_bytes=30,
    oldest_pending_unix_us=8_000_000,
    delivered={"verified": 1, "unverified": 5},
    dead={"poison": 7},
    dropped={"queue_full": 6},
    exchanges=4,
    store_bytes=500,
)
SECOND = JournalStats(
    admitted=6, oldest_pending_unix_us=9_000_000, delivered={"verified": 2}, dead={"poison": 1}, dropped={"expired": 2}
)
IDLE = JournalStats()


@pytest.fixture
def files() -> list[JournalStats]:
    return []


@pytest.fixture
def registry(files: Sequence[JournalStats]) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(JournalMetrics(lambda: files, lambda: 1000, wall_unix_s=lambda: 10.0))
    return registry


def test_the_files_of_all_workers_are_summed(registry: CollectorRegistry, files: list[JournalStats]) -> None:
    files += [FIRST, SECOND, IDLE]

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"promptlane_{name}", labels)

    assert value("outbox_pending_events") == 2
    assert value("outbox_bytes") == 30
    assert value("outbox_max_bytes") == 1000
    assert value("outbox_oldest_age_seconds") == 2.0
    assert value("outbox_delivered_total") == 8
    assert value("outbox_delivered_unverified_total") == 5
    assert value("outbox_dead", reason="poison") == 8
    assert value("outbox_dropped_total", reason="queue_full") == 6
    assert value("outbox_dropped_total", reason="expired") == 2
    assert value("outbox_unbalanced") == 1
    assert value("store_calls") == 4
    assert value("store_bytes") == 500


def test_it_is_read_at_each_scrape(registry: CollectorRegistry, files: list[JournalStats]) -> None:
    assert registry.get_sample_value("promptlane_outbox_oldest_age_seconds") == 0.0
    assert registry.get_sample_value("promptlane_store_calls") == 0
    files.append(FIRST)
    assert registry.get_sample_value("promptlane_store_calls") == 4
