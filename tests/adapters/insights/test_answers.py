"""Every tile is answered, and what can be counted by hand is right."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from proxy.adapters.analysis import Analysis, open_analysis
from proxy.adapters.insights import Answer, Insights
from proxy.domain.dashboards import DASHBOARDS, Dashboard, Tile, experiment_dashboard
from proxy.domain.dashboards.tiles import Series, funnel, share, trend
from proxy.domain.event_properties import COMPLETED, FAILED
from proxy.domain.outcome_properties import TASK_COMPLETED
from tools.bench.store import SPAN_DAYS, fill

END = datetime(2026, 11, 20, tzinfo=UTC)
BEGIN = END - timedelta(days=SPAN_DAYS)
EXPERIMENT = experiment_dashboard("support_answer", "support-answer", TASK_COMPLETED, "task_completed")
ALL = (*DASHBOARDS, EXPERIMENT)
TILES = [(dashboard, tile) for dashboard in ALL for tile in dashboard.tiles]
NOT_SEEDED = {
    "traffic/attempts-saved",
    "quality/drift",
    f"{EXPERIMENT.slug}/exposures",
}
"""Of events that the seed has none of."""


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Analysis]:
    folder = tmp_path_factory.mktemp("insights")
    fill(folder, 900, until=END)
    with open_analysis(folder) as analysis:
        yield analysis


@pytest.fixture(scope="module")
def insights(analysis: Analysis) -> Insights:
    return Insights(analysis, [tile for dashboard in ALL for tile in dashboard.tiles])


def ask(insights: Insights, query: Any) -> Answer:
    return insights.answer(query, BEGIN, END)


@pytest.mark.parametrize(
    ("dashboard", "tile"), TILES, ids=[f"{dashboard.slug}/{tile.slug}" for dashboard, tile in TILES]
)
def test_a_tile_is_answered(insights: Insights, dashboard: Dashboard, tile: Tile) -> None:
    answer = ask(insights, tile.query)
    assert bool(answer.rows) is (f"{dashboard.slug}/{tile.slug}" not in NOT_SEEDED)
    values = [row[-1] for row in answer.rows]
    assert answer.kind == "table" or not answer.rows or any(value is not None for value in values)


def test_a_trend_counts_by_day_and_series(insights: Insights, analysis: Analysis) -> None:
    answer = ask(insights, trend(Series(event=COMPLETED, name="calls"), by=["model"]))
    truth = analysis.query(
        "SELECT date_trunc('day', ended_at) AS day, model, count(*) AS calls FROM calls WHERE event = $event"
        " GROUP BY ALL ORDER BY ALL",
        {"event": COMPLETED},
    )
    assert sorted(answer.rows) == [tuple(row.values()) for row in truth]
    assert sum(value for _, _, value in answer.rows) < 900


def test_a_share_has_a_day_on_which_one_side_is_empty(insights: Insights, analysis: Analysis) -> None:
    query = share(Series(event=FAILED, name="f"), Series(event=COMPLETED, name="c"), "rate", of_both=True)
    rates = {day: rate for day, _, rate in ask(insights, query).rows}
    truth = analysis.query(
        "SELECT date_trunc('day', ended_at) AS day, count(*) FILTER (event = $event) / count(*) AS rate FROM calls"
        " GROUP BY day",
        {"event": FAILED},
    )
    assert rates == {row["day"]: pytest.approx(row["rate"]) for row in truth}
    assert 0.0 in rates.values()


def test_a_quantile_is_of_the_property(insights: Insights, analysis: Analysis) -> None:
    answer = ask(insights, trend(Series(event=COMPLETED, name="p95", measure=("p95", "latency_ms"))))
    (truth,) = analysis.query(
        "SELECT quantile_cont(latency_ms, 0.95) AS value FROM calls WHERE event = ? AND"
        " date_trunc('day', ended_at) = ?",
        [COMPLETED, answer.rows[3][0]],
    )
    assert answer.rows[3][1:] == ("p95", pytest.approx(truth["value"]))


def test_a_funnel_counts_users_in_order_and_within_the_window(insights: Insights) -> None:
    steps = (Series(event=COMPLETED, name="answers"), Series(event=TASK_COMPLETED, name="tasks"))
    (_, _, answers), (_, _, tasks) = ask(insights, funnel(*steps, hours=240)).rows
    assert answers >= tasks > 0
    backwards = ask(insights, funnel(*reversed(steps), hours=1)).rows
    assert [step for step, _, _ in backwards] == ["tasks", "answers"]


def test_flags_and_own_properties_are_found(insights: Insights) -> None:
    by_flag = ask(insights, next(tile for tile in EXPERIMENT.tiles if tile.slug == "latency").query)
    assert {series for _, series, _ in by_flag.rows} == {"control", "treatment"}
    questions = next(dashboard for dashboard in DASHBOARDS if dashboard.slug == "questions")
    by_plan = ask(insights, questions.tiles[0].query)
    assert {row[0] for row in by_plan.rows} == {"pro", "free"}


def test_a_period_without_events_has_no_rows(insights: Insights) -> None:
    early = BEGIN - timedelta(days=400)
    for tile in DASHBOARDS[0].tiles:
        assert insights.answer(tile.query, early, early + timedelta(days=1)).rows == ()
