"""Journals whose owner is gone for good: a worker fewer than before, or a second proxy that has left.

A living worker looks for files that nobody locks, ends the calls that their owner left open, and moves the pending
events into its own outbox, so that they are delivered. The dead and the store stay where they are, readable and kept
within their bounds. Rows are written here before they are removed there: a crash in between sends them twice, under
one uuid.
"""

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import apsw

from proxy.adapters.journal import schema
from proxy.adapters.journal.file import Interrupted, JournalFile
from proxy.adapters.journal.outbox import SWEEP_ROWS, OutboxRow
from proxy.adapters.journal.place import journal_files, lock
from proxy.adapters.journal.settings import JournalSettings

GRACE_S = 5.0
"""A file must be ownerless for so long: its worker may be about to start again."""
REVISIT_S = 3600.0
MAX_STEPS = 20
"""Transactions of one visit."""

_log = logging.getLogger(__name__)

TakeOver = Callable[[list[OutboxRow]], bool]
"""Writes rows to the living worker's outbox; False when they could not be written."""


class Orphans:
    """Owned by the writer's thread."""

    def __init__(
        self,
        settings: JournalSettings,
        wall_unix_us: Callable[[], int],
        interrupted: Interrupted,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._now_us = wall_unix_us
        self._interrupted = interrupted
        self._monotonic_s = monotonic_s
        self._alone_since_s: dict[Path, float] = {}
        self._done: dict[Path, tuple[int, float]] = {}
        """By file: its time of change when all was done, and when that was."""

    def visit(self, own: Path, take_over: TakeOver) -> None:
        """Look after one file at most, so that the living worker's own rows do not wait."""
        try:
            paths = journal_files(own.parent)
        except OSError:  # no more files may be open, say: the next look sees them
            return
        for path in paths:
            if path != own and self._is_due(path) and self._adopt(path, take_over):
                return

    def _is_due(self, path: Path) -> bool:
        if path not in self._done:
            return True
        changed_ns, done_s = self._done[path]
        is_changed = Path(f"{path}-wal").exists() or _changed_ns(path) != changed_ns
        return is_changed or self._monotonic_s() - done_s > REVISIT_S

    def _adopt(self, path: Path, take_over: TakeOver) -> bool:
        """True when there was something to do."""
        try:
            descriptor = lock(path)
        except OSError:
            return False
        if descriptor is None:
            self._alone_since_s.pop(path, None)
            return False
        try:
            now_s = self._monotonic_s()
            if now_s - self._alone_since_s.setdefault(path, now_s) < GRACE_S:
                return False
            is_done = self._empty(path, take_over)
        except (apsw.Error, OSError, schema.Unusable) as error:
            _log.warning(
                "a journal file has no owner and cannot be read",
                extra={"file": path.name, "error": type(error).__name__},
            )
            is_done = True
        finally:
            os.close(descriptor)
        if is_done:
            self._done[path] = (_changed_ns(path), now_s)
        return True

    def _empty(self, path: Path, take_over: TakeOver) -> bool:
        """End its calls, move its events; True when nothing is left to do."""
        orphan = JournalFile(schema.connect(path), self._settings, self._now_us)
        try:
            for _ in range(MAX_STEPS):
                with orphan.transaction():
                    ended = orphan.recover(self._interrupted)
                    swept = orphan.sweep()
                    rows = orphan.outbox.oldest(SWEEP_ROWS)
                if rows and not take_over(list(rows.values())):
                    return False
                with orphan.transaction():
                    orphan.outbox.hand_over(rows)
                if rows:
                    _log.info(
                        "took over the events of a journal file without owner",
                        extra={"file": path.name, "events": len(rows)},
                    )
                if not ended and not rows and swept < SWEEP_ROWS:
                    orphan.scrub()
                    return True
            return False
        finally:
            orphan.finish()


def _changed_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
