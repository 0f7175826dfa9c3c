from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from proxy.adapters.alert_readings import dropped, reading_of
from proxy.adapters.analysis import Analysis, open_analysis
from proxy.domain.alerts import DIMENSIONS, Drops, Metric, Reading, Rule
from tests.harness.kept_calls import Kept, keep

NOW = datetime(2026, 11, 26, 4, 0, tzinfo=UTC)
ERROR = {"status": "error", "latency_ms": 60_000.0}
SLOW = {"latency_ms": 5_000.0, "ttft_ms": 900.0, "estimated_cost_usd": 2.0, "model": "gpt-5", "provider": "openai"}
QUICK = {"latency_ms": 1_000.0, "ttft_ms": 100.0, "estimated_cost_usd": 0.5, "prompt_name": "greeting"}


NOW_CALLS: list[dict[str, Any]] = [ERROR, ERROR, {"status": "cancelled"}, *[QUICK] * 6, SLOW]


def calls() -> Iterator[Kept]:
    """Ten now: two failed, one left, six quick, one slow. 24 on the day before: one failed, the others slow."""
    for number, properties in enumerate(NOW_CALLS):
        yield NOW - timedelta(seconds=1 + number), {"environment": "production", **properties}
    for number, properties in enumerate([ERROR, *[SLOW] * 23]):
        yield NOW - timedelta(minutes=10, hours=number, seconds=1), {"environment": "staging", **properties}
    yield NOW - timedelta(minutes=10, days=1, seconds=1), ERROR
    yield NOW, ERROR
    judge = {"call_purpose": "judge", "environment": "judged", "estimated_cost_usd": 0.25}
    yield NOW - timedelta(seconds=1), judge


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Analysis]:
    folder = tmp_path_factory.mktemp("data")
    moments = (NOW - timedelta(seconds=1), NOW - timedelta(hours=1), NOW)
    keep(folder, calls(), drifted=[(at, dict.fromkeys(DIMENSIONS.values(), "greeting")) for at in moments])
    with open_analysis(folder) as analysis:
        yield analysis


def rule(metric: Metric, **more: Any) -> Rule:
    return Rule(name="r", metric=metric, above=0, **more)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (rule(Metric.ERROR_RATE), Reading(value=0.2, calls=10)),
        (rule(Metric.ERROR_RATE, times_usual=2), Reading(value=0.2, calls=10, usual=1 / 24)),
        (rule(Metric.ERROR_RATE, min_calls=10), Reading(value=0.2, calls=10)),
        (rule(Metric.ERROR_RATE, min_calls=11), Reading(value=None, calls=10)),
        (rule(Metric.ERROR_RATE, min_calls=25, times_usual=2), Reading(value=None, calls=10)),
        (rule(Metric.ERROR_RATE, where={"environment": "staging"}), Reading(value=None, calls=0)),
        (rule(Metric.COST, times_usual=2), Reading(value=5.25, calls=11, usual=46 / 144)),
        (rule(Metric.COST, window_s=10, where={"model": "gpt-5", "provider": "openai"}), Reading(value=2.0, calls=1)),
        (rule(Metric.COST, where={"key": "nobody"}), Reading(value=0.0, calls=0)),
        (rule(Metric.LATENCY, quantile=0.5), Reading(value=1_000.0, calls=7)),
        (rule(Metric.LATENCY, quantile=0.99, times_usual=2), Reading(value=4_760.0, calls=7, usual=5_000.0)),
        (rule(Metric.TTFT, quantile=0.5, where={"prompt": "greeting"}), Reading(value=100.0, calls=6)),
        (rule(Metric.DRIFT), Reading(value=1.0)),
        (rule(Metric.DRIFT, window_s=3600), Reading(value=2.0)),
        (rule(Metric.DRIFT, where={"prompt": "another"}), Reading(value=0.0)),
        (rule(Metric.DRIFT, where=dict.fromkeys(DIMENSIONS, "greeting")), Reading(value=1.0)),
        (rule(Metric.COST, where={"environment": "judged"}), Reading(value=0.25, calls=1)),
        (rule(Metric.ERROR_RATE, where={"environment": "judged"}), Reading(value=None)),
    ],
)
def test_a_rule_has_its_number(tables: Analysis, asked: Rule, found: Reading) -> None:
    got = reading_of(tables, asked, NOW)
    assert got.calls == found.calls
    assert got.value == pytest.approx(found.value)
    assert got.usual == pytest.approx(found.usual)


def test_dropped_events_are_those_that_looks_have_seen_within_the_window() -> None:
    now_us = int(NOW.timestamp() * 1e6)
    drops = Drops(totals={"journal": 9}, lost=((now_us - 601_000_000, 4), (now_us - 1, 5)))
    assert dropped(drops, rule(Metric.DROPPED), NOW) == Reading(value=5.0)
    assert dropped(drops, rule(Metric.DROPPED, window_s=700), NOW) == Reading(value=9.0)
