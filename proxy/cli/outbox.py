"""`promptlane outbox`: look at, replay, export and purge events, also while the proxy runs."""

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from typing import Any, TypeAlias

import orjson

from proxy.adapters.journal import StoredEvent
from proxy.adapters.journal.reader import Rate
from proxy.adapters.journal.requests import Request, RequestWaits
from proxy.adapters.journal.stats import JournalStats
from proxy.cli.data_folder import FAILED, WELL, add_data, age_in_s, guarded, readers
from proxy.cli.requests import carry_out
from proxy.cli.terminal import size, span

_Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no public name


def add_parser(subparsers: _Verbs) -> None:
    """Add `outbox` and its verbs."""
    parser = subparsers.add_parser(
        "outbox",
        help="events on their way to PostHog: look, replay, export",
        description="Events wait in the outbox until PostHog has taken them; what it refuses rests among the dead.",
    )
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")
    _add(verbs, "stats", _stats, "how much waits, was delivered, is dead, was dropped, and how long an outage fits")
    listing = _add(verbs, "ls", _ls, "pending events, the oldest first")
    listing.add_argument("--limit", type=int, default=20, metavar="N", help="at most so many (default 20)")
    show = _add(verbs, "show", _show, "one pending or dead event, whole")
    show.add_argument("uuid", metavar="UUID", help="the event's, as `ls` and `dead` list it")
    dead = _add(verbs, "dead", _dead, "events that PostHog refused, or that expired")
    dead.add_argument("--reason", help="only those that died of this")
    dead.add_argument("--limit", type=int, default=20, metavar="N", help="at most so many (default 20)")
    replay = _add(verbs, "replay", _replay, "send dead events once more, with the same uuid and bytes")
    which = replay.add_mutually_exclusive_group(required=True)
    which.add_argument("--reason", help="all that died of this, e.g. quota")
    which.add_argument("--uuid", help="this one")
    which.add_argument("--all", action="store_true", help="all")
    export = _add(verbs, "export", _export, "events as JSON lines, as PostHog would get them")
    export.add_argument("--state", choices=("pending", "dead", "all"), default="all", help="which (default all)")
    purge = _add(verbs, "purge", _purge, "throw dead events away")
    purge.add_argument("--older-than", required=True, type=age_in_s, metavar="AGE", help="e.g. 7d, 12h, 30m, 0s")


