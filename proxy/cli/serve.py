"""`promptlane serve`: have the configuration read, then run one worker here, or several as child processes."""

import argparse
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

from proxy.adapters import logs
from proxy.adapters.metric_files import room_bytes
from proxy.cli.reading import begin_first_look
from proxy.cli.where import Where, cannot_listen
from proxy.cli.workers import KeptConfiguration, Supervisor, shared_folder
from proxy.config import ConfigError, Configuration, Problem, find_places, given_secret, load_secret

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 4000
PORTS = range(65_536)
WORKERS = range(1, 65)
LOG_LEVELS = ("debug", "info", "warning", "error")


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
        where = _where(args, env)
        kept = KeptConfiguration(args.runtime_dir) if args.runtime_dir else None
        first_look = begin_first_look(places, env, kept)
        if where.workers > 1 and kept is None:
            configuration = first_look().usable()
            load_secret(env, places.data_dir)  # made now, if need be: the workers share it
            return _supervise(where, configuration)
        from proxy.cli import serving  # the supervisor has no need of it; and here both take their time at once

        seen = first_look()
        seen.usable()
        return serving.run_worker(seen, places, serving.settings_of(where, args, env, places, kept))
    except ConfigError as error:
        return show_problems(error)


def _where(args: argparse.Namespace, env: Mapping[str, str]) -> Where:
    """By flags, variables and defaults. Raises ConfigError."""
    return Where(
        host=args.host or env.get("PROMPTLANE_HOST") or DEFAULT_HOST,
        port=_port(env, args.port),
        workers=_workers(env, args.workers),
    )


def _supervise(where: Where, configuration: Configuration) -> int:
    """Run several workers until they are told to end; returns the exit code."""
    with ExitStack() as leaving:
        try:
            folder = leaving.enter_context(shared_folder(where.workers))
        except OSError as error:
            print(_no_shared_folder(where.workers, error), file=sys.stderr)
            return 1
        KeptConfiguration(folder).keep(configuration)
        try:
            return Supervisor(where.host, where.port, where.workers, folder).run()
        except OSError as error:
            print(cannot_listen(where.host, where.port, error), file=sys.stderr)
            return 1


def problems_of_variables(env: Mapping[str, str]) -> Iterator[Problem]:
    """What `serve` would say of the variables that are for it alone, whatever the files say."""
    for read in (_log_level, _port, _workers, given_secret):
        try:
            read(env)
        except ConfigError as error:
            yield from error.problems


def configure_logs(env: Mapping[str, str], *, default: str) -> None:
    """Log from the level of `PROMPTLANE_LOG_LEVEL` on. Raises ConfigError."""
    logs.configure(_log_level(env) or default)


def _log_level(env: Mapping[str, str]) -> str:
    level = env.get("PROMPTLANE_LOG_LEVEL", "").lower()
    if level and level not in LOG_LEVELS:
        raise _variable("PROMPTLANE_LOG_LEVEL", f"it must be one of {', '.join(LOG_LEVELS)}")
    return level


def _port(env: Mapping[str, str], given: int | None = None) -> int:
    return chosen_number(given, env, "PROMPTLANE_PORT", DEFAULT_PORT, PORTS)


def _workers(env: Mapping[str, str], given: int | None = None) -> int:
    return chosen_number(given, env, "PROMPTLANE_WORKERS", 1, WORKERS)


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


def _no_shared_folder(workers: int, error: OSError) -> str:
    reason = os.strerror(error.errno) if error.errno else "it cannot be made"
    needed_mib = -(-room_bytes(workers) // (1 << 20))
    return f"no folder for the workers to share: {reason}; set TMPDIR to one that takes {needed_mib} MiB"
