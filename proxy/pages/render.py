"""Templates to bytes. Everything that a template shows is escaped, but for charts, which `charts` has made itself."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from proxy.pages.filters import Filters
from proxy.pages.request import Reader
from proxy.pages.static import path_of
from proxy.pages.tiles import Tile

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Drawing:
    """A tile as the template shows it; `download` is the address of its table. There may be nothing to draw."""

    tile: Tile
    svg: Markup | None
    download: str


def drawn(tile: Tile, csv: str) -> Drawing:
    """Draw a tile of the board whose tables are at the address `csv`."""
    from proxy.pages.charts import svg

    picture = Markup(svg(tile.spec)) if tile.spec is not None else None  # noqa: S704  made of known elements alone
    return Drawing(tile, picture, f"{csv}&tile={tile.key}")


@cache
def environment() -> Environment:
    """Made once in a process."""
    made = Environment(
        loader=FileSystemLoader(FOLDER / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    made.globals |= {"static": path_of, "links": _links}
    return made


def render(template: str, **values: Any) -> bytes:  # noqa: ANN401
    """One page."""
    return environment().get_template(template).render(**values).encode()


def _links(filters: Filters, reader: Reader) -> list[tuple[str, str, str]]:
    """(key, title, address) of the pages that the reader may open; filters stay as one goes from one to another."""
    places = [
        ("traffic", "Traffic"),
        ("latency", "Latency and cost"),
        ("quality", "Quality"),
        ("agents", "Agents"),
        ("prompts", "Prompts"),
        ("traces", "Traces"),
        ("live", "Live"),
        ("events", "Events"),
        ("health", "Health"),
    ]
    if reader.key_alias is not None:
        places = [place for place in places if place[0] in ("traces", "live")]
    elif not reader.is_admin:
        places = [place for place in places if place[0] != "events"]
    return [(key, title, filters.to(f"/ui/{key}")) for key, title in places]
