"""From rounds to a table: medians, ratios within a round, goals; and the drawing of growth."""

import json
from math import isnan, nan
from xml.etree import ElementTree

import pytest

from tools.bench.machine import CpuTimes, shares_of_others
from tools.bench.plots import Plot, draw
from tools.bench.report import FIGURES, Results, as_json, from_json, mark, markdown, notes, table

FIGURE = {figure.name: figure for figure in FIGURES}


def rounds(**figures: list[float]) -> list[dict[str, float]]:
    return [dict(zip(figures, values, strict=True)) for values in zip(*figures.values(), strict=True)]


RESULTS = Results(
    {
        "direct": rounds(requests_per_s=[9e4, 8e4, 7e4], p50_at_500_ms=[0.1, 0.2, 0.1]),
        "nginx": rounds(requests_per_s=[1000, 2000, 4000], p50_at_500_ms=[0.2, 0.4, 0.2]),
        "bare aiohttp": rounds(requests_per_s=[100, 100, 100], p50_at_500_ms=[0.5, 0.5, 0.5]),
        "promptlane": rounds(requests_per_s=[200, 300, 500], p50_at_500_ms=[0.4, 0.7, 0.3]),
    }
)


def test_ratios_are_medians_of_those_within_a_round() -> None:
    figure = FIGURE["requests_per_s"]
    to_nginx, to_bare = figure.goals
    assert RESULTS.value("promptlane", figure) == 300
    assert RESULTS.ratio("promptlane", figure, to_nginx) == 0.15
    assert RESULTS.ratio("promptlane", figure, to_bare) == 3
    assert (mark(RESULTS, figure, to_nginx), mark(RESULTS, figure, to_bare)) == ("met", "reached")


def test_latency_is_what_is_added_to_direct_calls() -> None:
    figure = FIGURE["p50_at_500_ms"]
    assert RESULTS.value("promptlane", figure) == pytest.approx(0.3)
    assert RESULTS.ratio("promptlane", figure, figure.goals[0]) == pytest.approx(2.5)
    assert mark(RESULTS, figure, figure.goals[0]) == "met"


def test_what_a_baseline_does_not_add_divides_nothing() -> None:
    figure = FIGURE["p50_at_500_ms"]
    results = Results({**RESULTS.rounds, "nginx": RESULTS.rounds["direct"]})
    assert mark(results, figure, figure.goals[0]) == "cannot be shown here: nginx adds too little to divide by"


def test_a_row_that_failed_shows_no_numbers() -> None:
    failed = Results(RESULTS.rounds, {"promptlane": ["plain: 2 times closed"]})
    assert "300" in table(RESULTS)
    assert "300" not in table(failed)
    assert "cannot be shown here: promptlane failed" in table(failed)
    assert "promptlane FAILED: plain: 2 times closed" in notes(failed)


def test_without_nginx_the_table_says_so() -> None:
    results = Results({row: found for row, found in RESULTS.rounds.items() if row != "nginx"})
    figure = FIGURE["requests_per_s"]
    assert mark(results, figure, figure.goals[0]) == "cannot be shown here: no row nginx"
    assert "÷ nginx" not in table(results)


def test_a_rig_that_holds_the_baselines_back_is_told() -> None:
    results = Results({"nginx": rounds(requests_per_s=[1000], plain_core_share=[0.6])})
    assert any("nginx used 60% of its core for requests/s" in note for note in notes(results))


def test_work_that_is_put_off_until_nobody_counts_is_told() -> None:
    results = Results(
        {"promptlane": rounds(plain_late_share=[0.3, 0.05, 0.3]), "nginx": rounds(plain_late_share=[0.02])}
    )
    assert [note for note in notes(results) if "window was over" in note] == [
        "promptlane did 30% of its work for requests/s when the window was over: it cannot go on at that rate."
    ]


def test_a_ratio_that_only_a_rig_flatters_is_not_judged() -> None:
    bare = rounds(requests_per_s=[100, 100, 100], plain_core_share=[0.4, 0.9, 0.5])
    results = Results({**RESULTS.rounds, "bare aiohttp": bare})
    figure = FIGURE["requests_per_s"]
    assert mark(results, figure, figure.goals[1]) == "cannot be shown here: bare aiohttp was held back"
    slow = Results({**results.rounds, "promptlane": RESULTS.rounds["bare aiohttp"]})
    assert mark(slow, figure, figure.goals[1]) == "NOT MET"


