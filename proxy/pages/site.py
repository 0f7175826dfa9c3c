"""All pages: from a path to bytes. Runs in the pages' process; see `child`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from proxy.pages import trace as trace_page
from proxy.pages import traces as trace_list
from proxy.pages.breakdowns import Analysis, values_of
from proxy.pages.csv_text import csv_of
from proxy.pages.dashboards import BOARDS, Board
from proxy.pages.filters import OFFERED, PERIODS, Filters, filters_of, time_of, written
from proxy.pages.render import Drawing, render
from proxy.pages.request import CSV, PageReply, PageRequest
from proxy.pages.tiles import Table

CSV_ROWS = 10_000
"""So many traces a download has at most."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, read."""

    request: PageRequest
    filters: Filters
    now: datetime

    @property
    def only(self) -> Mapping[str, list[str]]:
        """The members of the query."""
        return parse_qs(self.request.query)

    def one(self, name: str) -> str | None:
        """The first value of a member."""
        return next(iter(self.only.get(name, ())), None)


class Site:
    """Answers requests, one after the other. `now` is the time in UTC."""

    def __init__(self, data_dir: Path, analysis: Analysis, now: Callable[[], datetime]) -> None:
        self._data_dir = data_dir
        self._analysis = analysis
        self._now = now
        self._pages: Mapping[str, Callable[[Ask], PageReply]] = {
            "/ui/traces": self._traces,
            "/ui/traces.csv": self._traces_csv,
            "/ui/trace": self._trace_by_query,
        }

    def answer(self, request: PageRequest) -> PageReply:
        """One page; 404 for what there is not, 403 for what is not the reader's."""
        now = self._now()
        ask = Ask(request, filters_of(request.query, now, request.reader.key_alias), now)
        path = request.path.rstrip("/")
        if path == "/ui":
            return PageReply(status=303, location="/ui/" + next(iter(BOARDS)))
        if (page := self._pages.get(path)) is not None:
            return page(ask)
        if path.startswith("/ui/traces/"):
            return self._trace(ask, path.removeprefix("/ui/traces/"))
        name, _, kind = path.removeprefix("/ui/").partition(".")
        if (board := BOARDS.get(name)) is not None and kind in ("", "csv"):
            return self._board_csv(ask, board) if kind else self._board(ask, board)
        return self._missing(ask, "There is no such page.")

    def _board(self, ask: Ask, board: Board) -> PageReply:
        tiles = [tile(self._analysis, ask.filters) for tile in board.tiles.values()]
        return self._shown(
            ask,
            "board.html",
            active=board.key,
            title=board.title,
            board=board,
            figures=board.figures(self._analysis, ask.filters),
            tiles=[Drawing(tile, ask.filters.to(f"/ui/{board.key}.csv") + f"&tile={tile.key}") for tile in tiles],
            **self._choices(ask),
        )

    def _board_csv(self, ask: Ask, board: Board) -> PageReply:
        tile = board.tiles.get(ask.one("tile") or "")
        if tile is None:
            return self._missing(ask, "There is no such table.")
        found = tile(self._analysis, ask.filters)
        return _download(found.table, f"{board.key}-{found.key}.csv")

    def _traces(self, ask: Ask) -> PageReply:
        rows = trace_list.find(self._analysis, ask.filters, time_of(ask.one("until")), trace_list.PAGE_ROWS + 1)
        shown = rows[: trace_list.PAGE_ROWS]
        is_more = len(rows) > len(shown)
        older = f"{ask.filters.to('/ui/traces')}&until={written(shown[-1]['ended_at'])}" if is_more else ""
        return self._shown(
            ask,
            "traces.html",
            active="traces",
            title="Traces",
            table=trace_list.table_of(shown),
            older=older,
            download=ask.filters.to("/ui/traces.csv"),
            **self._choices(ask),
        )

    def _traces_csv(self, ask: Ask) -> PageReply:
        rows = trace_list.find(self._analysis, ask.filters, limit=CSV_ROWS)
        return _download(trace_list.table_of(rows), "traces.csv")

    def _trace_by_query(self, ask: Ask) -> PageReply:
        return self._trace(ask, ask.one("id") or "")

    def _trace(self, ask: Ask, trace_id: str) -> PageReply:
        found = trace_page.read_trace(self._data_dir, trace_id, ask.request.reader.key_alias)
        status = 200 if found.calls or found.outcomes else 404
        return self._shown(
            ask, "trace.html", status=status, active="traces", title="Trace", **trace_page.view_of(found)
        )

    def _missing(self, ask: Ask, why: str) -> PageReply:
        return self._shown(ask, "missing.html", status=404, active="", title="Not found", why=why)

    def _choices(self, ask: Ask) -> dict[str, Any]:
        """What the bar of filters needs."""
        return {
            "periods": list(PERIODS),
            "offered": values_of(self._analysis, ask.filters, OFFERED),
            "extra": {name: value for name, value in ask.filters.chosen.items() if name not in OFFERED},
        }

    def _shown(self, ask: Ask, template: str, *, status: int = 200, **values: Any) -> PageReply:  # noqa: ANN401
        body = render(
            template,
            path=ask.request.path,
            filters=ask.filters,
            reader=ask.request.reader,
            form_token=ask.request.form_token,
            **values,
        )
        return PageReply(status=status, body=body)


def _download(table: Table, file_name: str) -> PageReply:
    return PageReply(content_type=CSV, body=csv_of(table), file_name=file_name)


def utc_now() -> datetime:
    """The time, in whole microseconds."""
    return datetime.now(UTC)
