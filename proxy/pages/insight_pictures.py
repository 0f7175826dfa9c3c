"""PostHog's insights as pictures: a dashboard's tiles side by side, from answers of the records that are kept here.

Charts are charts; of a table the first rows stand as text. Drawn by `charts`, so there is no browser.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from proxy.adapters.insights import Answer
from proxy.domain.dashboards.tiles import COLUMNS, Dashboard, Tile
from proxy.pages.chart_style import SERIES, themed

WIDTH = 1_000
"""Of a whole row, in units of the drawing."""
_GAP = 60
_HEIGHT = 170
_ROWS = 8
_ROW_HEIGHT = 18
_CELL_CHARS = 26
_HEADLINE_CHARS = 22
_OTHER = "others"
_FORMATS = {"percentage_scaled": ".0%", "duration_ms": "~s"}
_APART = {"scale": {"color": "independent"}, "legend": {"color": "independent"}}
"""Each tile has colours and a legend of its own."""
Spec = dict[str, Any]


def dashboard_picture(dashboard: Dashboard, answers: Mapping[str, Answer]) -> Spec:
    """A Vega-Lite specification of all tiles, by their slugs' answers, in rows as wide as PostHog's grid."""
    rows = [
        {"hconcat": [_tile(tile, answers[tile.slug]) for tile in row], "spacing": _GAP, "resolve": _APART}
        for row in _rows(dashboard)
    ]
    return {
        "title": {"text": dashboard.name, "subtitle": dashboard.description, "fontSize": 18, "offset": 16},
        "vconcat": rows,
        "spacing": 36,
        "resolve": _APART,
    }


def _rows(dashboard: Dashboard) -> Iterator[list[Tile]]:
    row: list[Tile] = []
    for tile in dashboard.tiles:
        if sum(one.width for one in row) + tile.width > COLUMNS:
            yield row
            row = []
        row.append(tile)
    if row:
        yield row


def _tile(tile: Tile, answer: Answer) -> Spec:
    width = WIDTH if tile.width == COLUMNS else (WIDTH - _GAP) // 2
    frame: Spec = {"title": {"text": tile.name, "fontSize": 13}, "width": width}
    if not answer.rows:
        return {**frame, "height": _HEIGHT, **_nothing()}
    if answer.kind == "table":
        return {**frame, **_table(answer, width)}
    if answer.kind == "funnel":
        return {**frame, "height": _HEIGHT, **_funnel(answer)}
    return {**frame, "height": _HEIGHT, **_trend(tile, answer)}


def _nothing() -> Spec:
    text = {"type": "text", "text": "No such events in this period.", "color": themed("soft"), "fontSize": 12}
    return {"data": {"values": [{}]}, "mark": text}


def _trend(tile: Tile, answer: Answer) -> Spec:
    shown = tile.query["source"]["trendsFilter"]
    is_bar = shown["display"] == "ActionsBar"
    values = [
        {"day": day.isoformat(), "series": series, "value": value}
        for day, series, value in _with_others(answer.rows, is_sum=is_bar)
        if value is not None
    ]
    form = "$~f" if shown.get("aggregationAxisPrefix") == "$" else _FORMATS.get(shown["aggregationAxisFormat"], ",.4~g")
    encoding: Spec = {
        "x": {"field": "day", "type": "temporal", "title": None, "axis": {"tickCount": 6, "format": "%b %-d"}},
        "y": {"field": "value", "type": "quantitative", "title": None, "axis": {"format": form, "tickCount": 4}},
    }
    if len({value["series"] for value in values}) > 1:
        encoding["color"] = {"field": "series", "type": "nominal"}
    mark: Spec = {"type": "bar", "width": {"band": 0.7}} if is_bar else {"type": "line", "point": {"size": 18}}
    if is_bar:
        encoding["x"] |= {"timeUnit": "utcyearmonthdate"}
    return {"data": {"values": values}, "mark": mark, "encoding": encoding}


def _with_others(
    rows: Iterable[tuple[datetime, str, float | None]], *, is_sum: bool
) -> Iterator[tuple[datetime, str, float | None]]:
    """The largest series; of sums, what is left over together."""
    rows = list(rows)
    sizes: dict[str, float] = {}
    for _, series, value in rows:
        sizes[series] = sizes.get(series, 0.0) + (value or 0.0)
    shown = set(sorted(sizes, key=lambda series: -sizes[series])[: SERIES - 1])
    others: dict[datetime, float] = {}
    for day, series, value in rows:
        if series in shown:
            yield day, series, value
        else:
            others[day] = others.get(day, 0.0) + (value or 0.0)
    if is_sum:
        yield from ((day, _OTHER, value) for day, value in others.items())


def _funnel(answer: Answer) -> Spec:
    """For each series its steps, as shares of the first."""
    first: dict[str, int] = {}
    values = []
    for step, series, users in answer.rows:
        share = users / first.setdefault(series, users)
        label = f"{users:,} ({share:.0%})"
        values.append({"step": step, "series": series, "share": share, "label": label})
    y = {"field": "step", "type": "nominal", "sort": None, "title": None}
    x = {
        "field": "share",
        "type": "quantitative",
        "title": None,
        "axis": {"format": ".0%"},
        "scale": {"domain": [0, 1.2]},
    }
    layer = [
        {"mark": "bar", "encoding": {"color": {"field": "series", "type": "nominal"}}},
        {"mark": {"type": "text", "align": "left", "dx": 5}, "encoding": {"text": {"field": "label"}}},
    ]
    return {
        "data": {"values": values},
        "encoding": {"y": y, "x": x, "yOffset": {"field": "series"}},
        "layer": layer,
    }


def _table(answer: Answer, width: int) -> Spec:
    """The first rows, in columns as wide as what stands in them."""
    rows = [[_written(value) for value in row] for row in answer.rows[:_ROWS]]
    names = [name.replace("_", " ")[:_HEADLINE_CHARS] for name in answer.columns]
    lines = [names, *rows]
    widest = [max(len(line[place]) for line in lines) + 2 for place in range(len(names))]
    places = [width * sum(widest[:place]) / sum(widest) for place in range(len(names))]
    cells = [
        {"x": places[place], "y": number, "text": line[place], "kind": "head" if number == 0 else "cell"}
        for number, line in enumerate(lines)
        for place in range(len(names))
    ]
    if (left := len(answer.rows) - _ROWS) > 0:
        cells.append({"x": 0, "y": len(lines), "text": f"and {left} more rows", "kind": "head"})
    size = min(11.0, 1.7 * width / sum(widest))
    return {
        "height": _ROW_HEIGHT * (len(lines) + 1),
        "data": {"values": cells},
        "mark": {"type": "text", "align": "left", "baseline": "top", "fontSize": size},
        "encoding": {
            "x": {"field": "x", "type": "quantitative", "axis": None, "scale": {"domain": [0, width]}},
            "y": {
                "field": "y",
                "type": "quantitative",
                "axis": None,
                "scale": {"domain": [0, len(lines) + 1], "reverse": True},
            },
            "text": {"field": "text"},
            "color": {"condition": {"test": "datum.kind == 'head'", "value": themed("soft")}, "value": themed("ink")},
        },
    }


def _written(value: object) -> str:
    match value:
        case None:
            return "–"
        case datetime():
            return f"{value:%b %d %H:%M}"
        case float():
            return f"{value:,.4g}" if abs(value) < 1_000 else f"{value:,.0f}"
        case list():
            return ", ".join(map(str, value))[:_CELL_CHARS]
        case _:
            text = str(value)
            return text if len(text) <= _CELL_CHARS else f"{text[: _CELL_CHARS // 2]}…{text[-_CELL_CHARS // 2 + 1 :]}"
