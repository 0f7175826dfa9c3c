"""The dashboard and the alert rules ask only for what /metrics tells, and the dashboard is one that Grafana imports."""

import json
import re
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from proxy.adapters.journal import JournalStats
from proxy.adapters.journal_metrics import JournalMetrics
from proxy.adapters.metrics import CallMetrics, Vitals
from tests.harness.exchanges import MS, START_NS, caller, finished
from tools.docs import ROOT
from tools.grafana.dashboard import COLUMNS, dashboard

ALERTS = ROOT / "docs" / "prometheus" / "alerts.yaml"
OF_THE_SCRAPE = {"job", "instance"}
NOT_OURS = {"up"}
DASHBOARD: dict[str, Any] = json.loads(dashboard())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
RULES = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]] + [rule["expr"] for rule in RULES]

_SELECTED = re.compile(r"(?<![\w$\"])(promptlane_\w+|up)\b(?:\{([^}]*)\})?")
_GROUPED = re.compile(r"\b(?:by|on|ignoring) \(([^)]*)\)")


@pytest.fixture(scope="module")
def told() -> dict[str, set[str]]:
    """The labels of each series that a busy proxy tells."""
    stats = JournalStats(dropped={"outbox_full": 1}, dead={"quota": 1})
    metrics = CallMetrics(JournalMetrics(lambda: [stats], lambda: 1), None)
    metrics.configuration.runs("digest", is_reload=True)
    exchange = finished(admitted_ns=START_NS + 2 * MS)
    exchange.caller = replace(caller(), warnings=("x-task-type:too_long",))
    metrics.observe(exchange)
    metrics.observe_commit(0.001)
    metrics.publish(Vitals(calls_running=1, degraded=("memory",), lost_spans=1, retried_events=1))
    told: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            told.setdefault(sample.name, set()).update(sample.labels)
    return told


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_series_and_label_is_one_that_metrics_tell(expression: str, told: dict[str, set[str]]) -> None:
    labels = set(OF_THE_SCRAPE)
    selected = _SELECTED.findall(expression)
    assert selected
    for name, matchers in selected:
        own = told.get(name) if name not in NOT_OURS else set()
        assert own is not None, f"nobody tells {name}"
        assert set(re.findall(r"(\w+)(?:=|!)", matchers)) <= own | OF_THE_SCRAPE
        labels |= own
    grouped = {label.strip() for found in _GROUPED.findall(expression) for label in found.split(",")}
    assert grouped <= labels


def test_an_expression_that_asks_for_what_is_not_told_is_found(told: dict[str, set[str]]) -> None:
    for wrong in ("rate(promptlane_call_total[5m])", 'promptlane_calls_total{model="x"}', "sum by (x) (up)"):
        with pytest.raises(AssertionError):
            test_every_series_and_label_is_one_that_metrics_tell(wrong, told)


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_legends_and_annotations_name_labels_that_are_left(panel: dict[str, Any]) -> None:
    """`{{label}}` of a label that the sum has taken away shows nothing."""
    for target in panel["targets"]:
        named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        kept = {
            label.strip() for found in re.findall(r"\bby \(([^)]*)\)", target["expr"]) for label in found.split(",")
        }
        assert named <= kept


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    said = rule["annotations"]
    assert len(said["summary"]) < 100
    assert said["description"].endswith(".")
    assert set(re.findall(r"\$labels\.(\w+)", f"{said}")) <= OF_THE_SCRAPE | {"target", "reason", "part"}


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    assert all(place["x"] + place["w"] <= COLUMNS for place in places)
    for one, other in combinations(places, 2):
        is_beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        is_above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert is_beside or is_above


def test_every_metric_of_the_proxy_is_on_the_dashboard(told: dict[str, set[str]]) -> None:
    on_it = {name for expression in EXPRESSIONS for name, _ in _SELECTED.findall(expression)}
    histograms = {name.removesuffix("_bucket") for name in on_it}
    shown = {re.sub(r"_(bucket|sum|count|created)$", "", name) for name in told}
    assert {name for name in shown if name.startswith("promptlane_")} - on_it - histograms == set()
