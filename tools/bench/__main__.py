"""Run the benchmark, print one table, write the numbers as JSON."""

import argparse
import asyncio
import json
import os
import platform
import sys
from pathlib import Path

import uvloop

from tools.bench.client import at_full_speed, at_rate
from tools.bench.gateways import Gateway, GatewayDown, gateways
from tools.bench.payload import PACED_STREAM, PLAIN, STREAM
from tools.bench.report import Round, Summary, summarise, table

CONNECTIONS = 32
CALLS_PER_S = 50
STREAMS_PER_S = 20
REST_S = 0.2
REST_TRIES = 15


def main() -> int:
    """Exit code 1 when any row saw an error."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="every number is the median of so many (default 3)")
    parser.add_argument("--seconds", type=float, default=1.5, help="length of one measuring window (default 1.5)")
    parser.add_argument("--json", type=Path, default=Path("bench-results/bench.json"), help="where the numbers go")
    options = parser.parse_args()
    rig_core, gateway_core = _pin()
    try:
        with gateways(rig_core=rig_core, gateway_core=gateway_core) as rows:
            rounds = uvloop.run(_measure(rows, options.rounds, options.seconds))
    except GatewayDown as error:
        print(error, file=sys.stderr)
        return 1
    summaries = summarise(rounds)
    print(table(summaries))
    if gateway_core is None:
        print("Not pinned: this machine gives no second core, or no way to choose one. Expect noise.")
    _write(options.json, summaries)
    return 1 if any(summary.errors for summary in summaries) else 0


def _pin() -> tuple[int | None, int | None]:
    """Put this process on a core of its own, with the upstream; the gateways get another."""
    if not hasattr(os, "sched_setaffinity"):
        return None, None
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        return None, None
    os.sched_setaffinity(0, {cores[0]})
    return cores[0], cores[1]


async def _measure(rows: list[Gateway], rounds: int, seconds: float) -> dict[str, list[Round]]:
    """Let the gateways take turns, `rounds` times."""
    for row in rows:
        await at_full_speed(row.port, PLAIN, connections=CONNECTIONS, seconds=0.3)
        await at_full_speed(row.port, STREAM, connections=CONNECTIONS, seconds=0.3)
    found: dict[str, list[Round]] = {row.name: [] for row in rows}
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
        for row in rows:
            found[row.name].append(await _one_round(row, seconds))
    return found


async def _one_round(row: Gateway, seconds: float) -> Round:
    before_s = row.cpu_s()
    plain = await at_full_speed(row.port, PLAIN, connections=CONNECTIONS, seconds=seconds)
    plain_s = row.cpu_s()
    streams = await at_full_speed(row.port, STREAM, connections=CONNECTIONS, seconds=seconds)
    streams_s = row.cpu_s()
    await _rest(row)
    calm = await at_rate(row.port, PLAIN, per_second=CALLS_PER_S, seconds=seconds)
    calm_s = row.cpu_s()
    paced = await at_rate(row.port, PACED_STREAM, per_second=STREAMS_PER_S, seconds=seconds)
    paced_s = row.cpu_s()
    return Round(
        plain=plain,
        streams=streams,
        calm=calm,
        paced=paced,
        plain_cpu_s=plain_s - before_s,
        streams_cpu_s=streams_s - plain_s,
        paced_cpu_s=paced_s - calm_s,
    )


async def _rest(row: Gateway) -> None:
    """Let a gateway finish what it does after its replies, so that it is nobody's latency."""
    for _ in range(REST_TRIES):
        before_s = row.cpu_s()
        await asyncio.sleep(REST_S)
        if not row.cpu_s() - before_s > REST_S / 20:
            return


def _write(path: Path, summaries: list[Summary]) -> None:
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    numbers = {
        "machine": f"{os.cpu_count()} cores, {system}",
        "connections": CONNECTIONS,
        "calls_per_s": CALLS_PER_S,
        "streams_per_s": STREAMS_PER_S,
        "rows": [summary.as_json() for summary in summaries],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(numbers, indent=2) + "\n")
    print(f"Numbers written to {path}")


if __name__ == "__main__":
    sys.exit(main())
