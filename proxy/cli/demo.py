"""`promptlane demo`: the proxy doing its main job with no account, in front of a provider of its own."""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import orjson
import uvloop
from aiohttp import web

from proxy.app import App, Settings, login_link
from proxy.cli.call_rows import HEADING, call_row
from proxy.cli.serve import (
    DEFAULT_HOST,
    DEFAULT_PORT,
    PORTS,
    chosen_number,
    configure_logs,
    show_problems,
)
from proxy.cli.serving import stop_signal
from proxy.cli.terminal import in_colour
from proxy.cli.top.frame import frame_of
from proxy.cli.top.scrape import Window
from proxy.cli.top.screen import append
from proxy.cli.top.source import Source
from proxy.cli.top.view import view_of
from proxy.cli.where import cannot_listen
from proxy.config import ConfigError, load_secret
from proxy.config.load import load
from proxy.demo import fake_provider, sample_traffic
from proxy.demo.show import EventView
from proxy.domain.events import EventPolicy, closing
from proxy.domain.exchange import Exchange

FRESH_S = 0.3
"""A worker's gauges are no older than that."""


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
    view = EventView()
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
            on_exchange=_show_call,
            on_events=view.add,
        )
        try:
            app = App(configuration, settings)
        except OSError as error:
            print(cannot_listen(settings.host, settings.port, error), file=sys.stderr)
            return 1
        await app.start()
        stop = stop_signal()
        try:
            _greet(app.address)
            await _show_sample(app, args.calls, stop)
            _show_events(view, is_sent=configuration.destination.api_key is not None)
            if not args.once:
                _show_what_next(app.address, folder, login_link(app.address, settings.seal))
                await stop.wait()
        finally:
            await app.stop()
    return 0


def _greet(address: str) -> None:
    print("Promptlane in front of an invented provider: no account, no key, no cost.\n")
    print(f"listening on {address}; point an app at it:")
    print(f"  export OPENAI_BASE_URL={address}/v1 OPENAI_API_KEY=any", flush=True)


async def _show_sample(app: App, calls: int, stop: asyncio.Event) -> None:
    """Make the sample calls, and tell of them as they end and as a whole."""
    source = Source(address=app.address)
    async with aiohttp.ClientSession(trust_env=False) as session:
        before = await source.scrape(session)
        print(f"\n{calls} sample calls of three users, each shown as it ends:\n\n{HEADING}", flush=True)
        await _sample(app.address, calls, stop)
        await app.settled()
        await asyncio.sleep(FRESH_S)
        window = Window(before=before, after=await source.scrape(session))
    print("\nThe same calls as `promptlane top` shows them:\n")
    append(frame_of(view_of(window), app.address))


def _show_call(exchange: Exchange) -> None:
    if exchange.is_started:
        told = orjson.loads(closing(exchange, EventPolicy()).record)
        line = call_row(told["ended_unix_us"], told["properties"], in_colour=in_colour(sys.stdout))
        print(line, flush=True)


def _show_events(view: EventView, *, is_sent: bool) -> None:
    print(f"\nWhat PostHog {'receives' if is_sent else 'would have received'} of them:\n\n{view.counts()}")
    if example := view.example():
        print(f"\nOne of these events. No prompt and no output is in any:\n\n{example}", flush=True)


def _show_what_next(address: str, folder: Path, dashboards: str) -> None:
    command = sys.argv[0] if Path(sys.argv[0]).name == "promptlane" else "promptlane"
    where = "" if address.endswith(f":{DEFAULT_PORT}") else f" --url {address}"
    print("\nServing on; each call shows here as it ends. Ctrl-C ends it. Meanwhile:\n")
    print(f"  {command} top{where}")
    print(f"  {command} calls tail --data {folder}")
    print(f"  {command} login{where} --data {folder}")
    print(f"\nDashboards, by a link that opens once, within an hour; `login` prints another one:\n  {dashboards}")
    print(f"\n{HEADING}", flush=True)


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
