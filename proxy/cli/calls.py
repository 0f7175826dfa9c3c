"""`promptlane calls`: the calls that have ended, from their records in the data folder, which hold no content."""

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from time import sleep, time_ns
from typing import TypeAlias

import orjson

from proxy.adapters.journal import StoredExchange
from proxy.adapters.journal.calls import Follower, newest_first, of_trace
from proxy.cli.call_rows import HEADING, WIDE_HEADING, call_row, ended_at, wide_row
from proxy.cli.data_folder import FAILED, WELL, add_data, age_in_s, count, guarded, readers
from proxy.cli.terminal import in_colour
from proxy.domain.errors import Status
from proxy.domain.events import recorded
from proxy.domain.globs import is_glob, matches

POLL_S = 0.5
TAIL_BEGINS_WITH = 10
_Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no public name
_FILTERS = (
    ("--prompt", ("prompt_name",), "prompt"),
    ("--version", ("prompt_version_id",), "prompt version"),
    ("--model", ("model", "requested_model"), "model, as it was asked for or as it answered"),
    ("--target", ("target",), "target: a provider, or a provider and its model"),
    ("--trace", ("trace_id",), "trace"),
    ("--key", ("key_alias",), "proxy key, by its alias"),
)
"""Option, properties of which one must match, and what it is."""


def add_parser(subparsers: _Verbs) -> None:
    """Add `calls` and its verbs."""
    parser = subparsers.add_parser(
        "calls",
        help="calls that have ended: list, follow, show",
        description="Look at the calls that have ended, also while the proxy runs. What is kept of a call is its"
        " metadata: never a prompt or an output.",
    )
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")
    listing = _verb(verbs, "ls", _ls, "the latest calls, the newest last")
    listing.add_argument("--limit", type=count, default=20, metavar="N", help="at most so many (default 20)")
    tail = _verb(verbs, "tail", _tail, f"follow: the last {TAIL_BEGINS_WITH} calls, then each as it ends")
    show = _verb(verbs, "show", _show, "one call, or all calls of a trace, with everything that is known")
    show.add_argument("id", metavar="ID", help="an exchange id or a trace id")
    for verb in (listing, tail):
        _add_filters(verb)
        verb.add_argument("--wide", action="store_true", help="more columns, uncut: error type, target, ids")
    for verb in (listing, tail, show):
        verb.add_argument("--json", action="store_true", help="the whole records, one on a line")


def _verb(verbs: _Verbs, name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    add_data(parser)
    parser.set_defaults(run=guarded(run))
    return parser


def _add_filters(parser: argparse.ArgumentParser) -> None:
    filters = parser.add_argument_group("filters", "A `*` in one stands for anything; quote it from the shell.")
    for option, _, what in _FILTERS:
        filters.add_argument(option, metavar="NAME", help=f"only calls of this {what}")
    statuses = [status.value for status in Status]
    filters.add_argument("--status", choices=statuses, metavar="STATUS", help=f"one of {', '.join(statuses)}")
    filters.add_argument("--since", type=age_in_s, default="24h", metavar="AGE", help="e.g. 15m, 7d (default 24h)")


def _ls(args: argparse.Namespace) -> int:
    found = _latest(args, args.limit)
    _Table(args).add(found)
    if args.json:
        return WELL
    if not found:
        print("No such call has ended here of late; --since 7d looks further back.", file=sys.stderr)
    elif _names_one_trace(args) and (page := recorded(found[-1].record)["properties"].get("trace_url")):
        print(f"\nThe trace as a page: {page}")
    return WELL


def _tail(args: argparse.Namespace) -> int:
    table, follower = _Table(args), Follower(args.data)
    last = _latest(args, TAIL_BEGINS_WITH)
    told = {call.exchange_id for call in last}
    table.add(last)
    try:
        while True:
            table.add(call for call in follower.more() if call.exchange_id not in told and _is_wanted(call, args))
            sleep(POLL_S)
    except KeyboardInterrupt:
        return WELL


def _show(args: argparse.Namespace) -> int:
    with readers(args.data) as opened:
        found = [call for _, reader in opened if (call := reader.by_exchange(args.id))]
        found = found or of_trace([reader for _, reader in opened], args.id)
    for call in found:
        print(orjson.dumps(recorded(call.record), option=None if args.json else orjson.OPT_INDENT_2).decode())
    if not found:
        print("No call that has ended here, and no trace, has this id.", file=sys.stderr)
    return WELL if found else FAILED


def _latest(args: argparse.Namespace, limit: int) -> list[StoredExchange]:
    """The last calls that are wanted, the newest last."""
    since_us = time_ns() // 1000 - int(args.since * 1e6)
    with readers(args.data) as opened:
        each = [reader for _, reader in opened]
        calls = reversed(of_trace(each, args.trace)) if _names_one_trace(args) else newest_first(each, since_us)
        return list(islice((call for call in calls if _is_wanted(call, args)), limit))[::-1]


def _names_one_trace(args: argparse.Namespace) -> bool:
    """A trace is found at once by the index, whenever it was."""
    return args.trace is not None and not is_glob(args.trace)


def _is_wanted(call: StoredExchange, args: argparse.Namespace) -> bool:
    properties = recorded(call.record)["properties"]
    if args.status not in (None, properties.get("status")):
        return False
    for option, names, _ in _FILTERS:
        pattern = getattr(args, option.removeprefix("--"))
        if pattern is not None and not any(matches(pattern, str(properties.get(name, ""))) for name in names):
            return False
    return True


class _Table:
    """Prints calls as they come, under one heading, with a line where a day begins."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._is_json = args.json
        self._row, self._heading = (wide_row, WIDE_HEADING) if args.wide else (call_row, HEADING)
        self._day = ""
        self._in_colour = in_colour(sys.stdout)

    def add(self, calls: Iterable[StoredExchange]) -> None:
        for line in self._lines(calls):
            print(line)
        sys.stdout.flush()

    def _lines(self, calls: Iterable[StoredExchange]) -> Iterator[str]:
        for call in calls:
            told = recorded(call.record)
            if self._is_json:
                yield orjson.dumps(told).decode()
                continue
            if (day := f"{ended_at(call.ended_unix_us):%Y-%m-%d}") != self._day:
                yield from (self._heading,) if not self._day else ()
                yield day
                self._day = day
            yield self._row(call.ended_unix_us, told["properties"], in_colour=self._in_colour)
