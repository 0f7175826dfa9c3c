from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.pages.filters import DIMENSIONS, LONGEST, MOST_STEPS, NONE, PERIODS, filters_of
from tests.pages.conftest import NOW, Store


def test_an_address_says_period_and_values() -> None:
    found = filters_of("last=7d&model=gpt-4.1&environment=a%26b&nonsense=1", NOW)
    assert (found.begin, found.end) == (NOW - timedelta(days=7), NOW)
    assert found.chosen == {"model": "gpt-4.1", "environment": "a&b"}


@given(st.dictionaries(st.sampled_from(sorted(DIMENSIONS)), st.text(min_size=1)), st.sampled_from(sorted(PERIODS)))
def test_an_address_that_is_written_is_read_the_same(chosen: dict[str, str], period: str) -> None:
    found = filters_of(urlencode({"last": period, **chosen}), NOW)
    assert filters_of(found.query, NOW) == found


@pytest.mark.parametrize(
    "query",
    [
        "",
        "last=never",
        "from=2026-06-01",
        "from=2026-06-02&to=2026-06-01",
        "from=0001-01-01&to=9999-01-01",
        "from=x&to=y",
        "model=" + "x" * 1_001,
        "&&=&%",
        "outcome=DROP",
    ],
)
def test_what_makes_no_sense_is_as_if_it_were_not_there(query: str) -> None:
    assert filters_of(query, NOW) == filters_of("last=24h", NOW)


def test_both_ends_may_be_given_and_are_utc_where_nothing_else_is_said() -> None:
    found = filters_of("from=2026-06-01T10:00:00&to=2026-06-01T14:00:00%2B02:00", NOW)
    assert (found.begin, found.end) == (datetime(2026, 6, 1, 10, tzinfo=UTC), datetime(2026, 6, 1, 12, tzinfo=UTC))
    assert filters_of(found.query, NOW) == found


def test_the_period_before_ends_where_this_one_begins() -> None:
    found = filters_of("last=6h&model=m", NOW)
    assert (found.before.begin, found.before.end) == (NOW - timedelta(hours=12), NOW - timedelta(hours=6))
    assert found.before.chosen == found.chosen


def test_values_are_changed_and_taken_away_for_links() -> None:
    found = filters_of("last=6h&model=m", NOW)
    assert found.to("/ui/traces", error="e&f") == "/ui/traces?last=6h&model=m&error=e%26f"
    assert found.without("model").to("/ui") == "/ui?last=6h"
    assert found.over("7d").choosing_one("key", "k").all.to("/ui") == "/ui?last=7d"
    assert found.within(NOW - timedelta(days=3), NOW - timedelta(hours=5)).begin == found.begin


@given(st.integers(min_value=1, max_value=int(LONGEST.total_seconds())))
def test_a_chart_has_a_bounded_number_of_bars(length_s: int) -> None:
    found = filters_of(f"from=2026-01-01&to={(datetime(2026, 1, 1) + timedelta(seconds=length_s)).isoformat()}", NOW)  # noqa: DTZ001
    assert (found.end - found.begin).total_seconds() / found.step_s <= MOST_STEPS


HOSTILE = "x' OR 1=1; DROP TABLE calls; --"


@pytest.mark.parametrize("name", [*DIMENSIONS, "tool", "slower"])
def test_a_value_is_never_part_of_a_query(name: str, store: Store) -> None:
    where, parameters = store.filters.choosing(**{name: HOSTILE}).where_calls()
    assert HOSTILE not in where
    assert store.analysis.query(f"SELECT count(*) AS n FROM calls WHERE {where}", parameters) == [{"n": 0}]


def _count(store: Store, **chosen: str) -> int:
    where, parameters = store.filters.choosing(**chosen).where_calls()
    return int(store.analysis.query(f"SELECT count(*) AS n FROM calls WHERE {where}", parameters)[0]["n"])


def test_filters_choose_among_calls(store: Store) -> None:
    every = _count(store)
    by_model = [_count(store, model=row["model"]) for row in store.analysis.query("SELECT DISTINCT model FROM calls")]
    assert 300 < every == sum(by_model)
    assert 0 < _count(store, failed="yes") < every
    assert (
        _count(store, agent=NONE) + _count(store, agent="order_agent_v2") + _count(store, agent="order_agent_v3")
        == every
    )
    assert 0 < _count(store, slower="2000") < _count(store, slower="1000") < every
    assert (
        0 < _count(store, tool="refund", outcome="step_failed") < _count(store, tool="refund", outcome="step") < every
    )
    assert 0 < _count(store, outcome="negative") < every


def _outcomes(store: Store, only_key: str | None = None, **chosen: str) -> int:
    where, parameters = replace(store.filters, only_key=only_key).choosing(**chosen).where_outcomes()
    return int(store.analysis.query(f"SELECT count(*) AS n FROM outcomes WHERE {where}", parameters)[0]["n"])


@pytest.mark.parametrize(
    ("name", "value"),
    [*((name, HOSTILE) for name in DIMENSIONS), ("slower", "1e9"), ("tool", HOSTILE)],
)
def test_no_filter_is_passed_over_for_what_came_of_calls(name: str, value: str, store: Store) -> None:
    assert _outcomes(store, **{name: value}) == 0 < _outcomes(store)


def test_what_only_calls_have_counts_what_came_of_their_traces(store: Store) -> None:
    shares = [_outcomes(store, **chosen) for chosen in ({"status": "error"}, {"failed": "yes"}, {"slower": "1500"})]
    assert all(0 < share < _outcomes(store) for share in shares)
    assert 0 < _outcomes(store, only_key="web-app", status="error") < shares[0]


def test_a_proxy_key_sees_nothing_else_whatever_the_address_says(store: Store) -> None:
    found = filters_of("last=90d&key=batch", NOW, only_key="web-app")
    where, parameters = found.where_calls()
    assert store.analysis.query(f"SELECT count(*) AS n FROM calls WHERE {where}", parameters) == [{"n": 0}]
    where, parameters = found.where_outcomes()
    assert store.analysis.query(f"SELECT count(*) AS n FROM outcomes WHERE {where}", parameters) == [{"n": 0}]
