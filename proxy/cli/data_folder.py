"""What the verbs share that look into a data folder, also while a proxy writes there."""

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from proxy.adapters.journal import JournalReader, journal_files
from proxy.adapters.journal.schema import Unusable

WELL, FAILED = 0, 1
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
Run = Callable[[argparse.Namespace], int]


def add_data(parser: argparse.ArgumentParser) -> None:
    """Offer `--data`."""
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("PROMPTLANE_DATA") or "data"),
        metavar="DIR",
        help="folder of the journal (default: PROMPTLANE_DATA, else data/)",
    )


def guarded(run: Run) -> Run:
    """The verb, which says what is wrong with the folder or its files in one line."""

    def run_guarded(args: argparse.Namespace) -> int:
        if not journal_files(args.data):
            print(f"There is no journal in {args.data}/: name the proxy's own folder with --data.", file=sys.stderr)
            return FAILED
        try:
            return run(args)
        except Unusable as error:
            print(f"A journal in {args.data}/ {error.why}.", file=sys.stderr)
        except BrokenPipeError:
            raise  # that is standard output: `main` knows what it means
        except (apsw.Error, OSError) as error:
            print(f"A journal in {args.data}/ cannot be read ({type(error).__name__}).", file=sys.stderr)
        return FAILED

    return run_guarded


@contextmanager
def readers(directory: Path) -> Iterator[list[tuple[Path, JournalReader]]]:
    """A reader for each worker's file."""
    opened = [(path, JournalReader(path)) for path in journal_files(directory)]
    try:
        yield opened
    finally:
        for _, reader in opened:
            reader.close()


def age_in_s(text: str) -> float:
    """For argparse: `7d`, `12h`, `30m`, `45s`."""
    match = re.fullmatch(r"(\d{1,9})([smhd])", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no age; write 7d, 12h, 30m or 45s")
    return float(match[1]) * _UNITS_S[match[2]]


def count(text: str) -> int:
    """For argparse: how many, from 1 on."""
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 10**9):
        raise argparse.ArgumentTypeError(f"{text!r} is no count; write 1 or more")
    return int(text)
