"""The dashboards of a PostHog project: read what is ours, and carry out a plan's changes."""

from collections.abc import Sequence
from typing import Any

from proxy.adapters.posthog_api import PostHogApi
from proxy.domain.dashboards.plan import TAG, Change, Found, found

_PATHS = {"dashboard": "dashboards", "insight": "insights"}


async def read_ours(api: PostHogApi) -> tuple[list[Found], list[Found]]:
    """Our dashboards and insights. The search narrows what the server sends; the marker decides."""
    dashboards = [one async for one in api.all("dashboards/", search=TAG)]
    insights = [one async for one in api.all("insights/", search=TAG)]
    return found(dashboards), found(insights)


class Carrier:
    """Carries out changes one after the other, in the plan's order: dashboards come before what stands on them."""

    def __init__(self, api: PostHogApi, dashboards: Sequence[Found]) -> None:
        self._api = api
        self._ids = {one.key: one.id for one in dashboards}

    async def carry_out(self, change: Change) -> None:
        """Raises Refused or Unavailable. After Unavailable it must be read again what there is."""
        fields: dict[str, Any] = dict(change.fields)
        board_id = self._ids[change.dashboard] if change.dashboard is not None else None
        if board_id is not None:
            fields["dashboards"] = [*fields.get("dashboards", ()), board_id]
        path = f"{_PATHS[change.kind]}/"
        if change.action == "create":
            made = await self._api.post(path, fields)
        else:
            made = await self._api.patch(f"{path}{change.id}/", fields)
        if change.kind == "dashboard" and change.action == "create":
            self._ids[change.key] = int(made["id"])
        if change.place is not None and board_id is not None:
            await self._lay_out(board_id, made, change)

    async def _lay_out(self, board_id: int, insight: dict[str, Any], change: Change) -> None:
        """Put a new tile in its place; only the tiles that are listed are changed."""
        tile_ids = [tile["id"] for tile in insight.get("dashboard_tiles") or () if tile.get("dashboard_id") == board_id]
        if tile_ids:
            tile = {"id": tile_ids[0], "layouts": {"sm": dict(change.place or {})}, "show_description": True}
            await self._api.patch(f"dashboards/{board_id}/", {"tiles": [tile]})
