"""A judgement as a picture: for each metric the variants with their bounds, and the limit where there is one."""

import textwrap
from typing import Any

from proxy.cli.experiment_table import limit_text
from proxy.domain.judgement import Arm, Finding, Judgement, Standing, Watch, number_text, verdict
from proxy.pages.chart_style import Colour

_WIDTH, _ROW = 620, 26
_LINE_CHARS = 110
_TICKS = 6


def spec(judgement: Judgement, colour: Colour) -> dict[str, Any]:
    """A Vega-Lite specification."""
    primary = f"{judgement.primary.metric.label} (should {judgement.goal.value})"
    charts = [_chart(judgement.primary, primary, None, colour)]
    charts += [_chart(watch.finding, _title(watch), _limit(watch), colour) for watch in judgement.watches]
    return {
        "title": {
            "text": f"{judgement.name}: {sum(judgement.shares.people.values()):,} people",
            "subtitle": textwrap.wrap(verdict(judgement).text, _LINE_CHARS),
            "offset": 16,
        },
        "vconcat": charts,
    }


def _title(watch: Watch) -> str:
    standings = ", ".join(f"{variant}: {standing.value}" for variant, standing in watch.standings.items())
    return f"{watch.finding.metric.label} ({limit_text(watch)}) {standings}"


def _limit(watch: Watch) -> tuple[float, bool] | None:
    """Where the limit lies, and whether it is broken."""
    is_broken = any(standing in (Standing.BROKEN, Standing.BROKEN_EVERYWHERE) for standing in watch.standings.values())
    if watch.guardrail.max is not None:
        return watch.guardrail.max, is_broken
    control = watch.finding.arms[0].value
    return None if control is None else (control + (watch.guardrail.max_increase or 0.0), is_broken)


def _chart(finding: Finding, title: str, limit: tuple[float, bool] | None, colour: Colour) -> dict[str, Any]:
    axis = {"format": _format(finding), "tickCount": _TICKS, "grid": True}
    scale = {"zero": False, "padding": 24}
    x = {"field": "value", "type": "quantitative", "title": None, "scale": scale, "axis": axis}
    y = {"field": "variant", "type": "nominal", "title": None, "sort": None}
    bounds = {**x, "field": "low"}
    layers: list[dict[str, Any]] = [
        {"mark": {"type": "rule", "strokeWidth": 2}, "encoding": {"x": bounds, "x2": {"field": "high"}, "y": y}},
        {"mark": {"type": "point", "size": 70}, "encoding": {"x": x, "y": y}},
        {"mark": {"type": "text", "dy": -11}, "encoding": {"x": x, "y": y, "text": {"field": "label"}}},
    ]
    if limit is not None:
        mark = {"type": "rule", "strokeDash": [4, 3], "color": colour("bad" if limit[1] else "soft")}
        layers.append({"data": {"values": [{"value": limit[0]}]}, "mark": mark, "encoding": {"x": x}})
    return {
        "title": {"text": title, "fontSize": 12, "fontWeight": "normal"},
        "width": _WIDTH,
        "height": {"step": _ROW},
        "data": {"values": [_datum(finding, arm) for arm in finding.arms]},
        "layer": layers,
    }


def _datum(finding: Finding, arm: Arm) -> dict[str, Any]:
    """Bounds that are not known are drawn as none."""
    has_bounds = arm.low is not None and arm.high is not None
    return {
        "variant": arm.variant,
        "value": arm.value,
        "low": arm.low if has_bounds else arm.value,
        "high": arm.high if has_bounds else arm.value,
        "label": number_text(arm.value, finding),
    }


def _format(finding: Finding) -> str:
    if finding.is_share:
        return ".1%"
    return "$.4f" if finding.metric.unit == "USD" else ",.4~g"
