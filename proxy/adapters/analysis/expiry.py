"""Deletes what has grown too old from the files: `python -m proxy.adapters.analysis.expiry FOLDER SECONDS`."""

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from proxy.adapters.analysis import expire

NICENESS = 10


def main(folder: str, max_age_s: str) -> int:
    """Nothing to tell of a folder that cannot be written now: the next hour tries again."""
    os.nice(NICENESS)
    try:
        expire(Path(folder), datetime.now(UTC) - timedelta(seconds=float(max_age_s)))
    except OSError:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
