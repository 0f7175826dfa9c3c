"""`promptlane serve`: read the configuration, then run one worker here, or several as child processes."""

import argparse
import asyncio
import gc
import logging
import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import uvloop

from proxy.adapters import logs
from proxy.adapters.metric_files import room_bytes
from proxy.app import App, Settings, login_link
from proxy.cli.workers import KeptConfiguration, Supervisor, remove_shared_folder, shared_folder
from proxy.config import (
    Changes,
    ConfigError,
    Configuration,
    Places,
    Problem,
    find_places,
    load,
    load_secret,
    lost_files,
)

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 4000
PORTS = range(65_536)
WORKERS = range(1, 65)
LOG_LEVELS = ("debug", "info", "warning", "error")

COLLECTOR_THRESHOLDS = (2_000, 5_000, 5)
"""How many new objects are looked at in one go, which takes half a millisecond; and how many times that is done until
all that has stayed since is looked at, which takes a third of a second where thousands of streams are open."""

log = logging.getLogger(__name__)


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Offer the verb."""
    parser = subparsers.add_parser("serve", help="run the proxy")
    parser.add_argument(
        "--config", metavar="DIR", help="folder of routing, analytics, prompts and alerts.yaml (default: config/)"
    )
    parser.add_argument("--pricing", metavar="FILE", help="the operator's prices (default: pricing.yaml)")
    parser.add_argument("--data", metavar="DIR", help="folder of the journal and the secret (default: data/)")
    parser.add_argument("--host", help=f"address to listen on (default: {DEFAULT_HOST})")
    parser.add_argument("--port", type=int, help=f"port to listen on; 0 takes a free one (default: {DEFAULT_PORT})")
    parser.add_argument("--workers", type=int, help="processes that share the port (default: 1)")
    parser.add_argument("--worker-number", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--runtime-dir", type=Path, help=argparse.SUPPRESS)
    parser.set_defaults(run=serve)


def serve(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT. 2: the configuration cannot be used; 1: the address cannot be had."""
    env = os.environ
    try:
        configure_logs(env, default="info")
        places = find_places(env, config=args.config, pricing=args.pricing, data=args.data)
        kept = KeptConfiguration(args.runtime_dir) if args.runtime_dir else None
        configuration = _load(places, env, kept)
        settings = _settings(args, env, places, kept)
    except ConfigError as error:
        return show_problems(error)
    is_child = kept is not None
    try:
        if settings.worker_count > 1 and not is_child:
            return _supervise(settings, configuration)
        app = App(configuration, settings, Changes(places, env, configuration))
    except OSError as error:
        print(cannot_listen(settings, error), file=sys.stderr)
        return 1
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(app.start())
        except OSError as error:
            print(cannot_listen(settings, error), file=sys.stderr)
            return 1
        runner.run(_until_signal(app, lambda: _greet(app, configuration, settings), is_child=is_child))
    if is_child and _is_orphan():
        remove_shared_folder(args.runtime_dir)
    return 0


def _supervise(settings: Settings, configuration: Configuration) -> int:
    """Run several workers until they are told to end; returns the exit code. Raises OSError as `Supervisor` does."""
    with ExitStack() as leaving:
        try:
            folder = leaving.enter_context(shared_folder(settings.worker_count))
        except OSError as error:
            print(_no_shared_folder(settings.worker_count, error), file=sys.stderr)
            return 1
        KeptConfiguration(folder).keep(configuration)
        return Supervisor(settings.host, settings.port, settings.worker_count, folder).run()


def _load(places: Places, env: Mapping[str, str], kept: KeptConfiguration | None) -> Configuration:
    """What lies on disk; for a worker, what the others run where that cannot be used. Raises ConfigError."""
    if kept is None or (running := kept.load(env)) is None:
        return load(places.config_dir, places.pricing_file, env)
    try:
        found = load(places.config_dir, places.pricing_file, env)
    except ConfigError:
        found = None
    if found is not None and not lost_files(found, running):
        if found.digest != running.digest:
            kept.keep(found)
        return found
    log.error("the configuration on disk cannot be used: this worker starts with the one that the others run")
    return running


async def _until_signal(app: App, greet: Callable[[], None], *, is_child: bool) -> None:
    """Serve; SIGHUP reloads. A child of the supervisor also stops when its standard input ends: its parent has died."""
    stop = stop_signal()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, app.ask_reload)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})  # the supervisor made it wait for this
    if is_child:
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), stop.set)
    _spare_the_collector()
    greet()
    await stop.wait()
    if is_child:
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
    await app.stop()


