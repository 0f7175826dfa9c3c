"""`promptlane top`: a live view over a running proxy, from its /metrics."""

import argparse
import asyncio
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime

import aiohttp
import orjson

from proxy.cli.serve import DEFAULT_HOST, DEFAULT_PORT, PORTS, chosen_number, show_problems
from proxy.cli.top.frame import COLUMNS, Line, frame_of, notice
from proxy.cli.top.scrape import Scrape, Window
from proxy.cli.top.screen import append, dimensions, draw, full_screen, is_screen
from proxy.cli.top.source import NoFigures, Source, address_of
from proxy.cli.top.view import View, view_of
from proxy.config import ConfigError

INTERVAL_S = 2.0
SHOWN_S = 60.0
"""A frame tells of so long a time, as soon as it has watched so long: a few calls give no steady figures."""
KEPT = 100
"""Scrapes at most, which bounds the memory."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Offer the verb."""
    parser = subparsers.add_parser(
        "top",
        help="watch a running proxy: calls, times, tokens, cost, errors, outbox",
        description="Watch a running proxy, from its /metrics: calls, times, tokens, cost and errors by target, and the"
        " way of the events to PostHog. q or Ctrl-C ends it.",
        epilog="Off loopback the proxy asks for the token in PROMPTLANE_ADMIN_TOKEN.",
    )
    parser.add_argument(
        "--url", type=_address, help=f"the proxy (default: http://{DEFAULT_HOST}, PROMPTLANE_PORT or {DEFAULT_PORT})"
    )
    parser.add_argument(
        "--interval", type=_interval, default=INTERVAL_S, metavar="S", help=f"seconds (default: {INTERVAL_S:g})"
    )
    parser.add_argument("--once", action="store_true", help="one frame, after one interval")
    parser.add_argument("--json", action="store_true", help="one JSON object for each interval, for scripts")
    parser.set_defaults(run=run)


def _address(text: str) -> str:
    try:
        return address_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _interval(text: str) -> float:
    with suppress(ValueError):
        if 0.1 <= (interval_s := float(text)) <= 3600:
            return interval_s
    raise argparse.ArgumentTypeError(f"{text!r} is no interval; write seconds, from 0.1 to 3600")


def run(args: argparse.Namespace) -> int:
    """Watch until q or a signal. 1: with `--once`, there are no figures."""
    try:
        port = chosen_number(None, os.environ, "PROMPTLANE_PORT", DEFAULT_PORT, PORTS)
    except ConfigError as error:
        return show_problems(error)
    address = args.url or f"http://{DEFAULT_HOST}:{port}"
    source = Source(address=address, token=os.environ.get("PROMPTLANE_ADMIN_TOKEN"))
    return asyncio.run(_once(source, args) if args.once else _until_stopped(source, args))


async def _once(source: Source, args: argparse.Namespace) -> int:
    try:
        async with aiohttp.ClientSession(trust_env=False) as session:
            before = await source.scrape(session)
            await asyncio.sleep(args.interval)
            after = await source.scrape(session)
    except NoFigures as problem:
        print(problem.words, file=sys.stderr)
        return 1
    view = view_of(Window(before=before, after=after))
    if args.json:
        _as_json(view)
    else:
        append(frame_of(view, source.address))
    return 0


async def _until_stopped(source: Source, args: argparse.Namespace) -> int:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError):
        if args.json:
            await watch(source, args.interval, _as_json, History(0.0))
        elif is_screen():
            with full_screen(task.cancel):
                await watch(source, args.interval, _on_screen(source.address), History(SHOWN_S))
        else:
            await watch(source, args.interval, _on_paper(source.address), History(SHOWN_S))
    return 0


Show = Callable[[View | str], None]
"""Shows figures, or says in words why there are none."""


async def watch(source: Source, interval_s: float, show: Show, history: "History") -> None:
    """Scrape and show until cancelled, whatever the proxy does meanwhile. The same words are said once."""
    said = ""
    async with aiohttp.ClientSession(trust_env=False) as session:
        while True:
            try:
                show(view_of(history.add(await source.scrape(session))))
                said = ""
            except NoFigures as problem:
                if problem.words != said:
                    show(said := problem.words)
            await asyncio.sleep(interval_s)


class History:
    """The scrapes of the last `shown_s` seconds; of the last interval, however long, if that is 0."""

    def __init__(self, shown_s: float) -> None:
        self._shown_s = shown_s
        self._scrapes: deque[Scrape] = deque(maxlen=KEPT)

    def add(self, scrape: Scrape) -> Window:
        """The time from the oldest one to this. Raises NoFigures: they need two scrapes of one process."""
        words = "Watching: the first figures come after one interval."
        if self._scrapes and scrape.restarted_since(self._scrapes[-1]):
            self._scrapes.clear()
            words = "The proxy was started anew: the next figures come after one interval."
        self._scrapes.append(scrape)
        while len(self._scrapes) > 2 and scrape.at_s - self._scrapes[1].at_s >= self._shown_s:
            self._scrapes.popleft()
        if len(self._scrapes) == 1:
            raise NoFigures(words)
        return Window(before=self._scrapes[0], after=scrape)


def document(view: View) -> str:
    """A line of JSON for scripts."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    return orjson.dumps({"at": at, **asdict(view)}).decode()


def _as_json(told: View | str) -> None:
    print(told if isinstance(told, str) else document(told), file=sys.stderr if isinstance(told, str) else None)
    sys.stdout.flush()


def _on_paper(address: str) -> Show:
    return lambda told: append([*_lines(told, address, COLUMNS), Line("")])


def _on_screen(address: str) -> Show:
    return lambda told: draw(_lines(told, address, *dimensions()))


def _lines(told: View | str, address: str, width: int, rows: int | None = None) -> Sequence[Line]:
    return (
        notice(told, address, width=width) if isinstance(told, str) else frame_of(told, address, width=width, rows=rows)
    )
