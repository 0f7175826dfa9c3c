from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from proxy.pages.breakdowns import MEASURES, compare, groups
from proxy.pages.comparison import Comparison, Remembered, Row, some
from tests.pages.conftest import Store


class Counting:
    """Counts what is asked of the store."""

    def __init__(self, store: Store) -> None:
        self._analysis = store.analysis
        self.asked = 0

    def query(self, sql: str, params: Mapping[str, object]) -> list[Row]:
        self.asked += 1
        return self._analysis.query(sql, params)


def test_one_question_has_the_answers_to_many(store: Store) -> None:
    analysis = Counting(store)
    found = compare(analysis, store.filters, (None, "model", "provider"), tuple(MEASURES))
    assert analysis.asked == 1
    for by in ("model", "provider"):
        now = groups(store.analysis, store.filters, by, tuple(MEASURES))
        before = groups(store.analysis, store.filters.before, by, tuple(MEASURES))
        told = found.greatest(by, lambda row: row["calls"])
        assert [_rounded(row) for row, _ in told] == [_rounded(row) for row in now]
        assert sorted(_rounded(row) for _, row in told if row) == sorted(_rounded(row) for row in before)
    for whole, filters in zip(found.whole, (store.filters, store.filters.before), strict=True):
        assert whole["calls"] == sum(row["calls"] for row in groups(analysis, filters, "model", ("calls",))) > 0


def _rounded(row: Row) -> str:
    """Sums of floats depend on the order in which a thread comes by them."""
    return repr({name: round(value, 9) if isinstance(value, float) else value for name, value in sorted(row.items())})


def test_what_is_new_in_a_period_has_nothing_before_it(store: Store) -> None:
    first = replace(store.filters, begin=store.filters.begin - timedelta(days=2))
    found = compare(store.analysis, first, (None, "model"), ("calls", "cost_usd"))
    assert found.whole[1] == {"calls": 0, "cost_usd": None}
    assert {len(before) for _, before in found.groups["model"]} == {0}


def test_the_greatest_come_first_then_by_name_and_those_without_the_value_not_at_all() -> None:
    rows: list[Row] = [{"name": name, "failed": failed} for name, failed in (("b", 2), ("c", 0), ("a", 2), ("d", 5))]
    found = Comparison(({}, {}), {"model": [(row, {}) for row in rows]})
    assert [row["name"] for row, _ in found.greatest("model", some("failed"))] == ["d", "a", "b"]
    assert [row["name"] for row, _ in found.greatest("model", lambda row: row["failed"], 1)] == ["d"]


def test_the_same_question_is_asked_once(store: Store) -> None:
    analysis = Counting(store)
    remembered = Remembered(analysis)
    filters = (store.filters, store.filters, store.filters.before, store.filters.choosing(model="gpt-4.1"))
    counted = [compare(remembered, each, (None,), ("calls",)).whole[0]["calls"] for each in filters]
    assert analysis.asked == 3
    assert counted[0] == counted[1] != counted[2] != counted[3]
