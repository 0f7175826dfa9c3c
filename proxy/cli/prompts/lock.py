"""`promptlane prompts lock`: record what each version is, so that none changes under its id."""

import argparse
import os
import sys
from pathlib import Path
from typing import TypeAlias

from proxy.cli.prompts.configured import add_config, loaded
from proxy.config.configuration import Locked
from proxy.config.prompt_lock import LOCK, hashes, lock_text, unlocked

_Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no public name


def add_verb(verbs: _Verbs) -> None:
    """Add `lock`."""
    parser = verbs.add_parser(
        "lock",
        help="record the content of every version, so that none changes under its id",
        description=f"Write the hash of each version that is not recorded yet into {LOCK}, beside prompts.yaml; commit "
        "both. From then on a version whose content differs is refused, here, by `check`, by `serve` and on reload: "
        "give the new content an id of its own. Lines of versions that are gone stay, so that nobody uses their ids "
        "again.",
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit code 1 where a version is not recorded (for CI)"
    )
    add_config(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """0 where all versions are recorded now; 1 where they are not; 2 where the configuration is not valid."""
    if (found := loaded(args)) is None:
        return 2
    folder, configuration = found
    new = [f"{prompt}/{version}" for prompt, version in unlocked(configuration.prompts, configuration.locked)]
    if args.check:
        for name in new:
            print(
                f"{name}: not recorded in {folder / LOCK}; run `promptlane prompts lock`, and commit it",
                file=sys.stderr,
            )
        return 1 if new else 0
    if new and not _written(folder / LOCK, {**configuration.locked, **hashes(configuration.prompts)}):
        return 1
    for name in new:
        print(f"locked {name}")
    print(f"{folder / LOCK}: {len(new)} new" if new else "nothing to lock: every version is recorded")
    return 0


def _written(path: Path, locked: Locked) -> bool:
    """Replaced whole, since a running proxy reads it."""
    draft = path.with_suffix(".lock.new")
    try:
        draft.write_text(lock_text(locked), encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        print(f"cannot write {path}: {os.strerror(error.errno or 0)}", file=sys.stderr)
        return False
    return True
