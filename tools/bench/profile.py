"""Sample where a proxy under full load spends its time: `python -m tools.bench.profile`.

The proxy runs as the benchmark's row of the same name, with everything on; py-spy looks at its stack from outside, 250
times a second. As `top`, parts of the program are listed by the share of samples in which they were the innermost of
our own or of aiohttp, and functions by the share in which they themselves ran. Only what holds the interpreter is
counted: not waiting, nor what SQLite does meanwhile.
"""

import argparse
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tools.bench.measures import Size
from tools.bench.recipes import BARE, OFF, ON, RECIPES, SHIPPING
from tools.bench.rig import RigDown, closed, held
from tools.bench.site import GatewayDown, Site, site

PY_SPY = Path(sys.executable).parent / "py-spy"
RESULTS = Path("bench-results")
RATE_HZ = 250
SHOWN = 40
LOADS = ("plain", "stream", "held")


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 2 when nothing could be sampled."""
    parser = argparse.ArgumentParser(prog="make profile ARGS=…", description=__doc__)
    parser.add_argument("--row", choices=(ON, OFF, SHIPPING, BARE), default=ON, help=f"which gateway (default {ON})")
    parser.add_argument("--load", choices=LOADS, default=LOADS[0], help="plain calls, streams, or 1,000 held streams")
    parser.add_argument("--seconds", type=int, default=5, help="how long (default 5)")
    parser.add_argument("--format", choices=("top", "flamegraph", "raw"), default="top", help="of the result")
    options = parser.parse_args(argv)
    try:
        with site(Size(seconds=options.seconds + 1).scripts()) as place:
            return _profile(place, options)
    except (GatewayDown, RigDown) as error:
        print(error, file=sys.stderr)
        return 2


def _profile(place: Site, options: argparse.Namespace) -> int:
    suffix = "svg" if options.format == "flamegraph" else "txt"
    path = RESULTS / f"profile-{options.load}.{suffix}"
    path.parent.mkdir(exist_ok=True)
    recipe = next(recipe for recipe in RECIPES if recipe.name == options.row)
    with place.running(recipe) as gateway, ExitStack() as stack:
        script = place.rig.scripts[options.load]
        load = closed(script, Size().connections, options.seconds + 1)
        if options.load == "held":
            load = held(script, 1000, ramp_s=Size().held_ramp_s, seconds=options.seconds)
        found = stack.enter_context(place.rig.beside(load, gateway.target))
        command: list[str | Path] = [PY_SPY, "record", "--pid", str(gateway.target.pid), "--output", path]
        command += ["--duration", str(options.seconds), "--rate", str(RATE_HZ), "--gil"]
        command += ["--format", "flamegraph" if options.format == "flamegraph" else "raw"]
        sampled = subprocess.run(command, capture_output=True, text=True, check=False)
    if sampled.returncode:
        raise RigDown(f"py-spy does not sample here:\n{sampled.stderr.strip()}")
    if options.format == "top":
        print("\n".join([*parts(path.read_text()), "", *top(path.read_text(), SHOWN)]))
    print(f"{found[0].replies} replies and {found[0].errors} errors while sampled; {options.format} in {path}")
    return 0


def top(samples: str, shown: int) -> list[str]:
    """From py-spy's lines `caller;callee;… COUNT`: the share of each function itself, and with what it calls."""
    own: Counter[str] = Counter()
    with_callees: Counter[str] = Counter()
    for line in samples.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        own[_function(frames[-1])] += int(count)
        for frame in {_function(frame) for frame in frames}:
            with_callees[frame] += int(count)
    total = own.total() or 1
    lines = ["  itself    with callees  function"]
    for name, taken in own.most_common(shown):
        lines.append(f"{taken / total:8.1%}  {with_callees[name] / total:14.1%}  {name}")
    return lines


def parts(samples: str) -> list[str]:
    """The share of each folder: of the innermost frame of a stack that is in the proxy or in aiohttp."""
    found: Counter[str] = Counter()
    for line in samples.splitlines():
        stack, _, count = line.rpartition(" ")
        places = [part for part in map(_part, reversed(stack.split(";"))) if part]
        found[places[0] if places else "event loop, and the rest"] += int(count)
    total = found.total() or 1
    return [f"{taken / total:8.1%}  {part}" for part, taken in found.most_common()]


def _part(frame: str) -> str | None:
    place = re.search(r"\((?:proxy/([a-z_]+(?:/[a-z_]+(?=/))?)|(aiohttp)/)", frame)
    return (place[1] or place[2]) if place else None


def _function(frame: str) -> str:
    """Without the line: `feed (proxy/domain/meter.py:31)` and line 32 are one."""
    return frame.rsplit(":", 1)[0] + ")" if ":" in frame and frame.endswith(")") else frame


if __name__ == "__main__":
    sys.exit(main())
