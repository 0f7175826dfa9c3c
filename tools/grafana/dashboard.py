"""The dashboard as Grafana imports it: ids, places, colours, variables."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from tools.grafana.panels import ROWS, Panel

COLUMNS = 24
PANEL_HEIGHT, STAT_HEIGHT = 8, 4
SCHEMA_VERSION = 39
"""Of Grafana 11; newer ones migrate it when they import it."""
_DATASOURCE = {"type": "prometheus", "uid": "${DS_PROMETHEUS}"}
"""Grafana asks for it at import."""


def dashboard() -> str:
    """docs/grafana/promptlane.json."""
    return json.dumps(_dashboard(), indent=2) + "\n"


def _dashboard() -> dict[str, Any]:
    return {
        "__inputs": [
            {
                "name": "DS_PROMETHEUS",
                "label": "Prometheus",
                "type": "datasource",
                "pluginId": "prometheus",
                "pluginName": "Prometheus",
            }
        ],
        "__requires": [
            {"type": "grafana", "id": "grafana", "name": "Grafana", "version": "10.4.0"},
            {"type": "datasource", "id": "prometheus", "name": "Prometheus", "version": "1.0.0"},
        ],
        "uid": "promptlane",
        "title": "Promptlane",
        "description": "Calls, their time, tokens and cost, and the delivery of their events.",
        "tags": ["promptlane", "llm"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": list(_variables())},
        "panels": list(_placed()),
    }


def _variables() -> Iterator[dict[str, Any]]:
    """Each offers what the ones before it leave."""
    for name, of in (
        ("job", "promptlane_build_info"),
        ("instance", 'promptlane_build_info{job=~"$job"}'),
        ("target", 'promptlane_calls_total{job=~"$job", instance=~"$instance"}'),
    ):
        query = f"label_values({of}, {name})"
        yield {
            "name": name,
            "type": "query",
            "datasource": _DATASOURCE,
            "definition": query,
            "query": {"query": query, "refId": "values"},
            "refresh": 2,
            "sort": 1,
            "multi": True,
            "includeAll": True,
            "allValue": ".*",
            "current": {"text": ["All"], "value": ["$__all"]},
        }


def _placed() -> Iterator[dict[str, Any]]:
    """Rows under each other; in a row, panels from left to right, and on in the next line where one does not fit."""
    number, top = 0, 0
    for title, panels in ROWS:
        number += 1
        yield {"id": number, "type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": _at(0, top)}
        top += 1
        for line in _lines(panels):
            height = max(_height(panel) for panel in line)
            left = 0
            for panel in line:
                number += 1
                place = {"x": left, "y": top, "w": panel.width, "h": height}
                yield {"id": number, "gridPos": place, **_drawn(panel)}
                left += panel.width
            top += height


def _at(left: int, top: int) -> dict[str, int]:
    return {"x": left, "y": top, "w": COLUMNS, "h": 1}


def _lines(panels: Sequence[Panel]) -> Iterator[list[Panel]]:
    line: list[Panel] = []
    for panel in panels:
        if sum(each.width for each in (*line, panel)) > COLUMNS:
            yield line
            line = []
        line.append(panel)
    yield line


def _height(panel: Panel) -> int:
    return STAT_HEIGHT if panel.kind == "stat" else PANEL_HEIGHT


def _drawn(panel: Panel) -> dict[str, Any]:
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": _DATASOURCE,
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": _DATASOURCE,
                "expr": query.expr,
                "legendFormat": query.legend,
                "range": True,
            }
            for index, query in enumerate(panel.queries)
        ],
        "fieldConfig": {"defaults": _field(panel), "overrides": []},
        "options": _options(panel),
    }


def _field(panel: Panel) -> dict[str, Any]:
    field: dict[str, Any] = {"unit": panel.unit, "min": 0}
    if panel.maximum is not None:
        field["max"] = panel.maximum
    if panel.good_below is not None:
        steps = [{"color": "green", "value": None}, {"color": "red", "value": panel.good_below}]
        field["thresholds"] = {"mode": "absolute", "steps": steps}
    if panel.kind == "timeseries":
        stacking = {"mode": "normal" if panel.is_stacked else "none", "group": "A"}
        field["custom"] = {"fillOpacity": 20 if panel.is_stacked else 5, "showPoints": "never", "stacking": stacking}
    return field


def _options(panel: Panel) -> dict[str, Any]:
    if panel.kind == "timeseries":
        legend = {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}
        return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
    last = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    colour = "none" if panel.good_below is None else "background"
    text = "name" if panel.shows_name else "auto"
    return {"reduceOptions": last, "colorMode": colour, "graphMode": "none", "textMode": text, "justifyMode": "auto"}
