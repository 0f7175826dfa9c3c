"""How charts look: one style for every Vega-Lite specification, in colours that a page can turn dark.

A colour is written as a CSS variable with its light value after it, so that a chart within a page follows the page,
and one that stands alone is light.
"""

from collections.abc import Callable, Mapping
from typing import Any

COLOURS: Mapping[str, str] = {
    "series-1": "#3564c8",
    "series-2": "#c96f17",
    "series-3": "#1f8a70",
    "series-4": "#9a4a9e",
    "series-5": "#6d7686",
    "series-6": "#a88600",
    "series-7": "#2c8fb8",
    "series-8": "#b5475b",
    "good": "#1f8a70",
    "bad": "#c0392f",
    "muted": "#a3abb8",
    "ink": "#1c2430",
    "soft": "#667084",
    "line": "#e4e7ec",
}
"""Name of the CSS variable, without its dashes, and the value in light surroundings. `pages.css` has the dark ones."""
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
SERIES = 8
"""So many colours tell series apart; what is more belongs together under `other`."""

Colour = Callable[[str], str]


def themed(name: str) -> str:
    """For a page: the colour of that name, whichever the reader's surroundings make of it."""
    return f"var(--{name}, {COLOURS[name]})"


def fixed(name: str) -> str:
    """For a picture: the light colour."""
    return COLOURS[name]


def config(colour: Colour) -> dict[str, Any]:
    """Vega-Lite's `config` for all charts."""
    axis = {
        "aria": False,
        "domain": False,
        "ticks": False,
        "gridColor": colour("line"),
        "labelColor": colour("soft"),
        "titleColor": colour("soft"),
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "labelPadding": 6,
    }
    return {
        "font": FONT,
        "background": "transparent",
        "view": {"stroke": None},
        "axis": axis,
        "axisX": {"grid": False},
        "legend": {
            "aria": False,
            "orient": "top",
            "direction": "horizontal",
            "title": None,
            "labelColor": colour("soft"),
            "labelFontSize": 11,
            "symbolType": "circle",
            "symbolSize": 60,
            "labelLimit": 220,
            "columnPadding": 28,
        },
        "title": {
            "color": colour("ink"),
            "subtitleColor": colour("soft"),
            "anchor": "start",
            "fontSize": 13,
            "fontWeight": 600,
        },
        "range": {"category": [colour(f"series-{number}") for number in range(1, SERIES + 1)]},
        "mark": {"color": colour("series-1")},
        "line": {"strokeWidth": 2, "strokeJoin": "round"},
        "point": {"filled": True, "size": 36},
        "rule": {"color": colour("soft")},
        "text": {"color": colour("ink"), "fontSize": 11},
    }
