"""`promptlane prompts`: which prompts and versions there are, and which of them run. One module for each verb."""

import argparse
from typing import TypeAlias

from proxy.cli.prompts import listing, lock, pull, seen, show

_Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no public name


def add_parser(subparsers: _Verbs) -> None:
    """Add `prompts` and its verbs."""
    parser = subparsers.add_parser(
        "prompts",
        help="prompts and their versions: list, show, lock; what runs",
        description="Look at prompts and their versions.",
    )
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")
    listing.add_verb(verbs)
    show.add_verb(verbs)
    lock.add_verb(verbs)
    pull.add_verb(verbs)
    seen.add_verb(verbs)
