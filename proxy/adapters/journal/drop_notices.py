"""Says in the log that events are being dropped, where nothing else does: a full disk has a line of its own."""

import logging
import math
from collections.abc import Mapping

from proxy.adapters.journal.tally import Drop

PAUSE_S = 60.0
"""Between two lines about the same reason."""
_TOLD = (Drop.OUTBOX_FULL, Drop.QUEUE_FULL)

_log = logging.getLogger(__name__)


class DropNotices:
    """Owned by the writer's thread, and at the stop by who ends it."""

    def __init__(self, dropped: Mapping[str, int]) -> None:
        """What an earlier process dropped is not news."""
        self._told = dict(dropped)
        self._silent_until_s: dict[Drop, float] = {}

    def look(self, dropped: Mapping[str, int], now_s: float) -> None:
        """`dropped` are totals by reason."""
        for reason in _TOLD:
            total, told = dropped.get(reason, 0), self._told.get(reason, 0)
            if total > told and now_s >= self._silent_until_s.get(reason, now_s):
                _log.error("events are being dropped", extra={"reason": str(reason), "events": total - told})
                self._silent_until_s[reason] = now_s + PAUSE_S
                self._told[reason] = total

    def at_stop(self, recorded: Mapping[str, int], lost: Mapping[Drop, int], calls: int) -> None:
        """`recorded` are totals of which the file tells, `lost` events and `calls` of which it does not."""
        self.look(recorded, math.inf)
        if lost:
            _log.error(
                "events of calls are lost: the disk did not take them before the stop; give the data folder a faster"
                " disk, or the proxy fewer calls",
                extra={"calls": calls, "events_by_reason": {str(reason): events for reason, events in lost.items()}},
            )
