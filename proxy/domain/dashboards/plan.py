"""What it takes to make a project hold our dashboards: read, compare, and change only what differs.

The API knows no natural keys. What is ours carries a marker in its description, and what carries none is never
touched. Of what is ours only the fields that we set are compared: the server adds its own to a query. Where tiles
stand is set once, when they are made; after that it is the reader's affair.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from proxy.domain.dashboards.tiles import COLUMNS, Dashboard, Tile

TAG = "promptlane"
_MARKER = re.compile(r"\[promptlane:([a-z0-9._-]{1,200}(?:/[a-z0-9._-]{1,100})?)\]\s*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An object of the project that carries our marker, as the API told it."""

    id: int
    key: str
    fields: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One step. `id` is None for what is to be made; `fields` are what is sent, but for ids that come to be on the way.

    `dashboard` is the slug of the dashboard that an insight is on.
    """

    action: str
    kind: str
    key: str
    name: str
    id: int | None = None
    fields: Mapping[str, Any] = field(default_factory=dict, repr=False)
    differs: tuple[str, ...] = ()
    dashboard: str | None = None
    place: Mapping[str, int] | None = None
    """Where a new insight's tile stands, in PostHog's grid."""


def marked(description: str, key: str) -> str:
    """A description by which the object will be known as ours."""
    return f"{description}\n\n[promptlane:{key}]"


def key_of(description: object) -> str | None:
    """What our marker says; None for what is not ours."""
    match = _MARKER.search(description) if isinstance(description, str) else None
    return match.group(1).lower() if match else None


def found(objects: Iterable[Mapping[str, Any]]) -> list[Found]:
    """Those of the API's objects that are ours, the oldest of each key: a copy that somebody made is theirs."""
    ours: dict[str, Found] = {}
    for one in sorted(objects, key=lambda one: int(one["id"])):
        key = key_of(one.get("description"))
        if key is not None and not one.get("deleted"):
            ours.setdefault(key, Found(id=int(one["id"]), key=key, fields=one))
    return list(ours.values())


def changes(
    wanted: Iterable[Dashboard], dashboards: Iterable[Found], insights: Iterable[Found], *, partial: bool = False
) -> Iterator[Change]:
    """In the order in which they must be made. With `partial`, what is ours and not wanted is left as it is."""
    boards, tiles = {one.key: one for one in dashboards}, {one.key: one for one in insights}
    keys: set[str] = set()
    for dashboard in wanted:
        board = boards.get(dashboard.slug)
        keys |= {dashboard.slug, *(f"{dashboard.slug}/{tile.slug}" for tile in dashboard.tiles)}
        yield from _of_dashboard(dashboard, board)
        places = _places(dashboard.tiles)
        for tile, place in zip(dashboard.tiles, places, strict=True):
            key = f"{dashboard.slug}/{tile.slug}"
            yield from _of_tile(dashboard, tile, key, tiles.get(key), board, place)
    if not partial:
        yield from _deletions([*tiles.values()], "insight", keys)
        yield from _deletions([*boards.values()], "dashboard", keys)


def deletions(dashboards: Iterable[Found], insights: Iterable[Found]) -> Iterator[Change]:
    """All that is ours, the tiles first."""
    yield from _deletions(insights, "insight", set())
    yield from _deletions(dashboards, "dashboard", set())


def dashboard_fields(dashboard: Dashboard) -> dict[str, Any]:
    """What we set of a dashboard."""
    return {"name": dashboard.name, "description": marked(dashboard.description, dashboard.slug)}


def insight_fields(tile: Tile, key: str) -> dict[str, Any]:
    """What we set of an insight."""
    return {"name": tile.name, "description": marked(tile.description, key), "query": dict(tile.query)}


def _of_dashboard(dashboard: Dashboard, board: Found | None) -> Iterator[Change]:
    fields = dashboard_fields(dashboard)
    if board is None:
        yield Change(
            action="create", kind="dashboard", key=dashboard.slug, name=dashboard.name, fields={**fields, "tags": [TAG]}
        )
    elif differing := _differing(board.fields, fields):
        yield Change(
            action="update",
            kind="dashboard",
            key=dashboard.slug,
            name=dashboard.name,
            id=board.id,
            fields={name: fields[name] for name in differing},
            differs=differing,
        )


def _of_tile(
    dashboard: Dashboard, tile: Tile, key: str, insight: Found | None, board: Found | None, place: Mapping[str, int]
) -> Iterator[Change]:
    fields = insight_fields(tile, key)
    if insight is None:
        made = {**fields, "tags": [TAG], "saved": True}
        yield Change(
            action="create",
            kind="insight",
            key=key,
            name=tile.name,
            fields=made,
            dashboard=dashboard.slug,
            place=place,
        )
        return
    differing = _differing(insight.fields, fields)
    sent: dict[str, Any] = {name: fields[name] for name in differing}
    on = list(insight.fields.get("dashboards") or [])
    if board is None or board.id not in on:
        differing = (*differing, "dashboards")
        sent["dashboards"] = on  # all that it is on: the field replaces the whole set; ours is added when it is sent
    if differing:
        is_put_back = "dashboards" in differing
        yield Change(
            action="update",
            kind="insight",
            key=key,
            name=tile.name,
            id=insight.id,
            fields=sent,
            differs=differing,
            dashboard=dashboard.slug if is_put_back else None,
            place=place if is_put_back else None,
        )


def _deletions(ours: Iterable[Found], kind: str, keys: set[str]) -> Iterator[Change]:
    for one in ours:
        if one.key not in keys:
            yield Change(
                action="delete", kind=kind, key=one.key, name=str(one.fields.get("name") or ""), id=one.id,
                fields={"deleted": True},
            )  # fmt: skip


def _differing(has: Mapping[str, Any], wanted: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(name for name, value in wanted.items() if not covers(has.get(name), value))


def covers(has: Any, wanted: Any) -> bool:  # noqa: ANN401 - JSON of any shape
    """Everything in `wanted` is in `has`, which may say more: servers add members of their own to a query."""
    if isinstance(wanted, Mapping):
        return isinstance(has, Mapping) and all(covers(has.get(name), value) for name, value in wanted.items())
    if isinstance(wanted, list | tuple):
        is_list = isinstance(has, list | tuple) and len(has) == len(wanted)
        return is_list and all(map(covers, has, wanted))
    return bool(has == wanted)


def _places(tiles: Iterable[Tile]) -> Iterator[dict[str, int]]:
    """From left to right, then down; a row is as high as its highest tile."""
    x = y = row_height = 0
    for tile in tiles:
        if x + tile.width > COLUMNS:
            x, y, row_height = 0, y + row_height, 0
        yield {"x": x, "y": y, "w": tile.width, "h": tile.height}
        x, row_height = x + tile.width, max(row_height, tile.height)
