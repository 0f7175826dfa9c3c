"""Run the benchmark: one table on standard output, all numbers as JSON."""

import argparse
import json
import platform
import shlex
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from tools.bench import machine
from tools.bench.growth import growth
from tools.bench.measures import MEASURES, QUICK, Bench, Row, Size, count_events
from tools.bench.recipes import RECIPES
from tools.bench.report import DIRECT, Results, as_json, from_json, markdown, notes, table
from tools.bench.rig import RigDown, closed
from tools.bench.site import GatewayDown, Site, site

RESULTS = Path("bench-results")
ROWS = (DIRECT, *(recipe.name for recipe in RECIPES))


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 1 when any row failed, 2 when the benchmark cannot run here."""
    options = _parser().parse_args(argv)
    try:
        if options.growth:
            return growth(options.json.with_name("growth.json"), is_quick=options.quick)
        if options.markdown:
            return _print_last(options.json)
        return _run(options, sys.argv[1:] if argv is None else argv)
    except (GatewayDown, RigDown) as error:
        print(error, file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    parser.add_argument("--rows", help=f"which, by comma (default: all that can run): {', '.join(ROWS)}")
    parser.add_argument("--measures", help=f"which, by comma (default: all): {', '.join(MEASURES)}")
    parser.add_argument("--rounds", type=int, help="every number is the median of so many (default 3)")
    parser.add_argument("--seconds", type=float, help=f"length of a measuring window (default {Size().seconds})")
    parser.add_argument("--quick", action="store_true", help="does it work? a fraction of everything, once; no numbers")
    parser.add_argument("--json", type=Path, default=RESULTS / "bench.json", help="where the numbers go")
    parser.add_argument("--growth", action="store_true", help="instead: what a call costs as bodies, streams, … grow")
    parser.add_argument("--markdown", action="store_true", help="instead: the table of the last run, for a page")
    return parser


def _run(options: argparse.Namespace, argv: Sequence[str]) -> int:
    size = QUICK if options.quick else Size()
    size = replace(size, rounds=options.rounds or size.rounds, seconds=options.seconds or size.seconds)
    names = _chosen("row", options.rows, ROWS)
    measures = _chosen("measure", options.measures, list(MEASURES))
    began, before = datetime.now(UTC), machine.CpuTimes.now()
    with site(size.scripts()) as place, ExitStack() as stack:
        rows, skipped = _start_rows(place, names, stack)
        results = _measure(Bench(place, size), rows, measures)
    said = [f"Cores: {place.cores}.", *_noise(before, machine.CpuTimes.now()), *notes(results)]
    said += [f"No row {name}: {why}." for name, why in skipped.items()]
    if options.quick:
        said.append("Quick: the numbers mean nothing.")
    document = {
        "date": f"{began:%Y-%m-%d}",
        "command": f"make bench ARGS={shlex.quote(shlex.join(argv))}" if argv else "make bench",
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "size": {"rounds": size.rounds, "window_s": size.seconds, "connections": size.connections},
        "notes": said,
        **as_json(results),
    }
    print(table(results))
    print("\nLatencies of gateways are what they add to the direct call of the same round; ratios are medians of the")
    print(f"ratios within each of {size.rounds} rounds. floor, reach: the goals for the row promptlane.")
    print("\n".join(said))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n")
    print(f"Numbers written to {options.json}")
    return 1 if any(row.problems for row in rows) else 0


def _print_last(path: Path) -> int:
    if not path.exists():
        raise RigDown(f"there is no {path} yet: run `make bench` first")
    document = json.loads(path.read_text())
    print(f"`{document['command']}`, {document['date']}, {document['machine']}\n")
    print(markdown(from_json(document)))
    print("\n" + "\n".join(f"- {note}" for note in document["notes"]))
    return 0


def _chosen(what: str, asked: str | None, known: Sequence[str]) -> Sequence[str]:
    if asked is None:
        return known
    names = [name.strip() for name in asked.split(",")]
    if unknown := [name for name in names if name not in known]:
        raise RigDown(f"no {what} {unknown[0]!r}; there are: {', '.join(known)}")
    return names


def _start_rows(place: Site, names: Sequence[str], stack: ExitStack) -> tuple[list[Row], dict[str, str]]:
    """Those that can run, the direct calls always among them; and why others cannot."""
    rows, skipped = [Row(DIRECT, place.direct())], {}
    for recipe in RECIPES:
        if recipe.name not in names:
            continue
        if why := recipe.missing():
            skipped[recipe.name] = why
            continue
        print(f"starting {recipe.name}", file=sys.stderr, flush=True)
        gateway = stack.enter_context(place.running(recipe))
        rows.append(Row(recipe.name, gateway.target, gateway, calls=1))
    return rows, skipped


def _measure(bench: Bench, rows: list[Row], measures: Sequence[str]) -> Results:
    """Measure by measure, the gateways in turn, `rounds` times, and the events counted at the end."""
    for row in rows:
        for name in ("plain", "stream"):
            bench.window(row, closed(bench.script(name), bench.size.connections, bench.size.seconds / 4))
        bench.rest(row.target)
    rounds = {row.name: _no_figures(bench.size.rounds) for row in rows}
    for number in range(bench.size.rounds):
        for measure in measures:
            print(f"round {number + 1} of {bench.size.rounds}: {measure}", file=sys.stderr, flush=True)
            for row in rows:
                if not row.problems:
                    rounds[row.name][number].update(MEASURES[measure](bench, row))
    for row in rows:
        count_events(bench, row)
    return Results(rounds, {row.name: row.problems for row in rows})


def _no_figures(rounds: int) -> list[dict[str, float]]:
    return [{} for _ in range(rounds)]


def _noise(before: machine.CpuTimes | None, after: machine.CpuTimes | None) -> list[str]:
    here, elsewhere = machine.shares_of_others(before, after)
    said = []
    if here > machine.QUIET_SHARE:
        said.append(
            f"NOISY: other processes used {here:.0%} of the machine during the run; trust CPU µs and ratios alone."
        )
    if elsewhere > machine.QUIET_SHARE:
        said.append(f"NOISY: {elsewhere:.0%} of the time went to other machines on this host.")
    return said


if __name__ == "__main__":
    sys.exit(main())
