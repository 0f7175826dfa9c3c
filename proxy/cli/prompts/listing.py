"""`promptlane prompts ls`: what is configured."""

import argparse
import json
from collections.abc import Iterator
from typing import Any, TypeAlias

from proxy.cli.prompts.configured import add_config, loaded
from proxy.cli.terminal import cell
from proxy.config import Configuration
from proxy.domain.prompts import ManagedPrompt, PromptVersion

_Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no public name
_HEADING = f"{'prompt':20} {'version':20} {'who gets it':32} {'model':16} {'text':>7}  content"
_HASH_CHARS = 12


def add_verb(verbs: _Verbs) -> None:
    """Add `ls`."""
    parser = verbs.add_parser(
        "ls",
        help="the configured prompts and their versions",
        description="List every version of prompts.yaml: who gets it, what it sets, and the hash of its content, with "
        "a star where prompts.lock does not record it.",
    )
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="one JSON list, for scripts")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """0, or 2 where the configuration is not valid."""
    if (found := loaded(args)) is None:
        return 2
    rows = list(_rows(found[1]))
    if args.json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
    elif not rows:
        print("no prompt is configured; see the comments in prompts.yaml")
    else:
        for line in (_HEADING, *map(_line, rows)):
            print(line)
    return 0


def _rows(configuration: Configuration) -> Iterator[dict[str, Any]]:
    for prompt in configuration.prompts.prompts.values():
        for version in prompt.versions.values():
            yield {
                "prompt": prompt.name,
                "mode": prompt.mode,
                "version": version.id,
                "is_default": version.id == prompt.default,
                "reached_by": _reached_by(prompt, version),
                "model": version.model,
                "text_chars": None if version.text is None else len(version.text),
                "content_hash": version.content_hash,
                "is_locked": (prompt.name, version.id) in configuration.locked,
            }


def _reached_by(prompt: ManagedPrompt, version: PromptVersion) -> str | None:
    """`90 %`, `flag=variant`; None for a version that is run only as the default, or where a call names it."""
    rollout = prompt.rollout
    if rollout is None:
        return None
    if rollout.split is None:
        variant = next((variant for variant, runs in prompt.variants.items() if runs == version.id), None)
        return f"{rollout.flag}={variant}"
    share = dict(rollout.split.shares).get(version.id)
    return None if share is None else f"{share:g} %"


def _line(row: dict[str, Any]) -> str:
    who = ", ".join(filter(None, [row["reached_by"], "default" if row["is_default"] else None])) or "who names it"
    chars = "-" if row["text_chars"] is None else str(row["text_chars"])
    short = row["content_hash"].partition(":")[2][:_HASH_CHARS]
    return (
        f"{cell(row['prompt'], 20)} {cell(row['version'], 20)} {cell(who, 32)} {cell(row['model'] or '-', 16)} "
        f"{chars:>7}  {short}{'' if row['is_locked'] else ' *'}"
    )
