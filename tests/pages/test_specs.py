from datetime import timedelta

from proxy.pages.chart_style import themed
from proxy.pages.charts import svg
from proxy.pages.specs import OTHER, Bar, Moment, Point, lines, ranges, ranked, stacked
from tests.pages.conftest import NOW

PERIOD = (NOW - timedelta(hours=2), NOW)


def moment(hour: int, series: str, value: float) -> Moment:
    begin = NOW - timedelta(hours=hour)
    return Moment(
        begin=begin, end=begin + timedelta(hours=1), series=series, value=value, label=f"{series} {value}", href="/ui/t"
    )


def test_bars_stand_on_each_other_and_within_the_period() -> None:
    spec = stacked(
        [moment(2, "b", 3), moment(2, OTHER, 1), moment(3, "a", 2)], ["a", "b", OTHER], period=PERIOD, what="calls"
    )
    rows = spec["data"]["values"]
    assert [(row["series"], row["y"], row["y2"]) for row in rows] == [("a", 0, 2), ("b", 0, 3), (OTHER, 3, 4)]
    assert min(row["x"] for row in rows) == PERIOD[0].timestamp() * 1_000
    assert spec["encoding"]["color"]["scale"]["range"] == [themed("series-1"), themed("series-2"), themed("muted")]


def test_every_mark_is_one_link_with_words() -> None:
    bar = Bar(name="m", value=1, shown="1", label="m: 1 call", href="/ui/traces?model=m")
    points = [
        Point(name="m", series=name, value=value, label=name, href="/ui/t") for name, value in (("p50", 1), ("p99", 3))
    ]
    for spec, links in (
        (stacked([moment(2, "a", 1), moment(1, "a", 1)], ["a"], period=PERIOD, what="calls"), 2),
        (lines([moment(2, "a", 1), moment(1, "a", 1)], ["a"], period=PERIOD, what="ms"), 2),
        (ranked([bar, bar], what="calls"), 1),
        (ranges(points, ["p50", "p99"], what="ms"), 2),
    ):
        drawn = svg(spec)
        assert drawn.count("<a href=") >= links
        assert drawn.count("<a href=") == drawn.count('role="graphics-symbol"')


def test_nothing_can_be_drawn_too() -> None:
    assert svg(ranked([], what="calls")).startswith("<svg")
    assert svg(stacked([], [], period=PERIOD, what="calls")).startswith("<svg")