def _spare_the_collector() -> None:
    """What was made until now stays until the end, and calls leave no cycles: the collector looks seldom, at little.

    With Python's own thresholds it takes a tenth of each call's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTOR_THRESHOLDS)


def _is_orphan() -> bool:
    """A child's standard input has something to read only once its parent has died: the end."""
    return bool(select.select([sys.stdin], [], [], 0)[0])


def stop_signal() -> asyncio.Event:
    """An event that SIGTERM or SIGINT sets; the second one ends the process at once."""
    asked = asyncio.Event()

    def stop() -> None:
        if asked.is_set():
            os._exit(1)  # what has ended is on disk already
        asked.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    return asked


def configure_logs(env: Mapping[str, str], *, default: str) -> None:
    """Log from the level of `PROMPTLANE_LOG_LEVEL` on. Raises ConfigError."""
    level = env.get("PROMPTLANE_LOG_LEVEL", "").lower() or default
    if level not in LOG_LEVELS:
        raise _variable("PROMPTLANE_LOG_LEVEL", f"it must be one of {', '.join(LOG_LEVELS)}")
    logs.configure(level)


def chosen_number(given: int | None, env: Mapping[str, str], variable: str, default: int, allowed: range) -> int:
    """The flag's value, else the variable's, else the default. Raises ConfigError."""
    text = str(given) if given is not None else env.get(variable) or str(default)
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) in allowed):
        raise _variable(variable, f"it, or its flag, must be a number from {allowed[0]} to {allowed[-1]}")
    return int(text)


def _variable(name: str, message: str) -> ConfigError:
    return ConfigError([Problem(file="environment", path=name, message=message)])


def show_problems(error: ConfigError) -> int:
    """Print a line for each; returns the exit code."""
    for problem in error.problems:
        print(problem, file=sys.stderr)
    return 2


def cannot_listen(settings: Settings, error: OSError) -> str:
    """What to tell when the address cannot be had."""
    if isinstance(error, socket.gaierror):
        return f"cannot listen on {settings.host}: this host name does not resolve; choose another --host"
    reason = os.strerror(error.errno) if error.errno else "it cannot be had"
    return f"cannot listen on {settings.host}:{settings.port}: {reason}; choose another --port"


def _no_shared_folder(workers: int, error: OSError) -> str:
    reason = os.strerror(error.errno) if error.errno else "it cannot be made"
    needed_mib = -(-room_bytes(workers) // (1 << 20))
    return f"no folder for the workers to share: {reason}; set TMPDIR to one that takes {needed_mib} MiB"


def _settings(
    args: argparse.Namespace, env: Mapping[str, str], places: Places, kept: KeptConfiguration | None
) -> Settings:
    return Settings(
        host=args.host or env.get("PROMPTLANE_HOST") or DEFAULT_HOST,
        port=chosen_number(args.port, env, "PROMPTLANE_PORT", DEFAULT_PORT, PORTS),
        data_dir=places.data_dir,
        secret=load_secret(env, places.data_dir),
        worker=args.worker_number or 0,
        worker_count=chosen_number(args.workers, env, "PROMPTLANE_WORKERS", 1, WORKERS),
        admin_token=env.get("PROMPTLANE_ADMIN_TOKEN") or None,
        viewer_token=env.get("PROMPTLANE_VIEWER_TOKEN") or None,
        on_configuration=kept.keep if kept is not None else None,
        metrics_dir=args.runtime_dir,
    )


def _greet(app: App, configuration: Configuration, settings: Settings) -> None:
    """The first lines on standard output; `listening on …` is what scripts wait for."""
    if settings.worker == 0:
        for line in greeting(configuration):
            print(line)
        print(f"point an app at it: export OPENAI_BASE_URL={app.address}/v1")
        if settings.is_loopback:
            print(f"dashboards, once within an hour: {login_link(app.address, settings.seal)}")
    print(f"listening on {app.address}", flush=True)


def greeting(configuration: Configuration) -> Sequence[str]:
    """What the configuration amounts to, in a few lines without secrets."""
    providers = ", ".join(
        f"{provider.name} ({'pass-through' if provider.api_key is None else 'our key'})"
        for provider in configuration.routing.providers.values()
    )
    destination = configuration.destination
    if destination.api_key is None:
        delivery = "no POSTHOG_API_KEY: events stay in the outbox here; see `promptlane outbox ls`"
    else:
        delivery = f"events go to {destination.host}"
    return (f"providers: {providers}", delivery)
