"""Draws Vega-Lite specifications with vl-convert: as SVG for a page, as PNG for a report. No browser, no network.

The engine takes half a second and 100 MB when it first draws: import this in a child process or a verb of the
command, inside the function that draws.

A mark with an `href` is a link; the address comes from `link_to`, for the engine would put another host before a
path. A mark's description, which is its `aria-label`, is also what a pointer that rests on it is told.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Any
from zlib import crc32

import vl_convert

from proxy.pages.chart_style import config, fixed, themed

Spec = Mapping[str, Any]
"""A Vega-Lite specification that carries its data. A colour of its own comes from `chart_style.themed` or `fixed`."""

_HERE = "https://here.invalid"
_SVG = "http://www.w3.org/2000/svg"
_XLINK = "{http://www.w3.org/1999/xlink}href"
_ELEMENTS = frozenset({"svg", "g", "a", "path", "rect", "line", "text", "tspan", "circle", "title", "defs", "clipPath"})
_ELEMENTS_ALLOWED = frozenset(f"{{{_SVG}}}{name}" for name in _ELEMENTS)
_LONG_NUMBER = re.compile(r"(\.\d\d)\d+")
"""A hundredth of a unit is enough for a page; the engine gives fourteen digits."""
PNG_SCALE = 2
"""Dots for each unit of a specification's width."""


def link_to(path: str) -> str:
    """The value for a mark's `href` that leads to a path of our own pages."""
    assert path.startswith("/")
    return _HERE + path


def svg(spec: Spec) -> str:
    """An `<svg>` element to stand in a page, in colours that the page's CSS may set; no style, no script.

    Raises ValueError for a specification that cannot be drawn, or has a link that is not of `link_to`.
    """
    if any(not str(row.get("href", _HERE)).startswith(_HERE) for row in spec.get("data", {}).get("values", ())):
        raise ValueError("a chart has a link that leads elsewhere")  # the engine would fail, and with the next one too
    drawn: str = vl_convert.vegalite_to_svg(dict(spec), config=config(themed), allowed_base_urls=[])
    return _for_a_page(drawn)


def png(spec: Spec) -> bytes:
    """A picture with light colours, on white. Raises ValueError for a specification that cannot be drawn."""
    plain = config(fixed) | {"background": "white"}
    drawn: bytes = vl_convert.vegalite_to_png(
        _without_variables(dict(spec)), config=plain, scale=PNG_SCALE, allowed_base_urls=[]
    )
    return drawn


def _for_a_page(drawn: str) -> str:
    """Only known elements, links that stay here, and the labels as tooltips."""
    name = f"chart-{crc32(drawn.encode()):08x}-"
    root = ET.fromstring(drawn)  # noqa: S314  what our own process has just drawn
    for parent in root.iter():
        for child in list(parent):
            if child.tag not in _ELEMENTS_ALLOWED:
                parent.remove(child)
    for element in root.iter():
        _tidy(element, name)
    ET.register_namespace("", _SVG)
    return ET.tostring(root, encoding="unicode")


def _tidy(element: ET.Element, name: str) -> None:
    """`name` tells this chart's parts from those of another on the same page."""
    target = element.attrib.pop(_XLINK, "")
    if target.startswith(f"{_HERE}/"):
        element.set("href", target.removeprefix(_HERE))
    for attribute in ("d", "transform"):
        if attribute in element.attrib:
            element.set(attribute, _LONG_NUMBER.sub(r"\1", element.attrib[attribute]))
    if "id" in element.attrib:
        element.set("id", name + element.attrib["id"])
    if "clip-path" in element.attrib:
        element.set("clip-path", element.attrib["clip-path"].replace("#", f"#{name}"))
    label = element.get("aria-label")
    if label and element.get("role") == "graphics-symbol":
        title = ET.Element(f"{{{_SVG}}}title")
        title.text = label
        element.insert(0, title)


def _without_variables(part: Any) -> Any:  # noqa: ANN401  any JSON
    """The same, with each themed colour as the plain one."""
    if isinstance(part, str):
        return part.rpartition(", ")[2].rstrip(")") if part.startswith("var(--") else part
    if isinstance(part, Mapping):
        return {name: _without_variables(value) for name, value in part.items()}
    if isinstance(part, list | tuple):
        return [_without_variables(value) for value in part]
    return part
