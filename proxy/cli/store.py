"""`promptlane store`: what is kept of past calls, and how a user's part of it is deleted."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import orjson

from proxy.adapters.journal import journal_files
from proxy.adapters.journal.requests import Request, RequestWaits
from proxy.cli.data_folder import FAILED, WELL, add_data, guarded
from proxy.cli.requests import carry_out

PATIENCE_S = 120.0
"""For a running proxy: it looks at some 40,000 rows a second."""
_Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no public name


def add_parser(subparsers: _Verbs) -> None:
    """Add `store` and its verbs."""
    parser = subparsers.add_parser(
        "store",
        help="what is kept of past calls: forget a user",
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
