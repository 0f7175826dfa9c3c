"""`promptlane prompts`: which prompts and versions there are, and which of them run. One module for each verb."""

import argparse
from typing import TypeAlias

from proxy.cli.prompts import seen

_Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no public name


def add_parser(subparsers: _Verbs) -> None:
    """Add `prompts` and its verbs."""
    parser = subparsers.add_parser(
        "prompts",
        help="prompts and their versions: what runs",
        description="Look at prompts and their versions.",
    )
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")
    seen.add_verb(verbs)
