import pytest

from proxy.domain.dashboards import experiment_dashboard


def test_it_is_of_one_flag_and_one_metric() -> None:
    dashboard = experiment_dashboard("Support_Answer", "the-flag", "ticket_resolved", "resolved")
    assert dashboard.slug == "experiment-support_answer"
    assert "promptlane experiment report Support_Answer" in dashboard.description
    tiles = {tile.slug: repr(tile.query) for tile in dashboard.tiles}
    assert all("the-flag" in query for query in tiles.values())
    assert "ticket_resolved" in tiles["primary"]
    assert "properties.resolved" in tiles["side-by-side"]


def test_a_metric_may_be_an_event_alone() -> None:
    dashboard = experiment_dashboard("p", "f", "signed_up", None)
    tiles = {tile.slug: tile.query for tile in dashboard.tiles}
    (users,) = tiles["primary"]["source"]["series"]
    assert (users["event"], users["math_hogql"]) == ("signed_up", "uniq(distinct_id)")
    assert "event = 'signed_up' AND true" in tiles["side-by-side"]["source"]["query"]


@pytest.mark.parametrize("names", [("f'", "e", "p"), ("f", "e`", None), ("f", "e", 'p"'), ("", "e", "p")])
def test_a_name_that_would_end_a_string_is_refused(names: tuple[str, str, str | None]) -> None:
    with pytest.raises(ValueError, match="cannot stand in a query"):
        experiment_dashboard("prompt", *names)
