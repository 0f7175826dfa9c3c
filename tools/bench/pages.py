"""How fast the pages at /ui are over many calls, and what looking at them does to the calls that run meanwhile.

`python -m tools.bench.pages FOLDER --calls 1000000` fills the folder where it is empty, asks each page some times, and
then makes calls at a steady rate in windows that alternate: with somebody who opens page after page, and without.
"""

import argparse
import asyncio
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
from aiohttp import web

from proxy.demo.fake_provider import build
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
BODY = {"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "Hello"}]}
PATIENCE_S = 1_800
"""For the first page, which reads all calls once."""


@contextmanager
def served(folder: Path, provider: str) -> Iterator[str]:
    """A proxy over the folder."""
    env = {
        **os.environ,
        "PROMPTLANE_ADMIN_TOKEN": TOKEN,
        "PROMPTLANE_PORT": "0",
        "PROMPTLANE_DATA": str(folder),
        "OPENAI_UPSTREAM_URL": f"{provider}/v1",
    }
    command = [sys.executable, "-P", "-m", "proxy.cli", "serve"]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield next(found[0] for line in process.stdout if (found := re.findall(r"listening on (\S+)", line)))
        finally:
            process.send_signal(signal.SIGTERM)


async def page_s(session: aiohttp.ClientSession, address: str) -> float:
    """How long a page takes, once it is there: the process that makes it may have to start."""
    until_s = time.monotonic() + PATIENCE_S
    while True:
        began_s = time.monotonic()
        async with session.get(address, headers={"Authorization": f"Bearer {TOKEN}"}) as reply:
            await reply.read()
            if reply.status == 200:
                return time.monotonic() - began_s
            if reply.status not in (503, 504) or time.monotonic() > until_s:
                raise RuntimeError(f"{address} answered {reply.status}")
        await asyncio.sleep(1)


async def calls_ms(session: aiohttp.ClientSession, base: str, seconds: float) -> list[float]:
    """How long each call took, of those that begin at a steady rate, however long the ones before take."""

    async def call() -> float:
        began_s = time.monotonic()
        async with session.post(
            f"{base}/v1/chat/completions", json=BODY, headers={"Authorization": "Bearer sk-x"}
        ) as it:
            await it.read()
            assert it.status == 200
        return (time.monotonic() - began_s) * 1_000

    began_s, running = time.monotonic(), []
    for number in range(int(seconds * CALLS_PER_S)):
        await asyncio.sleep(max(0.0, began_s + number / CALLS_PER_S - time.monotonic()))
        running.append(asyncio.ensure_future(call()))
    return await asyncio.gather(*running)


async def look(session: aiohttp.ClientSession, base: str) -> None:
    """Open one page after the other, until cancelled."""
    while True:
        for path in PAGES:
            await page_s(session, base + path)


async def measure(base: str, rounds: int, window_s: float) -> None:
    """Print the table of pages, and the calls' times with and without somebody who looks."""
    timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        print(f"{'first page, all calls read':44} {await page_s(session, base + PAGES[0]) * 1_000:9.0f} ms")
        for path in PAGES:
            times = [await page_s(session, base + path) for _ in range(rounds)]
            print(f"{path:44} {statistics.median(times) * 1_000:9.0f} ms  (worst {max(times) * 1_000:.0f})")
        found: dict[str, list[float]] = {"nobody looks": [], "somebody looks": []}
        for _ in range(rounds):
            found["nobody looks"] += await calls_ms(session, base, window_s)
            looking = asyncio.ensure_future(look(session, base))
            found["somebody looks"] += await calls_ms(session, base, window_s)
            looking.cancel()
        for what, times in found.items():
            cuts = statistics.quantiles(times, n=100)
            print(f"calls while {what:32} p50 {cuts[49]:6.1f}  p99 {cuts[98]:6.1f} ms  ({len(times)} calls)")


async def run(folder: Path, rounds: int, window_s: float) -> None:
    """A provider that answers at once, a proxy, and those who ask."""
    runner = web.AppRunner(build(token_s=0.0))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        with served(folder, f"http://127.0.0.1:{port}") as base:
            await measure(base, rounds, window_s)
    finally:
        await runner.cleanup()


def main(argv: Sequence[str] | None = None) -> int:
    """Fill where there is nothing, then measure."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.pages", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument(
        "--rounds", type=int, default=5, help="each page so many times, and so many windows of each kind"
    )
    parser.add_argument("--window", type=float, default=10.0, metavar="SECONDS")
    args = parser.parse_args(argv)
    if not (args.folder / "journal-0.db").exists():
        fill(args.folder, args.calls, until=datetime.now(UTC))
    asyncio.run(run(args.folder, args.rounds, args.window))
    return 0


if __name__ == "__main__":
    sys.exit(main())