def test_a_floor_that_the_least_in_python_misses_too_says_so() -> None:
    slow = rounds(requests_per_s=[50, 50, 50])
    results = Results({**RESULTS.rounds, "promptlane": slow, "least in Python": rounds(requests_per_s=[90, 90, 90])})
    figure = FIGURE["requests_per_s"]
    assert mark(results, figure, figure.goals[1]) == "NOT MET; least in Python: 0.90"
    fast = Results({**results.rounds, "least in Python": RESULTS.rounds["promptlane"]})
    assert mark(fast, figure, figure.goals[1]) == "NOT MET"
    shipping = FIGURE["sustained_per_s"]
    sustained = Results({**results.rounds, "promptlane + PostHog": rounds(sustained_per_s=[40, 40, 40])})
    assert mark(sustained, shipping, shipping.goals[1]) == "NOT MET; least in Python: 0.90"


def test_a_time_that_nginx_does_not_keep_here_is_not_judged() -> None:
    figure = FIGURE["slow_p99_ms"]
    late = Results({"nginx": rounds(slow_p99_ms=[5.6]), "promptlane": rounds(slow_p99_ms=[5.9])})
    assert mark(late, figure, figure.goals[0]) == "cannot be shown here: nginx itself takes 5.6"
    quiet = Results({**late.rounds, "nginx": rounds(slow_p99_ms=[1.5])})
    assert mark(quiet, figure, figure.goals[0]) == "NOT MET"


def test_what_most_rounds_do_not_show_is_not_shown() -> None:
    figure = FIGURE["requests_per_s"]
    assert Results({"nginx": rounds(requests_per_s=[1, nan, 3])}).value("nginx", figure) == 2
    assert isnan(Results({"nginx": rounds(requests_per_s=[1, nan, nan])}).value("nginx", figure))


def test_times_of_what_was_not_delivered_are_not_judged() -> None:
    figure = FIGURE["held_many_p99_ms"]
    late = Results({"promptlane": rounds(held_many_p99_ms=[1], held_many_delivered_percent=[65])})
    assert mark(late, figure, figure.goals[0]) == "NOT MET: not all were delivered"
    on_time = Results({"promptlane": rounds(held_many_p99_ms=[1], held_many_delivered_percent=[100])})
    assert mark(on_time, figure, figure.goals[0]) == "reached"


def test_the_page_is_made_from_the_numbers_that_were_kept() -> None:
    kept = json.loads(json.dumps(as_json(RESULTS), allow_nan=False))
    assert from_json(kept) == RESULTS
    page = markdown(RESULTS).splitlines()
    assert page[2] == "| plain requests/s, 64 connections | 80,000 | 2,000 | 100 | 300 |  |  |  |"
    assert page[3] == "| ÷ nginx |  |  | 0.05 | 0.15 | 0.12 | 0.25 | met |"
    assert len({line.count("|") for line in page}) == 1


def test_each_axis_is_drawn_with_a_line_for_each_gateway() -> None:
    plots = [
        Plot("open streams", {"a < b": [(1, {"CPU µs": 20.0}), (5000, {"CPU µs": 15.5})]}),
        Plot("events", {"c": [(0, {"CPU µs": 300.0}), (1000, {})]}),
        Plot("nothing", {"c": []}),
    ]
    root = ElementTree.fromstring(draw(plots))
    lines = root.findall(".//{*}polyline")
    assert [line.get("points", "").count(",") for line in lines] == [2, 1]
    points = [float(part) for pair in lines[0].get("points", "").split() for part in pair.split(",")]
    assert points[2] > points[0]
    assert points[3] > points[1], "a smaller figure is drawn lower"


def test_what_others_used_of_the_machine_is_told() -> None:
    before = CpuTimes(total_s=100, idle_s=50, stolen_s=1, own_s=10)
    after = CpuTimes(total_s=200, idle_s=80, stolen_s=6, own_s=55)
    assert shares_of_others(before, after) == pytest.approx((0.20, 0.05))
