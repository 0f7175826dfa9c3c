"""`promptlane store`: what is kept of past calls, who has opened it, and how a user's part of it is deleted."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import orjson

from proxy.adapters.journal import journal_files
from proxy.adapters.journal.requests import Request, RequestWaits
from proxy.cli.data_folder import FAILED, WELL, add_data, count, guarded
from proxy.cli.requests import carry_out
from proxy.cli.terminal import cell, plain

PATIENCE_S = 120.0
"""For a running proxy: it looks at some 40,000 rows a second."""
_Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no public name


def add_parser(subparsers: _Verbs) -> None:
    """Add `store` and its verbs."""
    parser = subparsers.add_parser(
        "store",
        help="what is kept of past calls: forget a user, see who opened content",
        description="What the data folder keeps of past calls: records, outcomes, and content where it is captured.",
    )
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")
    forget = verbs.add_parser(
        "forget",
        help="delete everything of one user",
        description="Delete everything that the data folder holds of one user, also while the proxy runs: records of"
        " calls, outcomes, captured content, and events that wait for PostHog or were refused. What PostHog has is"
        " deleted there, with the person.",
    )
    add_data(forget)
    forget.add_argument(
        "--distinct-id",
        required=True,
        metavar="ID",
        help="as events have it: where `identity: {mode: hash}` holds, its hash",
    )
    forget.add_argument("--json", action="store_true", help="machine-readable output")
    forget.set_defaults(run=guarded(_forget))
    openings = verbs.add_parser(
        "openings",
        help="who has opened content, the latest first",
        description="Who has opened what calls said, or was refused: on the pages, by this command, or the export of"
        " traces (otlp), whose rows go when the content does.",
    )
    add_data(openings)
    openings.add_argument("--limit", type=count, default=20, metavar="N", help="at most so many (default 20)")
    openings.add_argument("--json", action="store_true", help="for scripts: one JSON object on a line")
    openings.set_defaults(run=guarded(_openings))


def _forget(args: argparse.Namespace) -> int:
    from proxy.adapters import analysis
    from proxy.adapters.content.files import in_each

    if not args.distinct_id:
        print("Whom? Name one user with --distinct-id.", file=sys.stderr)
        return 2
    request = Request(verb="forget", before_unix_us=0, distinct_id=args.distinct_id)
    try:
        totals = carry_out(args.data, request, PATIENCE_S)
    except RequestWaits:
        print("An earlier request has not been carried out yet; try again in a moment.", file=sys.stderr)
        return FAILED
    content = in_each(args.data, lambda file: file.forget(args.distinct_id))
    rows = analysis.forget(args.data, args.distinct_id)
    aside = sorted(path.name for path in _put_aside(args.data))
    if args.json:
        print(orjson.dumps({"content": content, "late": totals["late"], "rows": rows, "put_aside": aside}).decode())
    else:
        print("\n".join(_lines(totals["late"], content, aside)), file=sys.stderr if totals["late"] else sys.stdout)
    return FAILED if totals["late"] or aside else WELL


def _openings(args: argparse.Namespace) -> int:
    from proxy.adapters.content.opening import openings

    found = openings(args.data, args.limit)
    if args.json:
        for row in found:
            print(orjson.dumps(row).decode())
        return WELL
    if not found:
        print("Nobody has opened content here.", file=sys.stderr)
        return WELL
    print(f"{'time UTC':19} {'who':16} {'role':8} {'result':7} {'call':36} trace")
    for row in found:
        who, trace = cell(row.who, 16), plain(row.trace_id)
        print(f"{row.at:%Y-%m-%d %H:%M:%S} {who} {row.role:8} {row.result:7} {cell(row.exchange_id, 36)} {trace}")
    return WELL


def _lines(late: int, content: int, aside: list[str]) -> Iterator[str]:
    if late:
        yield "The running proxy was asked, and is not done yet; run this again in a minute to be sure."
    else:
        yield f"Forgotten: records, outcomes, waiting events, and the content of {content} calls."
    if aside:
        yield "Journals that were put aside may hold more of it; nothing reads them, so delete them:"
        yield from (f"  {name}" for name in aside)


def _put_aside(directory: Path) -> list[Path]:
    return list(directory.glob("journal-*.db.corrupt-*")) if journal_files(directory) else []
