"""The command line: `main` dispatches to one module per verb."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from proxy import __version__

VERBS = (
    "init",
    "import",
    "serve",
    "demo",
    "check",
    "schema",
    "price",
    "doctor",
    "keys",
    "meter",
    "outbox",
    "calls",
    "traces",
    "store",
    "top",
    "login",
    "report",
    "reconcile",
    "prompts",
    "dashboards",
    "experiment",
    "rollout",
    "alerts",
)
"""Each has a module of this package, which offers `add_parser(subparsers)` and sets `run` on its parser."""
_MODULES = {"import": "importing"}
"""Where Python forbids a module of the verb's name."""


def command_parser(verbs: Sequence[str] = VERBS) -> argparse.ArgumentParser:
    """What the command takes, with these verbs; a verb that is not asked for need not be loaded."""
    parser = argparse.ArgumentParser(
        prog="promptlane",
        description="A reverse proxy that turns every model call into product analytics in PostHog.",
    )
    parser.add_argument("--version", action="version", version=f"promptlane {__version__}")
    subparsers = parser.add_subparsers(title="verbs", required=True, metavar="VERB")
    for verb in verbs:
        import_module(f"proxy.cli.{_MODULES.get(verb, verb)}").add_parser(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns its exit code (0 well, 1 failed, 2 misused)."""
    words = sys.argv[1:] if argv is None else argv
    asked = [verb for verb in VERBS if verb in words[:1]]
    args = command_parser(asked or VERBS).parse_args(words)
    try:
        exit_code: int = args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # `promptlane outbox ls | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130  # as shells have it
    return exit_code
