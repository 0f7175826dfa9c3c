"""Vega-Lite specifications of the few kinds of charts that the pages draw. Each mark is a link to what is behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from proxy.pages.chart_style import SERIES, themed
from proxy.pages.charts import Spec, link_to

WIDE, NARROW = 1_180, 570
"""Widths of tiles, in units of the drawing; a page scales them."""
COUNT, MS, USD, SHARE = "count", "ms", "usd", "share"
"""What a number is, for the labels of its axis."""
_LABELS = {
    COUNT: "datum.value % 1 ? '' : format(datum.value, '~s')",
    MS: (
        "datum.value == 0 ? '0' : datum.value < 1000 ? format(datum.value, '~r') + ' ms'"
        " : format(datum.value / 1000, '~r') + ' s'"
    ),
    USD: "'$' + format(datum.value, '~r')",
    SHARE: "format(datum.value, '.0~%')",
}
OTHER = "other"
"""The series of all that have no colour of their own."""
_MEANINGS = {OTHER: "muted", "success": "good", "cancelled": "muted", "error": "bad"}
_BAR_HEIGHT = 26


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A mark over time: what `series` came to from `begin` (inclusive) to `end`."""

    begin: datetime
    end: datetime
    series: str
    value: float
    label: str
    href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A mark beside others of its kind. `shown` is its value as people read it."""

    name: str
    value: float
    shown: str
    label: str
    href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One of several values of a name."""

    name: str
    series: str
    value: float
    label: str
    href: str


def stacked(
    moments: Sequence[Moment], series: Sequence[str], *, period: tuple[datetime, datetime], what: str, unit: str = COUNT
) -> Spec:
    """Bars over time, the series upon each other in the given order, the first at the bottom."""
    rank = {name: place for place, name in enumerate(series)}
    tops: dict[datetime, float] = {}
    rows = []
    for moment in sorted(moments, key=lambda moment: rank[moment.series]):
        base = tops.get(moment.begin, 0.0)
        tops[moment.begin] = base + moment.value
        gap_ms = (moment.end - moment.begin).total_seconds() * 60
        ends = {"x": max(_ms(moment.begin), _ms(period[0])), "x2": min(_ms(moment.end) - gap_ms, _ms(period[1]))}
        rows.append(_over_time(moment) | ends | {"y": base, "y2": base + moment.value})
    return {
        **_frame(what, WIDE, 200),
        "data": {"values": rows},
        "mark": "rect",
        "encoding": {
            "x": _time(period),
            "x2": {"field": "x2"},
            "y": {"field": "y", "type": "quantitative", "title": None, "axis": _numbers(unit)},
            "y2": {"field": "y2"},
            "color": _colours(series),
            **_LINK,
        },
    }


def lines(
    moments: Sequence[Moment], series: Sequence[str], *, period: tuple[datetime, datetime], what: str, unit: str = COUNT
) -> Spec:
    """A line for each series, with a point at each moment."""
    first_ms = _ms(period[0])
    rows = [_over_time(moment) | {"x": max(_ms(moment.begin), first_ms), "y": moment.value} for moment in moments]
    shared = {
        "x": _time(period),
        "y": {"field": "y", "type": "quantitative", "title": None, "axis": _numbers(unit)},
        "color": _colours(series),
    }
    return {
        **_frame(what, WIDE, 200),
        "data": {"values": rows},
        "layer": [
            {"mark": {"type": "line", "aria": False}, "encoding": shared},
            {"mark": {"type": "point", "filled": True, "size": 40, "opacity": 1}, "encoding": {**shared, **_LINK}},
        ],
    }


