"""`promptlane reconcile`: our sums beside a provider's own, by day and model."""

import argparse
import csv
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

from proxy.cli.data_folder import FAILED, WELL, add_data, guarded
from proxy.cli.terminal import cell, plain
from proxy.domain.usage_export import (
    QUANTITIES,
    Difference,
    Key,
    NotUnderstood,
    Used,
    differences,
    read_export,
    undated,
    without_models,
)

_DESCRIPTION = """\
Hold the sums of this proxy to a provider's own export, by day (UTC) and model.

Understood are the CSV files that the consoles of OpenAI (usage, costs) and Anthropic export, and any
CSV with a column `date`, perhaps `model`, and some of requests, input_tokens, output_tokens, cost_usd.
Every request to the provider counts, failed attempts too. Ends with 1 where something differs.
"""
_MAX_BYTES = 256 << 20
_SHOWN = 40
_OURS = """
    SELECT CAST(call_started_at + to_microseconds(coalesce(started_us, 0)) AS DATE) AS day,
        coalesce(model, '') AS model, count(*) AS calls, sum(input_tokens) AS input_tokens,
        sum(output_tokens) AS output_tokens, sum(cost_usd) AS cost_usd,
        count(*) FILTER (input_tokens IS NULL) AS unknown
    FROM attempts
    WHERE reached_provider AND call_started_at >= $begin AND call_started_at < $end
        AND ($provider IS NULL OR provider = $provider)
    GROUP BY ALL
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Offer the verb."""
    parser = subparsers.add_parser(
        "reconcile",
        help="our sums beside a provider's usage export",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, metavar="FILE.csv", help="the provider's export")
    add_data(parser)
    parser.add_argument("--provider", metavar="NAME", help="only calls to this provider, as events name it")
    parser.add_argument(
        "--tolerance", type=_percent, default="1", metavar="PERCENT", help="differences up to this are none (default 1)"
    )
    parser.set_defaults(run=guarded(run))


def run(args: argparse.Namespace) -> int:
    """Compare and print; 2 for a file that is not understood, 1 where something differs."""
    try:
        theirs = _read(args.file)
    except OSError as error:
        print(f"cannot read {args.file}: {os.strerror(error.errno or 0)}", file=sys.stderr)
        return 2
    except (NotUnderstood, csv.Error, UnicodeDecodeError) as error:
        what = error if isinstance(error, NotUnderstood) else "this is no CSV in UTF-8"
        print(f"{args.file}: {what}", file=sys.stderr)
        return 2
    if not theirs:
        print(f"{args.file}: nothing was used, by this file.", file=sys.stderr)
        return FAILED
    ours, unknown = _ours(args, theirs)
    if all(model == "" for _, model in theirs):
        ours = without_models(ours)
    found = list(differences(ours, theirs, args.tolerance))
    _print(ours, theirs, found, unknown)
    return FAILED if found else WELL


def _read(path: Path) -> dict[Key, Used]:
    """Tabs separate in some exports. Raises OSError, NotUnderstood, csv.Error or UnicodeDecodeError."""
    if path.stat().st_size > _MAX_BYTES:
        raise NotUnderstood(1, "the file is over 256 MB; export fewer days")
    with path.open(encoding="utf-8-sig", newline="") as file:
        heading = file.readline()
        file.seek(0)
        return read_export(csv.reader(file, delimiter="\t" if "\t" in heading else ","))


def _ours(args: argparse.Namespace, theirs: Mapping[Key, Used]) -> tuple[dict[Key, Used], int]:
    """The same days, and how many requests have no known usage."""
    from proxy.adapters.analysis import open_analysis

    days = [day for day, _ in theirs]
    bounds = {
        "begin": datetime.combine(min(days), time(), UTC),
        "end": datetime.combine(max(days), time(), UTC) + timedelta(days=1),
        "provider": args.provider,
    }
    found: dict[Key, Used] = {}
    unknown = 0
    with open_analysis(args.data) as analysis:
        for row in analysis.query(_OURS, bounds):
            unknown += row["unknown"]
            key = row["day"], undated(row["model"])
            counted = {name: None if row[name] is None else float(row[name]) for name in QUANTITIES}
            found[key] = found.get(key, Used()) + Used(**counted)
    return found, unknown


def _print(ours: Mapping[Key, Used], theirs: Mapping[Key, Used], found: list[Difference], unknown: int) -> None:
    print(f"{'':14} {'ours':>16} {'theirs':>16} {'difference':>11}")
    for name in QUANTITIES:
        sums = [_sum(side, name) for side in (ours, theirs)]
        if None not in sums:
            print(f"{_words(name):14} {_amount(name, sums[0]):>16} {_amount(name, sums[1]):>16} {_off(*sums):>11}")
    if found:
        print(f"\n{'day':10} {'model':28} {'':13} {'ours':>13} {'theirs':>13}")
    for one in found[:_SHOWN]:
        amounts = f"{_amount(one.quantity, one.ours):>13} {_amount(one.quantity, one.theirs):>13}"
        print(f"{one.day} {cell(plain(one.model) or 'all', 28)} {_words(one.quantity):13} {amounts}")
    if len(found) > _SHOWN:
        print(f"… and {len(found) - _SHOWN} more")
    print()
    for line in _advice(found, unknown):
        print(line)


def _advice(found: list[Difference], unknown: int) -> list[str]:
    if not found:
        return ["Both sides agree."]
    said = []
    if any(one.theirs > one.ours for one in found):
        said.append(
            "They have more: calls that do not go through this proxy (another service, another key), calls that this"
            " folder has forgotten, or"
            + (f" some of the {unknown:,} requests whose usage is unknown here." if unknown else " another replica's.")
        )
    if any(one.ours > one.theirs for one in found):
        said.append("We have more: an export of one key, project or workspace among several, or --provider is missing.")
    if any(one.quantity == "cost_usd" for one in found):
        said.append("Where tokens agree and cost does not, a price differs: see `promptlane price MODEL`.")
    return said


def _sum(side: Mapping[Key, Used], name: str) -> float | None:
    known = [value for used in side.values() if (value := getattr(used, name)) is not None]
    return sum(known) if known else None


def _words(name: str) -> str:
    return {"calls": "requests", "cost_usd": "cost"}.get(name, name.replace("_", " "))


def _amount(name: str, value: float | None) -> str:
    return "" if value is None else f"${value:,.4f}" if name == "cost_usd" else f"{value:,.0f}"


def _off(ours: float | None, theirs: float | None) -> str:
    return f"{(ours or 0.0) / theirs - 1:+.2%}" if theirs else ""


def _percent(text: str) -> float:
    """For argparse: `0.5` of a hundred."""
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        value = -1.0
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no percentage from 0 to 100")
    return value / 100
