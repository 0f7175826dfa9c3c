"""`promptlane traces`: what belongs together, from the records in the data folder, which hold no content.

`show --content` alone opens what is kept of that, elsewhere.
"""

import argparse
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import sleep
from typing import Any, TypeAlias

import orjson

from proxy.adapters.journal.calls import Follower
from proxy.cli.call_rows import HEADING as CALL_HEADING
from proxy.cli.call_rows import call_row
from proxy.cli.data_folder import FAILED, WELL, add_data, age_in_s, count, guarded
from proxy.cli.terminal import cell, in_colour
from proxy.cli.trace_lines import HEADING, outcome_line, trace_lines, trace_row
from proxy.domain.events import recorded

POLL_S = 0.5
_Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no public name
_ORDERS = {"latest": "ended_at", "cost": "cost_usd", "time": "duration_s", "calls": "calls", "failed": "failed"}
_COLUMNS = {"prompt": "prompt_name", "version": "prompt_version_id", "model": "model", "user": "distinct_id"}
_LIST = """
    SELECT trace_id, max(ended_at) AS ended_at, count(*) AS calls,
        count(*) FILTER (status NOT IN ('success', 'cancelled')) AS failed,
        epoch(max(ended_at)) - epoch(min(started_at)) AS duration_s, sum(estimated_cost_usd) AS cost_usd,
        any_value(prompt_name) AS prompt_name, any_value(prompt_version_id) AS prompt_version_id,
        any_value(distinct_id) AS distinct_id
    FROM calls WHERE ended_at >= $since AND trace_id IN (
        SELECT trace_id FROM calls WHERE ended_at >= $since
            AND ($prompt IS NULL OR prompt_name = $prompt) AND ($version IS NULL OR prompt_version_id = $version)
            AND ($model IS NULL OR model = $model) AND ($user IS NULL OR distinct_id = $user))
    GROUP BY trace_id HAVING NOT $failed_only OR failed > 0
    ORDER BY {order} DESC NULLS LAST, trace_id LIMIT $limit
"""


def add_parser(subparsers: _Verbs) -> None:
    """Add `traces` and its verbs."""
    parser = subparsers.add_parser(
        "traces",
        help="calls that belong together: list, show as a waterfall, follow",
        description="Look at traces: the calls of one task, agent or conversation, with their attempts, the steps of"
        " tools in between, and what came of them. Metadata alone is shown, unless content is asked for.",
    )
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")
    listing = _verb(verbs, "ls", _ls, "traces with a call in the period, the latest or the largest first")
    listing.add_argument("--since", type=age_in_s, default="24h", metavar="AGE", help="e.g. 15m, 7d (default 24h)")
    listing.add_argument("--limit", type=count, default=20, metavar="N", help="at most so many (default 20)")
    listing.add_argument("--by", choices=_ORDERS, default="latest", help="what comes first (default latest)")
    listing.add_argument("--failed", action="store_true", help="only traces with a failed call")
    for name in _COLUMNS:
        listing.add_argument(f"--{name}", metavar="NAME", help=f"only traces with a call of this {name}")
    show = _verb(verbs, "show", _show, "one trace: its waterfall, and what came of it")
    show.add_argument("id", metavar="TRACE", help="the trace's id")
    show.add_argument(
        "--content",
        action="store_true",
        help="also what was asked and answered, where `capture:` has kept it; needs PROMPTLANE_CONTENT_KEY, and each"
        " opening is noted with your name",
    )
    tail = _verb(verbs, "tail", _tail, "follow: each call and each outcome as it comes, with its trace")
    for each in (listing, show, tail):
        each.add_argument("--json", action="store_true", help="for scripts: one JSON object on a line")


def _verb(verbs: _Verbs, name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    add_data(parser)
    parser.set_defaults(run=guarded(run))
    return parser


def _ls(args: argparse.Namespace) -> int:
    from proxy.adapters.analysis import open_analysis  # DuckDB takes a while

    bounds: dict[str, Any] = {
        "since": datetime.now(UTC) - timedelta(seconds=args.since),
        "failed_only": args.failed,
        "limit": args.limit,
        **{name: getattr(args, name) for name in _COLUMNS},
    }
    with open_analysis(args.data) as analysis:
        found = analysis.query(_LIST.format(order=_ORDERS[args.by]), bounds)
    if args.json:
        for row in found:
            print(orjson.dumps(row).decode())
        return WELL
    if not found:
        print("No such trace here of late; --since 7d looks further back.", file=sys.stderr)
        return WELL
    print(HEADING)
    for row in found:
        print(trace_row(row))
    return WELL


def _show(args: argparse.Namespace) -> int:
    from proxy.cli.trace_content import Closed, content_lines, open_all  # the other verbs need none of these
    from proxy.pages.trace import read_trace

    trace = read_trace(args.data, args.id, None)
    if not trace.calls and not trace.outcomes:
        print("Nothing that has ended here is of this trace; `promptlane traces ls` lists them.", file=sys.stderr)
        return FAILED
    try:
        contents = open_all(args.data, trace) if args.content else {}
    except Closed as error:
        print(error, file=sys.stderr)
        return FAILED
    if args.json:
        told = {"trace_id": args.id, "calls": trace.calls, "outcomes": trace.outcomes}
        opened = {exchange_id: content.document for exchange_id, content in contents.items()}
        print(orjson.dumps(told | ({"content": opened} if args.content else {})).decode())
        return WELL
    for line in (*trace_lines(trace, in_colour=in_colour(sys.stdout)), *content_lines(trace, contents)):
        print(line)
    return WELL


def _tail(args: argparse.Namespace) -> int:
    follower = Follower(args.data)
    if not args.json:
        print(f"{'trace':12} {CALL_HEADING}", flush=True)
    try:
        while True:
            for line in _news(follower, is_json=args.json):
                print(line)
            sys.stdout.flush()
            sleep(POLL_S)
    except KeyboardInterrupt:
        return WELL


def _news(follower: Follower, *, is_json: bool) -> list[str]:
    """Calls and outcomes since the last look, in the order of their times."""
    found: list[tuple[int, str, str, dict[str, Any]]] = [
        (call.ended_unix_us, call.trace_id, "call", recorded(call.record)) for call in follower.more()
    ]
    found += [
        (it.at_unix_us, it.trace_id, "outcome", orjson.loads(it.body) | {"at_unix_us": it.at_unix_us})
        for it in follower.more_outcomes()
    ]
    lines = []
    for at_us, trace_id, kind, told in sorted(found, key=lambda each: each[0]):
        if is_json:
            lines.append(orjson.dumps({"trace_id": trace_id, kind: told}).decode())
        elif kind == "call":
            lines.append(f"{cell(trace_id, 12)} {call_row(at_us, told['properties'], in_colour=in_colour(sys.stdout))}")
        else:
            lines.append(f"{cell(trace_id or '-', 12)} {outcome_line(told)}")
    return lines
