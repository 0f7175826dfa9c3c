"""All pages: from a path to bytes. Runs in the pages' process; see `child`."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

from proxy.pages import content, events, health, live, prompts
from proxy.pages import trace as trace_page
from proxy.pages import traces as trace_list
from proxy.pages.breakdowns import Analysis, first_call_at, values_of
from proxy.pages.comparison import Remembered
from proxy.pages.csv_text import csv_of
from proxy.pages.dashboards import BOARDS, Board
from proxy.pages.filters import DEFAULT_PERIOD, OFFERED, PERIODS, Filters, filters_of, time_of, written
from proxy.pages.render import drawn, render
from proxy.pages.request import CSV, PageReply, PageRequest, PromptFacts
from proxy.pages.tiles import Table

CSV_ROWS = 10_000
"""So many traces a download has at most."""
LATELY = timedelta(hours=1)
"""What the page on health calls lately."""


@dataclass(frozen=True)
class Ask:
    """One request, read."""

    request: PageRequest
    filters: Filters
    now: datetime

    @cached_property
    def members(self) -> Mapping[str, list[str]]:
        """Of the query."""
        return parse_qs(self.request.query)

    def one(self, name: str) -> str | None:
        """The first value of a member."""
        return next(iter(self.members.get(name, ())), None)


class Site:
    """Answers requests, one after the other. `now` is the time in UTC."""

    def __init__(self, data_dir: Path, analysis: Analysis, now: Callable[[], datetime]) -> None:
        self._data_dir = data_dir
        self._analysis = analysis
        self._now = now
        self._pages: Mapping[str, Callable[[Ask], PageReply]] = {
            "/ui": self._begin,
            "/ui/traces": self._traces,
            "/ui/traces.csv": self._traces_csv,
            "/ui/trace": lambda ask: self._trace(ask, ask.one("id") or ""),
            "/ui/live": self._live,
            "/ui/content": self._content,
            "/ui/prompts": self._prompts,
            "/ui/health": self._health,
        }
        self._pages_of_admins: Mapping[str, Callable[[Ask], PageReply]] = {
            "/ui/events": self._events,
        }
        self._forms: Mapping[str, Callable[[Ask, Mapping[str, str]], PageReply]] = {
            "/ui/events/replay": self._replay,
        }

    def answer(self, request: PageRequest) -> PageReply:
        """One page; 404 for what there is not, 403 for what is not the reader's."""
        now = self._now()
        ask = Ask(request, filters_of(request.query, now, request.reader.key_alias), now)
        path = request.path.rstrip("/")
        if request.form is not None:
            form = self._forms.get(path)
            return form(ask, request.form) if form is not None else self._missing(ask, "There is no such form.")
        if path in self._pages_of_admins:
            return self._pages_of_admins[path](ask) if request.reader.is_admin else self._refused(ask)
        if (page := self._pages.get(path)) is not None:
            return page(ask)
        if path.startswith("/ui/traces/"):
            return self._trace(ask, path.removeprefix("/ui/traces/"))
        name, _, kind = path.removeprefix("/ui/").partition(".")
        if (board := BOARDS.get(name)) is not None and kind in ("", "csv"):
            return self._board_csv(ask, board) if kind else self._board(ask, board)
        return self._missing(ask, "There is no such page.")

    def _begin(self, _: Ask) -> PageReply:
        """The first dashboard, over the shortest period that holds all calls, up to a day."""
        board = next(iter(BOARDS))
        first = first_call_at(self._analysis)
        age = self._now() - first if first is not None else timedelta(0)
        fitting = next((name for name, length in PERIODS.items() if age <= length), DEFAULT_PERIOD)
        period = fitting if PERIODS[fitting] < PERIODS[DEFAULT_PERIOD] and first is not None else DEFAULT_PERIOD
        return PageReply(status=303, location=f"/ui/{board}?{urlencode({'last': period})}")

    def _board(self, ask: Ask, board: Board) -> PageReply:
        """While a chart is drawn here, the database works on what comes next."""
        analysis = Remembered(self._analysis)
        with ThreadPoolExecutor(1) as asking:
            tiles = [asking.submit(tile, analysis, ask.filters) for tile in board.tiles.values()]
            figures = asking.submit(board.figures, analysis, ask.filters)
            choices = asking.submit(self._choices, ask)
            csv = ask.filters.to(f"/ui/{board.key}.csv")
            drawings = [drawn(tile.result(), csv) for tile in tiles]
            return self._shown(
                ask,
                "board.html",
                active=board.key,
                title=board.title,
                board=board,
                figures=figures.result(),
                tiles=drawings,
                **choices.result(),
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

    def _trace(self, ask: Ask, trace_id: str) -> PageReply:
        reader = ask.request.reader
        found = trace_page.read_trace(self._data_dir, trace_id, reader.key_alias)
        status = 200 if found.calls or found.outcomes else 404
        view = trace_page.view_of(found)
        with_content = content.kept_of(self._data_dir, found.calls) if reader.is_admin else frozenset()
        return self._shown(
            ask, "trace.html", status=status, active="traces", title="Trace", with_content=with_content, **view
        )

    def _content(self, ask: Ask) -> PageReply:
        exchange_id = ask.one("exchange") or ""
        if not ask.request.reader.is_admin:
            content.refuse(self._data_dir, exchange_id)
            return self._refused(ask)
        opened = content.opened(self._data_dir, exchange_id)
        return self._shown(
            ask,
            "content.html",
            status=200 if opened.parts else 404,
            active="traces",
            title="Content",
            exchange_id=exchange_id,
            trace=trace_list.trace_path(opened.trace_id) if opened.trace_id else "",
            opened=opened,
        )

    def _live(self, ask: Ask) -> PageReply:
        is_paused = ask.one("pause") is not None
        return self._shown(
            ask,
            "live.html",
            active="live",
            title="Live",
            table=live.latest(self._data_dir, ask.request.reader.key_alias),
            is_paused=is_paused,
            every_s=live.EVERY_S,
        )

    def _prompts(self, ask: Ask) -> PageReply:
        managed = ask.request.about.prompts
        name = ask.filters.chosen.get("prompt")
        if name is None:
            table = prompts.listed(self._analysis, ask.filters, managed)
            return self._shown(
                ask, "prompts.html", active="prompts", title="Prompts", table=table, **self._choices(ask)
            )
        prompt = next((each for each in managed if each.name == name), PromptFacts(name=name))
        return self._shown(
            ask,
            "prompt.html",
            active="prompts",
            title=name,
            name=name,
            table=prompts.side_by_side(self._analysis, ask.filters),
            rollout=prompts.rollout_of(self._data_dir, prompt) if prompt.flag else None,
            experiment=prompts.judged(self._analysis, prompt, ask.now),
            **self._choices(ask),
        )

    def _health(self, ask: Ask) -> PageReply:
        journals = health.stats_of(self._data_dir)
        lately = replace(ask.filters, begin=ask.now - LATELY, end=ask.now)
        about = ask.request.about
        # numbers of all calls are not for whoever may see those of one key
        alerts = health.alerts_in_words(self._data_dir) if ask.request.reader.key_alias is None else []
        return self._shown(
            ask,
            "health.html",
            active="health",
            title="Health",
            facts=about.facts,
            problems=[*health.problems_in_words(about.problems), *alerts],
            figures=health.figures(journals, ask.now),
            targets=health.target_table(self._analysis, lately),
            journals=health.journal_table(journals),
        )

    def _events(self, ask: Ask) -> PageReply:
        asked = ask.one("state") or ""
        state = asked if asked in events.STATES else next(iter(events.STATES))
        found = events.find(self._data_dir, state)
        return self._shown(
            ask,
            "events.html",
            active="events",
            title="Events",
            states=events.STATES,
            state=state,
            found=found,
            counts=events.counts(found),
            most=events.PAGE_ROWS,
            is_replayed=ask.one("replayed") is not None,
        )

    def _replay(self, ask: Ask, _: Mapping[str, str]) -> PageReply:
        if not ask.request.reader.is_admin:
            return self._refused(ask)
        events.replay(self._data_dir, int(ask.now.timestamp() * 1_000_000))
        return PageReply(status=303, location="/ui/events?state=dead&replayed=yes")

    def _refused(self, ask: Ask) -> PageReply:
        why = "This page is for admins: it shows whole events, or what calls said, or changes something."
        return self._shown(ask, "missing.html", status=403, active="", title="Not for viewers", why=why)

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
