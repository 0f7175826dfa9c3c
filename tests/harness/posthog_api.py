"""A PostHog project that holds dashboards, insights and flags in memory, by the documented rules of its private API.

Lists come in pages of two; `insights.dashboards` replaces the whole set; deleting is a flag; the server adds members of
its own to each query; an insight on a dashboard has a tile there, and a PATCH of tiles changes those it lists. `script`
holds what the next requests get instead of being carried out (a status, or a status with headers); LOST carries one
out and then says nothing.
"""

import json
from collections import deque
from collections.abc import Callable
from typing import Any, Self

from aiohttp import web

KEY, PROJECT = "phx_test", "12345"
LOST = "lost"
PAGE = 2


class PostHogProject:
    """`async with PostHogProject() as project:`; `project.host` is its address."""

    def __init__(self) -> None:
        self.dashboards: dict[int, dict[str, Any]] = {}
        self.insights: dict[int, dict[str, Any]] = {}
        self.feature_flags: dict[int, dict[str, Any]] = {}
        self.queries: list[dict[str, Any]] = []
        self.answer: Callable[[str], list[list[Any]]] = lambda _: []
        """The rows that a query gets."""
        self.tiles: dict[int, dict[str, Any]] = {}
        self.asked: list[tuple[str, str]] = []
        self.script: deque[Any] = deque()
        self._next_id = 100

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/api/projects/{project}/{kind}/", self._many)
        app.router.add_route("*", "/api/projects/{project}/{kind}/{id}/", self._one)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.host = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    def add(self, kind: str, **fields: Any) -> int:
        """Put an object there as a user of the project would."""
        self._next_id += 1
        objects = self._objects(kind)
        objects[self._next_id] = {"id": self._next_id, "deleted": False, "tags": [], "description": "", **fields}
        return self._next_id

    def _objects(self, kind: str) -> dict[int, dict[str, Any]]:
        return {"dashboards": self.dashboards, "insights": self.insights, "feature_flags": self.feature_flags}[kind]

    @property
    def living(self) -> set[str]:
        """Names of what is not deleted."""
        return {one["name"] for one in (*self.dashboards.values(), *self.insights.values()) if not one["deleted"]}

    async def _many(self, request: web.Request) -> web.StreamResponse:
        kind = request.match_info["kind"]
        if (told := await self._refusal(request)) is not None:
            return told
        if kind == "query":
            query = (await request.json())["query"]
            self.queries.append(query)
            return web.json_response({"results": self.answer(query["query"])})
        objects = self._objects(kind)
        if request.method == "POST":
            document = await request.json()
            made_id = self.add(kind, **document)
            self._take(kind, objects[made_id], document)
            return self._answer(request, objects[made_id], 201)
        wanted = request.query.get("search", "").lower()
        found = [one for one in objects.values() if not one["deleted"] and wanted in json.dumps(one).lower()]
        at = int(request.query.get("offset", 0))
        following = f"http://internal:8000{request.path}?offset={at + PAGE}&search={wanted}"
        page = {
            "count": len(found),
            "next": following if len(found) > at + PAGE else None,
            "previous": None,
            "results": [self._shown(kind, one) for one in found[at : at + PAGE]],
        }
        return web.json_response(page)

    async def _one(self, request: web.Request) -> web.StreamResponse:
        kind = request.match_info["kind"]
        if (told := await self._refusal(request)) is not None:
            return told
        objects = self._objects(kind)
        one = objects.get(int(request.match_info["id"]))
        if one is None:
            return _error(404, "not_found", "Not found.")
        if request.method == "PATCH":
            document = await request.json()
            tiles = document.pop("tiles", ())
            one |= document
            self._take(kind, one, document)
            for tile in tiles:
                self.tiles[tile["id"]] |= tile
        return self._answer(request, self._shown(kind, one), 200)

    async def _refusal(self, request: web.Request) -> web.StreamResponse | None:
        self.asked.append((request.method, request.path))
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return _error(401, "invalid_personal_api_key", "Invalid Personal API key.")
        if request.match_info["project"] != PROJECT:
            return _error(404, "not_found", "Project not found.")
        self._is_lost = False
        if self.script and (told := self.script.popleft()) is not None:
            if told is LOST:
                self._is_lost = True
                return None
            status, headers, detail = told
            return _error(status, "throttled" if status == 429 else "invalid_input", detail, headers)
        return None

    def _take(self, kind: str, one: dict[str, Any], document: dict[str, Any]) -> None:
        if kind != "insights" or "dashboards" not in document:
            return
        has = {tile["dashboard_id"] for tile in self.tiles.values() if tile["insight_id"] == one["id"]}
        for dashboard_id in set(document["dashboards"]) - has:
            self._next_id += 1
            self.tiles[self._next_id] = {
                "id": self._next_id, "dashboard_id": dashboard_id, "insight_id": one["id"], "layouts": {},
            }  # fmt: skip
        for tile_id, tile in list(self.tiles.items()):
            if tile["insight_id"] == one["id"] and tile["dashboard_id"] not in document["dashboards"]:
                del self.tiles[tile_id]

    def _shown(self, kind: str, one: dict[str, Any]) -> dict[str, Any]:
        if kind != "insights":
            return one
        tiles = [tile for tile in self.tiles.values() if tile["insight_id"] == one["id"]]
        query = one.get("query")
        if isinstance(query, dict) and "source" in query:
            query = {**query, "version": 2, "source": {**query["source"], "version": 3, "hogql": "SELECT 1"}}
        shown = [{"id": tile["id"], "dashboard_id": tile["dashboard_id"]} for tile in tiles]
        return {**one, "query": query, "result": None, "is_cached": False, "dashboard_tiles": shown}

    def _answer(self, request: web.Request, one: dict[str, Any], status: int) -> web.StreamResponse:
        if self._is_lost:
            assert request.transport is not None
            request.transport.abort()
        kind = request.match_info["kind"]
        return web.json_response(self._shown(kind, one), status=status)


def _error(status: int, code: str, detail: str, headers: dict[str, str] | None = None) -> web.Response:
    body = {"type": "an_error", "code": code, "detail": detail, "attr": None}
    return web.json_response(body, status=status, headers=headers)
