"""`promptlane report`: what changed since the period before, in plain words."""

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from proxy.cli.data_folder import FAILED, WELL, add_data, age_in_s, guarded
from proxy.cli.report_figures import Periods, by_day, compare
from proxy.cli.report_picture import picture
from proxy.cli.report_words import said, table, verdict
from proxy.domain.comparison import Compared, Finding, findings

_SHOWN_FINDINGS = 12


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Offer the verb."""
    parser = subparsers.add_parser(
        "report",
        help="what changed: cost, latency, errors, drift, by prompt version",
        description="Compare a period with the one before, from the records in the data folder: what changed in cost,"
        " latency, errors and outcomes, and which prompt version it came from.",
    )
    add_data(parser)
    parser.add_argument(
        "--since", type=age_in_s, default="7d", metavar="AGE", help="length of the period, until now (default 7d)"
    )
    parser.add_argument("--json", action="store_true", help="figures and findings as one JSON object")
    parser.add_argument(
        "--picture", type=Path, metavar="FILE", help="also draw calls, errors and cost by day, as .svg or .png"
    )
    parser.set_defaults(run=guarded(run))


def run(args: argparse.Namespace) -> int:
    """Print the report; 2 for a picture of another kind, 1 where there is nothing to report."""
    from proxy.adapters.analysis import open_analysis

    if args.picture is not None and args.picture.suffix not in (".svg", ".png"):
        print(f"{args.picture} is neither .svg nor .png.", file=sys.stderr)
        return 2
    periods = Periods(end=datetime.now(UTC), length=timedelta(seconds=args.since))
    with open_analysis(args.data) as analysis:
        whole, parts = compare(analysis, periods)
        days = by_day(analysis, periods) if args.picture is not None else []
    if not whole.now.calls and not whole.before.calls:
        print("No calls in this period, nor in the one before; --since 30d looks further back.", file=sys.stderr)
        return FAILED
    found = findings(whole, parts)
    lines = [json.dumps(_document(periods, whole, parts, found))] if args.json else _text(periods, whole, parts, found)
    print("\n".join(lines))
    if args.picture is not None and days:
        return _draw(args.picture, days)
    return WELL


def _text(periods: Periods, whole: Compared, parts: list[Compared], found: list[Finding]) -> Iterator[str]:
    yield f"{periods.middle:%Y-%m-%d %H:%M} to {periods.end:%Y-%m-%d %H:%M} UTC, beside as long before\n"
    yield from table(whole, parts)
    yield "\nWhat changed\n"
    if not found:
        yield "  Nothing beyond what chance and small numbers make likely."
    for sentence in said(found[:_SHOWN_FINDINGS], found):
        yield f"  - {sentence}"
    if len(found) > _SHOWN_FINDINGS:
        yield f"  … and {len(found) - _SHOWN_FINDINGS} smaller changes; --json has all."
    yield f"\n{verdict(found)}"


def _document(periods: Periods, whole: Compared, parts: Iterable[Compared], found: Iterable[Finding]) -> dict[str, Any]:
    return {
        "from": periods.middle.isoformat(),
        "to": periods.end.isoformat(),
        "compared_from": periods.begin.isoformat(),
        "whole": asdict(whole),
        "prompt_versions": [asdict(part) for part in parts],
        "findings": [asdict(finding) for finding in found],
    }


def _draw(path: Path, days: list[dict[str, Any]]) -> int:
    from proxy.pages.charts import png, svg

    spec = picture(days)
    try:
        path.write_bytes(png(spec) if path.suffix == ".png" else svg(spec).encode())
    except OSError as error:
        print(f"cannot write {path}: {os.strerror(error.errno or 0)}", file=sys.stderr)
        return FAILED
    print(f"\nPicture: {path}", file=sys.stderr)
    return WELL
