from datetime import timedelta

from proxy.pages.breakdowns import MEASURES, compare, groups, over_time, ratio, values_of
from proxy.pages.specs import OTHER
from tests.pages.conftest import EMPTY, NOW, Store


def test_parts_come_to_the_whole(store: Store) -> None:
    whole, _ = compare(store.analysis, store.filters, (None,), tuple(MEASURES)).whole
    by_model = groups(store.analysis, store.filters, "model", ("calls", "failed", "cost_usd"))
    over = over_time(store.analysis, store.filters, ("calls",))
    assert whole["calls"] == sum(row["calls"] for row in by_model) == sum(row["calls"] for row in over.rows)
    assert whole["failed"] == sum(row["failed"] for row in by_model)
    assert round(whole["cost_usd"], 9) == round(sum(row["cost_usd"] for row in by_model), 9)
    assert [row["calls"] for row in by_model] == sorted((row["calls"] for row in by_model), reverse=True)


def test_what_is_beyond_the_most_frequent_is_other_and_comes_last(store: Store) -> None:
    models = compare(store.analysis, store.filters, ("model",), ("calls",)).greatest(
        "model", lambda row: row["calls"], 2
    )
    found = over_time(store.analysis, store.filters, ("calls",), by="model", shown=models)
    assert (len(found.names), found.names[-1]) == (3, OTHER)


def test_steps_of_time_are_the_same_whenever_one_looks(store: Store) -> None:
    found = over_time(store.analysis, store.filters, ("calls",), step=timedelta(hours=3))
    assert {row["begin"].hour % 3 for row in found.rows} == {0}
    assert all(row["begin"] <= NOW and row["end"] - row["begin"] == timedelta(hours=3) for row in found.rows)


def test_percentiles_are_in_order(store: Store) -> None:
    (whole, _) = compare(store.analysis, store.filters, (None,), ("latency_ms", "ttft_p95_ms")).whole
    p50, p95, p99 = whole["latency_ms"]
    assert 0 < p50 < p95 < p99
    assert 0 < whole["ttft_p95_ms"] < p95


def test_a_period_without_calls_has_no_percentiles_and_no_groups(store: Store) -> None:
    found = compare(store.analysis, EMPTY, (None, "model"), ("calls", "repeats", "latency_ms"))
    assert found.whole == ({"calls": 0, "repeats": 0, "latency_ms": None},) * 2
    assert found.groups["model"] == []
    assert groups(store.analysis, EMPTY, "model", ("calls",)) == []
    assert values_of(store.analysis, EMPTY, ("model",)) == {"model": []}


def test_values_are_offered_whatever_is_chosen(store: Store) -> None:
    offered = values_of(store.analysis, store.filters.choosing(model="gpt-4.1"), ("model", "provider"))
    assert offered["provider"] == ["anthropic", "google", "openai"]
    assert len(offered["model"]) == 5


def test_nothing_is_divided_by_nothing() -> None:
    assert (ratio(1, 4), ratio(0, 4), ratio(1, 0), ratio(None, 4), ratio(1, None)) == (0.25, 0, None, None, None)
