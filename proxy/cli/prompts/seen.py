"""`promptlane prompts seen`: what runs, by the records of the calls that have ended."""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from proxy.cli.data_folder import WELL, add_data, age_in_s, count, guarded
from proxy.cli.terminal import UNKNOWN, cell, usd, whole
from proxy.domain.fingerprints import INFERRED
from proxy.domain.globs import matches
from proxy.domain.prompt_versions import PROMPTED

_Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no public name
Row = Mapping[str, Any]

_ONE_OFFS_TOLD = 20
"""So many inferred versions of a single call each are no versions, but one prompt that changes at every call."""
_QUERY = """
    SELECT prompt_name, prompt_version_id,
        list_sort(list(DISTINCT prompt_version_source)) AS sources,
        count(*) AS calls,
        count(*) FILTER (WHERE status <> 'success') AS failed,
        sum(estimated_cost_usd) AS cost_usd,
        min(started_at) AS first_seen, max(started_at) AS last_seen,
        coalesce(list_sort(list(DISTINCT prompt_hash) FILTER (WHERE prompt_hash IS NOT NULL)), []) AS hashes,
        coalesce(list_sort(list(DISTINCT model) FILTER (WHERE model IS NOT NULL)), []) AS models
    FROM calls WHERE started_at >= $since AND endpoint IN (SELECT unnest($endpoints))
    GROUP BY prompt_name, prompt_version_id ORDER BY calls DESC, last_seen DESC, prompt_name, prompt_version_id
"""
_HEADING = (
    f"{'prompt':18} {'version':18} {'from':8} {'calls':>6} {'failed':>6} {'cost':>7} {'first (UTC)':11} {'last':11} "
    f"{'hash':11} models"
)


def add_verb(verbs: _Verbs) -> None:
    """Add `seen`."""
    parser = verbs.add_parser(
        "seen",
        help="what runs: versions with their volumes, costs, hashes and models",
        description="List the prompts and versions that calls ran with, the busiest first. A call that named no version"
        " stands under the one that was inferred from its prompt's hash (fp_…).",
    )
    add_data(parser)
    parser.add_argument("--since", type=age_in_s, default="7d", metavar="AGE", help="e.g. 24h, 30d (default 7d)")
    parser.add_argument("--prompt", metavar="NAME", help="only prompts of this name; `*` stands for anything")
    parser.add_argument("--limit", type=count, default=40, metavar="N", help="at most so many lines (default 40)")
    parser.add_argument("--json", action="store_true", help="all of them with all that is known, one on a line")
    parser.set_defaults(run=guarded(_seen))


def _seen(args: argparse.Namespace) -> int:
    rows = [row for row in _rows(args) if args.prompt is None or matches(args.prompt, row["prompt_name"] or "")]
    if args.json:
        for row in rows:
            print(json.dumps(row, default=_as_json, ensure_ascii=False))
        return WELL
    if not rows:
        print("No call with a prompt has ended here of late; --since 90d looks further back.", file=sys.stderr)
        return WELL
    one_offs = [row for row in rows if _is_one_off(row)]
    if len(one_offs) >= _ONE_OFFS_TOLD:
        rows = [row for row in rows if not _is_one_off(row)]
    for line in (_HEADING, *map(_line, rows[: args.limit]), *_rest(rows[args.limit :])):
        print(line)
    if len(one_offs) >= _ONE_OFFS_TOLD:
        print(
            f"{len(one_offs):,} inferred versions ran once each and are not listed: something in their prompts changes"
            " at every call.\nWhere that is a number, `fingerprint: {ignore_numbers: true}` in analytics.yaml makes one"
            " version of them; else let the app\nsend X-Prompt-Version. --json lists them.",
            file=sys.stderr,
        )
    return WELL


def _rows(args: argparse.Namespace) -> list[Row]:
    from proxy.adapters.analysis import open_analysis  # a database, which other verbs do without

    since = datetime.now(UTC) - timedelta(seconds=args.since)
    with open_analysis(args.data) as analysis:
        return [*analysis.query(_QUERY, {"since": since, "endpoints": sorted(PROMPTED)})]


def _is_one_off(row: Row) -> bool:
    return bool(row["calls"] == 1 and row["sources"] == [INFERRED])


def _line(row: Row) -> str:
    names = f"{cell(row['prompt_name'] or UNKNOWN, 18)} {cell(row['prompt_version_id'] or UNKNOWN, 18)}"
    share = f"{row['failed'] / row['calls']:.0%}" if row["failed"] else UNKNOWN
    volume = f"{whole(row['calls']):>6} {share:>6} {usd(row['cost_usd']):>7}"
    times = f"{row['first_seen']:%m-%d %H:%M} {row['last_seen']:%m-%d %H:%M}"
    hashes = [text.partition(":")[2][:8] or text[:8] for text in row["hashes"]]
    return (
        f"{names} {cell(','.join(row['sources']), 8)} {volume} {times} {cell(_some(hashes), 11)} {_some(row['models'])}"
    )


def _some(values: Sequence[str]) -> str:
    """The first, and how many more."""
    return UNKNOWN if not values else values[0] + (f" +{len(values) - 1}" if len(values) > 1 else "")


def _rest(rows: Sequence[Row]) -> Iterator[str]:
    if rows:
        yield f"… {len(rows):,} more with {sum(row['calls'] for row in rows):,} calls; --limit shows them"


def _as_json(value: object) -> str:
    assert isinstance(value, datetime)
    return value.isoformat(timespec="seconds")
