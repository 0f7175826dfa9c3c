"""`make simulate`: one month of each kind through the real proxy, and the promise over many months."""

import argparse
import asyncio
import tempfile
from pathlib import Path

from tools.simulate.promise import SCENARIOS, looked_at, summary
from tools.simulate.proxy_run import run_month

PEOPLE_A_DAY = 100


def main() -> None:
    """Print what was seen."""
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--months", type=int, default=200, help="of each kind (default 200)")
    parser.add_argument("--days", type=int, default=30, help="of a month (default 30)")
    args = parser.parse_args()
    for name, truths in SCENARIOS.items():
        with tempfile.TemporaryDirectory() as folder:
            ran = asyncio.run(run_month(Path(folder), 1, truths, days=args.days, people_a_day=PEOPLE_A_DAY))
        end = f"stopped on day {ran.stopped}" if ran.stopped else f"{args.days} days"
        print(f"{name}, through the proxy: {ran.calls:,} calls, {end}. {ran.report['verdict']['text']}", flush=True)
    for name, truths in SCENARIOS.items():
        months = (looked_at(seed, truths, days=args.days, people_a_day=PEOPLE_A_DAY) for seed in range(args.months))
        for line in summary(name, months):
            print(line, flush=True)


if __name__ == "__main__":
    main()
