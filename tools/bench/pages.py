"""How fast the pages at /ui are over many calls, and what looking at them does to the calls that run meanwhile.

`python -m tools.bench.pages FOLDER --calls 1000000` fills the folder where it is empty and asks each page some times.
Then calls are made at a steady rate in windows that alternate: nobody looks, somebody reads each page for a while
before opening the next, and somebody opens page after page without a pause. Load and provider are the rig in C: what a
harness in Python waits for itself would be told as the proxy's delay.
"""

import argparse
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tools.bench import machine
from tools.bench.payload import plain
from tools.bench.rig import Rig, RigDown, Target, Times, at_rate, build
from tools.bench.store import fill

TOKEN = "a-token-of-the-bench-alone"
PAGES = (
    "/ui/traffic?last=30d",
    "/ui/traffic?last=30d&model=gpt-4.1",
    "/ui/latency?last=30d",
    "/ui/quality?last=30d",
    "/ui/agents?last=30d",
    "/ui/prompts?last=30d",
    "/ui/prompts?last=30d&prompt=support_answer",
    "/ui/traces?last=30d",
    "/ui/traces/trace_7",
    "/ui/live",
    "/ui/events",
    "/ui/health",
)
CALLS_PER_S = 50
PATIENCE_S = 1_800
"""For the first page, which reads all calls once."""
READERS = {"nobody looks": None, "a page, then a second to read it": 1.0, "page after page": 0.0}
"""Who looks during a window: seconds between two pages."""


@contextmanager
def served(folder: Path, provider_port: int) -> Iterator["subprocess.Popen[str]"]:
    """A proxy over the folder."""
    env = {
        **os.environ,
        "PROMPTLANE_ADMIN_TOKEN": TOKEN,
        "PROMPTLANE_PORT": "0",
        "PROMPTLANE_DATA": str(folder),
        "OPENAI_UPSTREAM_URL": f"http://127.0.0.1:{provider_port}/v1",
    }
    command = [sys.executable, "-P", "-m", "proxy.cli", "serve"]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)


def address_of(process: "subprocess.Popen[str]") -> str:
    """Where it listens, as it says itself."""
    assert process.stdout is not None
    return next(found[1] for line in process.stdout if (found := re.search(r"listening on (\S+)", line)))


def page_s(address: str) -> float:
    """How long a page takes, once it is there: the process that makes it may have to start."""
    until_s = time.monotonic() + PATIENCE_S
    request = Request(address, headers={"Authorization": f"Bearer {TOKEN}"})
    while True:
        began_s = time.monotonic()
        try:
            with urlopen(request, timeout=PATIENCE_S) as reply:
                reply.read()
                return time.monotonic() - began_s
        except HTTPError as error:
            if error.code != HTTPStatus.SERVICE_UNAVAILABLE or time.monotonic() > until_s:
                raise
        time.sleep(1)


@contextmanager
def looking(base: str, pause_s: float | None) -> Iterator[None]:
    """While the block runs, somebody opens one page after the other; None: nobody does."""
    is_over = threading.Event()

    def look(pause_s: float) -> None:
        while not is_over.is_set():
            for path in PAGES:
                page_s(base + path)
                if is_over.wait(pause_s):
                    return

    with ThreadPoolExecutor(1) as thread:
        reader = thread.submit(look, pause_s) if pause_s is not None else None
        try:
            yield
        finally:
            is_over.set()
        if reader is not None:
            reader.result()  # a page that failed is no page that was read


def measure_pages(base: str, rounds: int) -> None:
    """Print how long each page takes."""
    print(f"{'first page, all calls read':44} {page_s(base + PAGES[0]) * 1_000:9.0f} ms")
    for path in PAGES:
        times_s = [page_s(base + path) for _ in range(rounds)]
        print(f"{path:44} {statistics.median(times_s) * 1_000:9.0f} ms  (worst {max(times_s) * 1_000:.0f})")


def measure_calls(rig: Rig, target: Target, base: str, rounds: int, window_s: float) -> None:
    """Print the calls' times, as medians over the rounds, and what each reader adds to p99 within a round."""
    load = at_rate(rig.scripts["plain"], CALLS_PER_S, window_s)
    found: dict[str, list[Times]] = {who: [] for who in READERS}
    for _ in range(rounds):
        for who, pause_s in READERS.items():
            with looking(base, pause_s):
                window = rig.run(load, target)
            if window.errors or window.unfinished or window.latency_us is None:
                raise RigDown(f"calls failed: {window.errors} times {window.first_error}")
            found[who].append(window.latency_us)
    alone, *_ = found.values()
    for who, times in found.items():
        p50, p99 = (statistics.median(each[name] for each in times) / 1_000 for name in ("p50", "p99"))
        added = statistics.median(each["p99"] - other["p99"] for each, other in zip(times, alone, strict=True)) / 1_000
        each_p99 = ", ".join(f"{each['p99'] / 1_000:.1f}" for each in times)
        print(f"calls, {who:37} p50 {p50:5.1f}  p99 {p99:5.1f} ms, {added:+.1f}  (rounds: {each_p99})")
    print(f"p50 and p99 are medians of {rounds} windows of {window_s:g} s, at {CALLS_PER_S} calls a second")


def main(argv: Sequence[str] | None = None) -> int:
    """Fill where there is nothing, then measure. Exit code 2 where the rig cannot be built."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.pages", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument(
        "--rounds", type=int, default=7, help="each page so many times, and so many windows of each kind"
    )
    parser.add_argument("--window", type=float, default=10.0, metavar="SECONDS")
    args = parser.parse_args(argv)
    if not (args.folder / "journal-0.db").exists():
        fill(args.folder, args.calls, until=datetime.now(UTC))
    try:
        programs = build()
    except RigDown as error:
        print(error, file=sys.stderr)
        return 2
    before = machine.CpuTimes.now()
    with tempfile.TemporaryDirectory(prefix="promptlane-bench-") as name:
        rig = Rig(programs, Path(name), [plain("plain")])
        requests = rig.write_requests(Path(name) / "requests", {})
        with rig.upstream() as provider_port, served(args.folder, provider_port) as process:
            base = address_of(process)
            measure_pages(base, args.rounds)
            measure_calls(rig, Target(int(base.rpartition(":")[2]), requests), base, args.rounds, args.window)
    others, stolen = machine.shares_of_others(before, machine.CpuTimes.now())
    print(f"other processes used {others:.0%} of the machine meanwhile, other machines {stolen:.0%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
