from proxy.domain.dashboards.tiles import Series, funnel, is_true, number, share, table, trend


def test_counts_are_of_distinct_events() -> None:
    (series,) = trend(Series(event="e", name="n"))["source"]["series"]
    assert (series["math"], series["math_hogql"]) == ("hogql", "uniq(uuid)")


def test_a_measure_of_a_property() -> None:
    query = trend(Series(event="e", name="n", measure=("p95", "latency_ms"), where={"a": "b"}), by=["model"])
    (series,) = query["source"]["series"]
    assert (series["math"], series["math_property"]) == ("p95", "latency_ms")
    assert series["properties"] == [{"key": "a", "value": ["b"], "operator": "exact", "type": "event"}]
    assert query["source"]["breakdownFilter"]["breakdowns"] == [{"property": "model", "type": "event"}]


def test_a_share_is_of_the_whole_or_of_both() -> None:
    part, whole = Series(event="a", name="a"), Series(event="b", name="b")
    for of_both, formula in ((False, "A/B"), (True, "A/(A+B)")):
        shown = share(part, whole, "rate", of_both=of_both)["source"]["trendsFilter"]
        assert shown["formulaNodes"] == [{"formula": formula, "custom_name": "rate"}]
        assert shown["aggregationAxisFormat"] == "percentage_scaled"


def test_a_funnel_counts_people() -> None:
    source = funnel(Series(event="a", name="a"), Series(event="b", name="b"), by="model", hours=2)["source"]
    assert [node["math"] for node in source["series"]] == ["total", "total"]
    assert source["funnelsFilter"]["funnelWindowInterval"] == 2
    assert source["breakdownFilter"]["breakdown"] == "model"


def test_a_table_is_one_line_of_hogql() -> None:
    assert table("SELECT\n    1\n  FROM events")["source"]["query"] == "SELECT 1 FROM events"
    assert (number("a"), is_true("a")) == ("toFloat(properties.a)", "toString(properties.a) = 'true'")