def _add(verbs: _Verbs, name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    add_data(parser)
    parser.add_argument("--json", action="store_true", help="machine-readable output")
    parser.set_defaults(run=guarded(run))
    return parser


def _stats(args: argparse.Namespace) -> int:
    now_us = time.time_ns() // 1000
    with readers(args.data) as opened:
        found = [(path.name, reader.stats(), reader.rate()) for path, reader in opened]
    if args.json:
        print(orjson.dumps([_stats_document(*one, now_us) for one in found], option=orjson.OPT_INDENT_2).decode())
    else:
        print("\n\n".join("\n".join(_stats_lines(*one, now_us)) for one in found))
    return WELL


_OF_THE_PROCESS = (
    "queued_rows",
    "queued_bytes",
    "quarantined_files",
    "degraded",
)
"""What only the running proxy knows: it is on /metrics and /readyz."""


def _stats_document(name: str, stats: JournalStats, rate: Rate | None, now_us: int) -> dict[str, Any]:
    counts = {key: value for key, value in asdict(stats).items() if key not in _OF_THE_PROCESS}
    return {
        "file": name,
        **counts,
        "unbalanced": stats.unbalanced,
        "oldest_pending_age_s": _age_s(stats.oldest_pending_unix_us, now_us),
        "outage_fits_s": None if rate is None else round(rate.fits_s),
        "events_per_s": None if rate is None else round(rate.events_per_s, 3),
    }


def _stats_lines(name: str, stats: JournalStats, rate: Rate | None, now_us: int) -> Iterator[str]:
    age_s = _age_s(stats.oldest_pending_unix_us, now_us)
    waits = f"{size(stats.pending_bytes)} of {size(stats.outbox_max_bytes)}"
    yield name
    yield _line("admitted", stats.admitted, "events since the file was made")
    yield _line("pending", stats.pending, waits + (f", the oldest {span(age_s)} old" if age_s is not None else ""))
    yield _line("delivered", sum(stats.delivered.values()), _reasons(stats.delivered))
    yield _line("dead", sum(stats.dead.values()), _reasons(stats.dead))
    yield _line("dropped", sum(stats.dropped.values()), _reasons(stats.dropped))
    yield _line("calls", stats.exchanges, f"ended, their records take {size(stats.store_bytes)}")
    if stats.unbalanced:
        yield _line("UNBALANCED", stats.unbalanced, "events of which nobody knows: a bug")
    if rate is None:
        yield "  how long an outage fits: too few calls have ended to say"
    else:
        pace = f"{rate.events_per_s:,.1f} events/s of {size(rate.bytes_per_event)}"
        yield f"  an outage of {span(rate.fits_s)} still fits, at {pace}"


def _ls(args: argparse.Namespace) -> int:
    with readers(args.data) as opened:
        return _table(args, (event for _, reader in opened for event in reader.pending(args.limit)))


def _dead(args: argparse.Namespace) -> int:
    with readers(args.data) as opened:
        return _table(args, (event for _, reader in opened for event in reader.dead(args.limit, args.reason)))


def _table(args: argparse.Namespace, events: Iterable[StoredEvent]) -> int:
    chosen = list(islice(events, max(0, args.limit)))
    if args.json:
        print(orjson.dumps([_head(event) for event in chosen], option=orjson.OPT_INDENT_2).decode())
        return WELL
    if not chosen:
        print("None.")
    now_us = time.time_ns() // 1000
    for event in chosen:
        age = span(_age_s(event.created_unix_us, now_us) or 0.0)
        fate = event.reason or f"{event.attempts} tries"
        print(f"{event.uuid}  {age:>6}  {fate:<9}  {event.name}"[:80])
    return WELL


def _show(args: argparse.Namespace) -> int:
    with readers(args.data) as opened:
        event = next((found for _, reader in opened if (found := reader.find(args.uuid))), None)
    if event is None:
        print("No pending or dead event has this uuid: it was delivered, dropped, or never here.", file=sys.stderr)
        return FAILED
    document = {**_head(event), "event": orjson.loads(event.body)}
    print(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
    return WELL


def _export(args: argparse.Namespace) -> int:
    with readers(args.data) as opened:
        for _, reader in opened:
            for events in (reader.pending, reader.dead):
                if args.state in (events.__name__, "all"):
                    for event in events():
                        print(event.body.decode())
    return WELL


def _replay(args: argparse.Namespace) -> int:
    before_us = time.time_ns() // 1000 + 1
    return _ask(args, Request(verb="replay", before_unix_us=before_us, reason=args.reason, uuid=args.uuid), "replayed")


def _purge(args: argparse.Namespace) -> int:
    before_us = time.time_ns() // 1000 - int(args.older_than * 1e6) + 1
    return _ask(args, Request(verb="purge", before_unix_us=before_us), "purged")


def _ask(args: argparse.Namespace, request: Request, done: str) -> int:
    """Do it, or have each running proxy do it, and say how that went."""
    try:
        totals = carry_out(args.data, request)
    except RequestWaits:
        print("An earlier request has not been carried out yet; try again in a moment.", file=sys.stderr)
        return FAILED
    if args.json:
        print(orjson.dumps(totals).decode())
    elif totals["late"]:
        print("The running proxy was asked, and has not done it yet; see `promptlane outbox stats`.")
    elif totals["asked"]:
        print(f"Done by the running proxy: what matched was {done}.")
    else:
        print(f"{totals['done']} {done}; the proxy does not run, so nothing is sent now.")
    return FAILED if totals["late"] else WELL


def _head(event: StoredEvent) -> dict[str, Any]:
    return {
        "uuid": event.uuid,
        "name": event.name,
        "exchange_id": event.exchange_id,
        "state": event.state,
        "reason": event.reason,
        "attempts": event.attempts,
        "created": datetime.fromtimestamp(event.created_unix_us / 1e6, UTC).isoformat(),
    }


def _line(label: str, count: int, text: str) -> str:
    return f"  {label:<10} {count:>12,}  {text}".rstrip()[:80]


def _reasons(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {count:,}" for reason, count in sorted(counts.items(), key=lambda item: -item[1]))


def _age_s(since_us: int | None, now_us: int) -> float | None:
    return None if since_us is None else max(0.0, (now_us - since_us) / 1e6)
