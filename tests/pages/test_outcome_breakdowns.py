import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.pages.outcome_breakdowns import MEASURES, compare, groups, interval, over_time
from tests.pages.conftest import EMPTY, Store


def test_parts_come_to_the_whole(store: Store) -> None:
    whole, _ = compare(store.analysis, store.filters, (None,), tuple(MEASURES)).whole
    by_version = groups(store.analysis, store.filters, "version", ("completed",), having="tasks")
    over = over_time(store.analysis, store.filters, ("tasks",))
    assert 0 < whole["completed"] < whole["tasks"] == sum(row["tasks"] for row in by_version)
    assert whole["tasks"] == sum(row["tasks"] for row in over.rows)
    assert {row["name"] for row in by_version} == {"pv_2026_05_21_001", "pv_2026_06_04_003"}


def test_groups_without_what_is_asked_for_are_left_out(store: Store) -> None:
    tools = groups(store.analysis, store.filters, "tool", ("failed_steps", "step_ms"), having="steps")
    assert {row["name"] for row in tools} == {"find_order", "refund", "search_articles"}
    assert all(0 <= row["failed_steps"] < row["steps"] for row in tools)


def test_a_period_without_outcomes_has_none(store: Store) -> None:
    assert compare(store.analysis, EMPTY, (None,), ("tasks", "score")).whole == ({"tasks": 0, "score": None},) * 2
    assert groups(store.analysis, EMPTY, "version", ("tasks",), having="tasks") == []
    assert over_time(store.analysis, EMPTY, ("tasks",)).rows == []


@pytest.mark.parametrize(
    ("part", "whole", "low", "high"),
    [
        (0, 0, 0.0, 1.0),
        (0, 10, 0.0, 0.2775),
        (5, 10, 0.2366, 0.7634),
        (10, 10, 0.7225, 1.0),
        (800, 1000, 0.7741, 0.8236),
    ],
)
def test_intervals_are_those_of_wilson(part: int, whole: int, low: float, high: float) -> None:
    assert interval(part, whole) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(0, 10_000), st.integers(1, 10_000))
def test_a_share_lies_within_its_interval(part: int, more: int) -> None:
    low, high = interval(part, part + more)
    assert 0 <= low <= part / (part + more) <= high <= 1
