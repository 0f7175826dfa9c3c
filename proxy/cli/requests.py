"""Has a journal's owner do something, or does it where there is none."""

import time
from collections.abc import Mapping
from pathlib import Path

from proxy.adapters.journal import JournalSettings, journal_files
from proxy.adapters.journal.requests import Request, do_now, leave

PATIENCE_S = 10.0
"""How long a running proxy is given to carry out a request."""
POLL_S = 0.05


def carry_out(directory: Path, request: Request, patience_s: float = PATIENCE_S) -> Mapping[str, int]:
    """By file: `done` here, `asked` of a running proxy, and `late` where it has not done it in time.

    Raises `RequestWaits`, and what `do_now` raises.
    """
    totals = {"done": 0, "asked": 0, "late": 0}
    for path in journal_files(directory):
        count = do_now(path, request, JournalSettings(directory=directory), time.time_ns() // 1000)
        if count is not None:
            totals["done"] += count
        else:
            totals["asked"] += 1
            totals["late"] += not _is_carried_out(leave(path, request), patience_s)
    return totals


def _is_carried_out(request_path: Path, patience_s: float) -> bool:
    deadline_s = time.monotonic() + patience_s
    while request_path.exists():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(POLL_S)
    return True
