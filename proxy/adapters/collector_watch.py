"""Says in the log when a collector does not take what it is sent, and when it then does."""

import logging
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

REMINDER_S = 300.0
"""How often a collector that stays away is told of again."""


class CollectorWatch:
    """For one signal; at most one warning in `REMINDER_S`."""

    def __init__(self, signal: str, now_s: Callable[[], float] = time.monotonic) -> None:
        self._signal = signal
        self._now_s = now_s
        self._told_s: float | None = None
        self._is_failing = False

    def note(self, *, is_good: bool, lost: int) -> None:
        """One export ended; `lost` counts what has been lost so far."""
        said = {"signal": self._signal, "lost": lost}
        now_s = self._now_s()
        if is_good and self._is_failing:
            self._is_failing = False
            log.info("the collector takes telemetry again", extra=said)
        elif not is_good and (self._told_s is None or now_s - self._told_s >= REMINDER_S):
            self._told_s, self._is_failing = now_s, True
            log.warning("the collector does not take telemetry; see OTEL_EXPORTER_OTLP_ENDPOINT", extra=said)
