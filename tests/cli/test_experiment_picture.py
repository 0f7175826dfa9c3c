import re

import pytest

from proxy.cli.experiment_picture import spec
from proxy.pages.chart_style import fixed
from proxy.pages.charts import svg
from tests.cli.judgements import judgement


@pytest.mark.parametrize("half", [0.05, None])
def test_each_metric_is_drawn_with_its_values_and_the_limit(half: float | None) -> None:
    drawn = svg(spec(judgement(half=half), fixed))

    words = re.sub(r"<[^>]*>", " ", drawn)
    for word in ("support: 600 people", "ticket.resolved (should increase)", "60.0%", "68.0%", "2,100 ms", "$0.0150"):
        assert word in words
    assert "p95 latency_ms (at most 4,000 ms) treatment: kept" in words


def test_the_limit_over_control_lies_that_far_from_it() -> None:
    cost = spec(judgement(), fixed)["vconcat"][2]

    assert cost["layer"][-1]["data"]["values"] == [{"value": 0.02}]
