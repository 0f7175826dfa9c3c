from datetime import UTC, datetime
from typing import Any

import pytest

from proxy.adapters.insights import Answer
from proxy.domain.dashboards import DASHBOARDS, Dashboard
from proxy.domain.dashboards.tiles import Series, Tile, funnel, share, table, trend
from proxy.pages.charts import svg
from proxy.pages.insight_pictures import dashboard_picture

DAY = datetime(2026, 11, 20, tzinfo=UTC)
CALLS = Series(event="e", name="calls")


def tile(slug: str, query: object, width: int = 6) -> Tile:
    return Tile(slug=slug, name=f"The {slug}", description="It.", query=query, width=width)  # type: ignore[arg-type]


def trended(*rows: tuple[datetime, str, float | None]) -> Answer:
    return Answer(kind="trend", columns=("day", "series", "value"), rows=rows)


def picture(*tiles: tuple[Tile, Answer]) -> dict[str, Any]:
    dashboard = Dashboard(slug="d", name="Dash", description="Of it.", tiles=tuple(one for one, _ in tiles))
    return dashboard_picture(dashboard, {one.slug: answer for one, answer in tiles})


def test_every_kind_of_tile_is_drawn() -> None:
    drawn = svg(
        picture(
            (tile("bars", trend(CALLS, by=["model"], display="ActionsBar")), trended((DAY, "m1", 3), (DAY, "m2", 4))),
            (tile("rate", share(CALLS, CALLS, "rate")), trended((DAY, "rate", 0.25), (DAY, "rate", None))),
            (tile("nothing", trend(CALLS)), trended()),
            (
                tile("steps", funnel(CALLS, CALLS)),
                Answer(kind="funnel", columns=("step", "series", "value"), rows=(("one", "", 9), ("two", "", 3))),
            ),
            (
                tile("rows", table("SELECT 1 WHERE {filters}"), 12),
                Answer(kind="table", columns=("a_name", "b"), rows=tuple((f"cell {n}", n / 3) for n in range(11))),
            ),
        )
    )
    for text in ("The bars", "m2", "No such events", "3 (33%)", "a name", "cell 7", "and 3 more rows"):
        assert text in drawn
    assert "cell 8" not in drawn


def test_series_beyond_the_colours_are_others() -> None:
    query = trend(CALLS, by=["model"], display="ActionsBar")
    rows = [(DAY, f"m{number}", float(number)) for number in range(10)]
    (row,) = picture((tile("bars", query), trended(*rows)))["vconcat"]
    values = row["hconcat"][0]["data"]["values"]
    assert {"day": DAY.isoformat(), "series": "others", "value": 3.0} in values
    assert len(values) == 8


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.slug)
def test_a_dashboard_without_events_is_drawn_in_rows(dashboard: Dashboard) -> None:
    nothing = Answer(kind="trend", columns=(), rows=())
    spec = dashboard_picture(dashboard, {one.slug: nothing for one in dashboard.tiles})
    assert sum(len(row["hconcat"]) for row in spec["vconcat"]) == len(dashboard.tiles)
    assert all(len(row["hconcat"]) <= 2 for row in spec["vconcat"])
