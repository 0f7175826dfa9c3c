"""What counts instead of configured rollouts, in one worker: taken up when the data folder's file changes.

One of the workers tells PostHog of each change, also of one that was made while no proxy ran. An event has the same
uuid each time, so that telling it again after a restart changes nothing.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from proxy.adapters.rollout_state import WatchedRollouts
from proxy.domain.journal_rows import Outcome
from proxy.domain.overrides import ChangedBy, Overrides
from proxy.domain.rollout_changes import outcome_of

TOLD_WITHIN_US = 7 * 86_400 * 1_000_000
"""An older change is history: whoever was to hear of it has."""

log = logging.getLogger(__name__)


class Rollouts:
    """`look` several times a second, on the event loop."""

    def __init__(self, data_dir: Path, note: Callable[[Outcome], None] | None, unix_us: Callable[[], int]) -> None:
        """`note` takes the events of changes; None where another worker tells."""
        self._watched = WatchedRollouts(data_dir)
        self._note = note
        self._unix_us = unix_us
        self._told: set[str] = set()

    def overrides(self) -> Overrides:
        """What counts now."""
        return self._watched.overrides

    async def look(self) -> None:
        """Take up what has changed. Never raises."""
        if not await asyncio.to_thread(self._watched.look):
            return
        if not self._watched.is_readable:
            if self.overrides().are_known:
                log.error("rollouts.json cannot be read: what counted before goes on; see `promptlane rollout status`")
            else:
                log.error(
                    "rollouts.json cannot be read: every rollout runs its default; see `promptlane rollout status`"
                )
            return
        if self._note is not None:
            self._tell(self._note)

    def _tell(self, note: Callable[[Outcome], None]) -> None:
        for flag, override in self.overrides().by_key.items():
            if override.changed_by is ChangedBy.GUARDRAIL:
                log.warning("a guardrail has stopped a rollout; see `promptlane rollout status`", extra={"flag": flag})
            else:
                log.info("a rollout is set by hand; see `promptlane rollout status`", extra={"flag": flag})
        oldest_us = self._unix_us() - TOLD_WITHIN_US
        for change in self._watched.changes:
            if change.id not in self._told and change.changed_at_unix_us >= oldest_us:
                note(outcome_of(change))
        self._told = {change.id for change in self._watched.changes}
