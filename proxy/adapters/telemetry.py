"""OpenTelemetry as the configuration wants it now: off, on, or otherwise than before.

Its many modules are imported only once it is wanted.
"""

import logging
from typing import TYPE_CHECKING

from proxy.domain.exchange import Exchange
from proxy.domain.policy import AnalyticsPolicy

if TYPE_CHECKING:
    from proxy.adapters.otel import OtelExport

log = logging.getLogger(__name__)


class TelemetrySwitch:
    """`observe` belongs to the event loop; `take_up` and `stop` take their time, in a thread, one after the other."""

    def __init__(self, worker: int, worker_count: int) -> None:
        self._worker = worker
        self._worker_count = worker_count
        self._policy = AnalyticsPolicy()
        self._export: OtelExport | None = None
        self._lost_spans_before = 0

    @property
    def lost_spans(self) -> int:
        """Spans that no collector took, since the worker started."""
        return self._lost_spans_before + (self._export.lost_spans if self._export is not None else 0)

    def observe(self, exchange: Exchange) -> None:
        """Tell of a settled exchange where that is wanted. Never raises and never waits."""
        if (export := self._export) is not None:
            export.observe(exchange)

    def take_up(self, policy: AnalyticsPolicy) -> None:
        """From here on export what this policy wants."""
        before, self._policy = self._policy, policy
        if (before.telemetry, before.environment) != (policy.telemetry, policy.environment):
            self._switch(_made(policy, self._worker, self._worker_count))

    def stop(self) -> None:
        """Export what waits, within a bounded time."""
        self._switch(None)

    def _switch(self, export: "OtelExport | None") -> None:
        before, self._export = self._export, export
        if before is not None:
            before.stop()
            self._lost_spans_before += before.lost_spans


def _made(policy: AnalyticsPolicy, worker: int, worker_count: int) -> "OtelExport | None":
    if not policy.telemetry.is_wanted:
        return None
    from proxy.adapters import otel

    try:
        return otel.OtelExport(policy, worker=worker, worker_count=worker_count)
    except Exception as error:  # noqa: BLE001 - the SDK reads many variables in its own ways
        log.warning("telemetry is off: the SDK could not be set up", extra={"error": type(error).__name__})
        return None