def ranked(bars: Sequence[Bar], *, what: str, colour: str = "series-1") -> Spec:
    """Horizontal bars in the given order, each with its value beside it; the whole row is the link."""
    most = max((bar.value for bar in bars), default=0) or 1
    rows = [
        {"name": bar.name, "value": bar.value, "shown": bar.shown, "label": bar.label, "href": link_to(bar.href)}
        for bar in bars
    ]
    y = _names([bar.name for bar in bars])
    x = {
        "field": "value",
        "type": "quantitative",
        "title": None,
        "axis": None,
        "scale": {"domain": [0, most * 1.22]},
    }
    return {
        **_frame(what, NARROW, {"step": _BAR_HEIGHT}),
        "data": {"values": rows},
        "layer": [
            {
                "mark": {"type": "bar", "aria": False, "height": 14, "color": themed(colour)},
                "encoding": {"x": x, "y": y},
            },
            {
                "mark": {"type": "text", "aria": False, "align": "left", "dx": 6, "color": themed("soft")},
                "encoding": {"x": x, "y": y, "text": {"field": "shown"}},
            },
            {
                "mark": {"type": "bar", "height": _BAR_HEIGHT - 4, "opacity": 0},
                "encoding": {"x": {"datum": most * 1.22, "type": "quantitative"}, "y": y, **_LINK},
            },
        ],
    }


def ranges(
    points: Sequence[Point], series: Sequence[str], *, what: str, unit: str = COUNT, unmarked: Sequence[Point] = ()
) -> Spec:
    """For each name a line from its least to its greatest value, with a point for each series.

    `unmarked` values make lines longer and have no point: the ends of intervals.
    """
    rows = [
        {"name": it.name, "series": it.series, "value": it.value, "label": it.label, "href": link_to(it.href)}
        for it in (*points, *unmarked)
    ]
    y = _names([point.name for point in points])
    x = {"type": "quantitative", "title": None, "axis": _numbers(unit) | {"grid": True}}
    return {
        **_frame(what, NARROW, {"step": _BAR_HEIGHT}),
        "data": {"values": rows},
        "layer": [
            {
                "mark": {"type": "rule", "aria": False, "color": themed("muted"), "strokeWidth": 3, "opacity": 0.55},
                "encoding": {
                    "x": {**x, "field": "value", "aggregate": "min"},
                    "x2": {"field": "value", "aggregate": "max"},
                    "y": y,
                },
            },
            {
                "transform": [{"filter": {"field": "series", "oneOf": list(series)}}],
                "mark": {"type": "point", "filled": True, "size": 80, "opacity": 1},
                "encoding": {"x": {**x, "field": "value"}, "y": y, "color": _colours(series), **_LINK},
            },
        ],
    }


_LINK = {"href": {"field": "href"}, "description": {"field": "label"}}


def _frame(what: str, width: int, height: object) -> dict[str, Any]:
    return {"description": what, "width": width, "height": height, "autosize": {"type": "fit-x", "contains": "padding"}}


def _over_time(moment: Moment) -> dict[str, Any]:
    return {"x": _ms(moment.begin), "series": moment.series, "label": moment.label, "href": link_to(moment.href)}


def _ms(at: datetime) -> float:
    return at.timestamp() * 1_000


def _time(period: tuple[datetime, datetime]) -> dict[str, Any]:
    begin, end = period
    is_long = (end - begin).total_seconds() > 50 * 3_600
    return {
        "field": "x",
        "type": "temporal",
        "title": None,
        "scale": {"type": "utc", "domain": [_ms(begin), _ms(end)]},
        "axis": {"format": "%-d %b" if is_long else "%H:%M", "tickCount": 8, "labelFlush": True},
    }


def _names(names: Sequence[str]) -> dict[str, Any]:
    """An axis with room for the longest name, also in a wide font."""
    room = min(max(map(len, names), default=0) * 7.2 + 12, 230)
    axis = {"labelLimit": 220, "grid": False, "minExtent": room, "maxExtent": room}
    return {"field": "name", "type": "nominal", "sort": None, "title": None, "axis": axis}


def _numbers(unit: str) -> dict[str, Any]:
    return {"labelExpr": _LABELS[unit], "tickCount": 4}


def _colours(series: Sequence[str]) -> dict[str, Any]:
    plain = iter(f"series-{number}" for number in range(1, SERIES + 1))
    colours = [themed(_MEANINGS.get(name) or next(plain)) for name in series]
    legend = None if len(series) < 2 else {"columns": 0}
    scale = {"domain": list(series), "range": colours}
    return {"field": "series", "type": "nominal", "scale": scale, "sort": list(series), "legend": legend}
