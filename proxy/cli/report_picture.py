"""The picture of a report: calls, failures and cost over both periods, below one another."""

from collections.abc import Mapping, Sequence
from typing import Any

from proxy.cli.report_figures import totals

_SHOWN_PARTS = 6
_WIDTH = 720


def picture(days: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A Vega-Lite specification from rows of day, part, calls, failed calls and cost."""
    calls, failed = totals(days, "calls"), totals(days, "failed")
    shares = [{"day": day.isoformat(), "value": failed[day] / calls[day]} for day in calls if calls[day]]
    dearest = sorted({row["part"] for row in days}, key=lambda part: -_cost(days, part))[:_SHOWN_PARTS]
    costs = [
        {
            "day": row["day"].isoformat(),
            "part": row["part"] if row["part"] in dearest else "others",
            "value": row["cost_usd"] or 0.0,
        }
        for row in days
    ]
    volumes = [{"day": day.isoformat(), "value": count} for day, count in calls.items()]
    return {
        "vconcat": [
            _panel("Calls", volumes, {"type": "bar"}, ",.0f"),
            _panel("Failed", shares, {"type": "line", "point": True}, ".1%"),
            _panel("Cost, USD, by prompt version", costs, {"type": "bar"}, "$,.2f", by="part"),
        ],
        "resolve": {"scale": {"x": "shared"}},
    }


def _cost(days: Sequence[Mapping[str, Any]], part: str) -> float:
    return sum(float(row["cost_usd"] or 0.0) for row in days if row["part"] == part)


def _panel(
    title: str, values: list[dict[str, Any]], mark: dict[str, Any], axis: str, by: str | None = None
) -> dict[str, Any]:
    encoding: dict[str, Any] = {
        "x": {"field": "day", "type": "temporal", "title": None},
        "y": {"field": "value", "type": "quantitative", "title": None, "axis": {"format": axis}},
    }
    if by is not None:
        encoding["color"] = {"field": by, "type": "nominal", "title": None}
    return {
        "title": title,
        "width": _WIDTH,
        "height": 120,
        "data": {"values": values},
        "mark": mark,
        "encoding": encoding,
    }
