"""One worker of `promptlane serve`, from its start to its end by a signal."""

import argparse
import asyncio
import gc
import os
import select
import signal
import sys
from collections.abc import Callable, Mapping, Sequence

import uvloop

from proxy.app import App, Settings, login_link
from proxy.cli.reading import look_again
from proxy.cli.where import Where, cannot_listen
from proxy.cli.workers import KeptConfiguration, remove_shared_folder
from proxy.config import Changes, Configuration, Places, Seen, load_secret

COLLECTOR_THRESHOLDS = (2_000, 5_000, 5)
"""How many new objects are looked at in one go, which takes half a millisecond; and how many times that is done until
all that has stayed since is looked at, which takes a third of a second where thousands of streams are open."""


def settings_of(
    where: Where, args: argparse.Namespace, env: Mapping[str, str], places: Places, kept: KeptConfiguration | None
) -> Settings:
    """Raises ConfigError for a secret that cannot be used."""
    return Settings(
        host=where.host,
        port=where.port,
        data_dir=places.data_dir,
        secret=load_secret(env, places.data_dir),
        worker=args.worker_number or 0,
        worker_count=where.workers,
        admin_token=env.get("PROMPTLANE_ADMIN_TOKEN") or None,
        viewer_token=env.get("PROMPTLANE_VIEWER_TOKEN") or None,
        on_configuration=kept.keep if kept is not None else None,
        metrics_dir=args.runtime_dir,
    )


def run_worker(seen: Seen, places: Places, settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT. 1: the address cannot be had. Raises ConfigError for what cannot be used."""
    configuration = seen.usable()
    is_child = settings.metrics_dir is not None
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            app = App(configuration, settings, Changes(places, seen, lambda: look_again(places)))
            runner.run(app.start())
        except OSError as error:
            print(cannot_listen(settings.host, settings.port, error), file=sys.stderr)
            return 1
        runner.run(_until_signal(app, lambda: _greet(app, configuration, settings), is_child=is_child))
    if settings.metrics_dir is not None and _is_orphan():
        remove_shared_folder(settings.metrics_dir)
    return 0


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
