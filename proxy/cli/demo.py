"""`promptlane demo`: the proxy doing its main job with no account, in front of a provider of its own."""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvloop
from aiohttp import web

from proxy.app import App, Settings
from proxy.cli.serve import (
    DEFAULT_HOST,
    DEFAULT_PORT,
    PORTS,
    cannot_listen,
    chosen_number,
    configure_logs,
    show_problems,
    stop_signal,
)
from proxy.config import ConfigError, load, load_secret
from proxy.demo import fake_provider, sample_traffic
from proxy.demo.show import HEADING, EventView, call_line


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Offer the verb."""
    parser = subparsers.add_parser("demo", help="run the proxy with a built-in provider and a little sample traffic")
    parser.add_argument("--port", type=int, help=f"port to listen on; 0 takes a free one (default: {DEFAULT_PORT})")
    parser.add_argument("--calls", type=int, default=24, help="how many sample calls to make (default: 24)")
    parser.add_argument("--once", action="store_true", help="end after the sample traffic instead of serving on")
    parser.add_argument("--posthog", action="store_true", help="send the invented events to POSTHOG_API_KEY's project")
    parser.set_defaults(run=demo)


def demo(args: argparse.Namespace) -> int:
    """Serve until a signal, or with `--once` until the sample traffic has ended."""
    try:
        configure_logs(os.environ, default="error")
        with (
            tempfile.TemporaryDirectory(prefix="promptlane-demo-") as folder,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            return runner.run(_demo(args, Path(folder)))
    except ConfigError as error:
        return show_problems(error)


async def _demo(args: argparse.Namespace, folder: Path) -> int:
    view, in_colour = EventView(), sys.stdout.isatty()
    async with _provider() as provider_url:
        env = {
            **os.environ,
            "OPENAI_UPSTREAM_URL": f"{provider_url}/v1",
            "ANTHROPIC_UPSTREAM_URL": provider_url,
            "GEMINI_UPSTREAM_URL": provider_url,
        }
        if not args.posthog:
            env.pop("POSTHOG_API_KEY", None)  # invented calls would spoil a real project
        configuration = load(folder / "no-config", folder / "no-pricing.yaml", env)
        settings = Settings(
            host=DEFAULT_HOST,
            port=chosen_number(args.port, env, "PROMPTLANE_PORT", DEFAULT_PORT, PORTS),
            data_dir=folder,
            secret=load_secret(env, folder),
            on_exchange=lambda exchange: print(call_line(exchange, in_colour=in_colour), flush=True),
            on_events=view.add,
        )
        try:
            app = App(configuration, settings)
        except OSError as error:
            print(cannot_listen(settings, error), file=sys.stderr)
            return 1
        await app.start()
        print(f"point an app at it: export OPENAI_BASE_URL={app.address}/v1 OPENAI_API_KEY=any")
        print(f"listening on {app.address}\n\n{HEADING}", flush=True)
        stop = stop_signal()
        try:
            await _sample(app.address, args.calls, stop)
            await app.settled()
            destination = configuration.destination
            verb = "would have received" if destination.api_key is None else "receives"
            print(f"\nPostHog {verb}: {view.summary()}\n", flush=True)
            if not args.once:
                print("Serving on; each call shows here as it ends. Ctrl-C ends it.", flush=True)
                await stop.wait()
        finally:
            await app.stop()
    return 0


async def _sample(address: str, calls: int, stop: asyncio.Event) -> None:
    """Make the sample calls, unless a signal comes first."""
    traffic = asyncio.ensure_future(sample_traffic.run(f"{address}/v1", calls=calls))
    waiting = asyncio.ensure_future(stop.wait())
    await asyncio.wait((traffic, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not traffic.done():
        traffic.cancel()
    await asyncio.wait((traffic, waiting))
    if not traffic.cancelled():
        traffic.result()


@asynccontextmanager
async def _provider() -> AsyncIterator[str]:
    """The built-in provider on a free port of the loopback."""
    runner = web.AppRunner(fake_provider.build(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, DEFAULT_HOST, 0)
    await site.start()
    try:
        yield f"http://{DEFAULT_HOST}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
