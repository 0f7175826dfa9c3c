import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import pytest

from proxy.pages.chart_style import themed
from proxy.pages.charts import Spec, link_to, png, svg

NASTY = """<script>alert(1)</script>"'&]]><img src=x onerror=alert(2)>"""
SVG = "{http://www.w3.org/2000/svg}"


def bars(*names: str) -> dict[str, Any]:
    rows = [
        {"name": name, "calls": 5, "href": link_to(f"/ui/traces?model={number}&from=1"), "label": f"{name}: 5 calls"}
        for number, name in enumerate(names)
    ]
    return {
        "description": "Calls by model",
        "width": 200,
        "height": 80,
        "data": {"values": rows},
        "mark": "bar",
        "encoding": {
            "x": {"field": "calls", "type": "quantitative"},
            "y": {"field": "name", "type": "nominal"},
            "color": {"value": themed("bad")},
            "href": {"field": "href"},
            "description": {"field": "label"},
        },
    }


def test_a_mark_is_a_link_with_a_label_that_a_resting_pointer_shows() -> None:
    root = ET.fromstring(svg(bars("gpt-4.1", "claude-haiku-4-5")))
    links = root.findall(f".//{SVG}a")
    assert [link.get("href") for link in links] == ["/ui/traces?model=0&from=1", "/ui/traces?model=1&from=1"]
    mark = links[0].find(f"{SVG}path")
    assert mark is not None
    assert mark.get("aria-label") == mark.findtext(f"{SVG}title") == "gpt-4.1: 5 calls"


def test_what_is_drawn_follows_the_page_and_needs_nothing_that_a_strict_policy_forbids() -> None:
    drawn = svg(bars("gpt-4.1"))
    assert 'fill="var(--bad, #c0392f)"' in drawn
    for forbidden in ("style=", "<style", "<script", "http://www.w3.org/1999/xlink", "here.invalid"):
        assert forbidden not in drawn


def test_names_stay_text() -> None:
    root = ET.fromstring(svg(bars(NASTY)))
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        "svg",
        "g",
        "a",
        "path",
        "line",
        "text",
        "title",
    }
    assert {link.get("href") for link in root.iter(f"{SVG}a")} == {"/ui/traces?model=0&from=1"}
    assert not any(name.startswith("on") for element in root.iter() for name in element.attrib)
    assert f"{NASTY}: 5 calls" in [title.text for title in root.iter(f"{SVG}title")]


def test_parts_of_two_charts_on_one_page_have_names_of_their_own() -> None:
    spec = bars("a")
    spec["mark"] = {"type": "bar", "cornerRadiusEnd": 2}
    first = {element.get("id") for element in ET.fromstring(svg(spec)).iter() if element.get("id")}
    spec["height"] = 100
    other = {element.get("id") for element in ET.fromstring(svg(spec)).iter() if element.get("id")}
    assert first
    assert not first & other


def test_a_picture_is_a_png_with_plain_colours() -> None:
    assert png(bars("gpt-4.1")).startswith(b"\x89PNG")


@pytest.mark.parametrize("draw", [svg, png])
def test_what_cannot_be_drawn_is_an_error(draw: Callable[[Spec], object]) -> None:
    with pytest.raises(ValueError, match="failed"):
        draw({"mark": "nonsense"})


@pytest.mark.parametrize("href", ["javascript:alert(3)", "https://elsewhere.example/", "//elsewhere.example", "/ui"])
def test_a_link_elsewhere_is_refused_and_the_next_chart_is_drawn(href: str) -> None:
    spec = bars("a")
    spec["data"]["values"][0]["href"] = href
    with pytest.raises(ValueError, match="leads elsewhere"):
        svg(spec)
    assert svg(bars("a"))
