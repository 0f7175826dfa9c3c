"""OpenTelemetry as the configuration wants it now: off, on, or otherwise than before.

Its many modules are imported only once it is wanted. Metrics are each worker's own; traces of all workers are told by
one of them.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from proxy.adapters import trace_marks
from proxy.adapters.trace_export import TraceExport, TraceSettings
from proxy.domain.exchange import Exchange
from proxy.domain.outcome_properties import AGENT_STEP, AI_SPAN
from proxy.domain.policy import AnalyticsPolicy
from proxy.domain.routing import Provider

if TYPE_CHECKING:
    from proxy.adapters.otel.metrics import MetricExport

log = logging.getLogger(__name__)


class TelemetrySwitch:
    """`observe` belongs to the event loop; `take_up` and `stop` take their time, in a thread, one after the other."""

    def __init__(self, data_dir: Path, worker: int, worker_count: int) -> None:
        self._data_dir = data_dir
        self._worker = worker
        self._worker_count = worker_count
        self._metrics: MetricExport | None = None
        self._metrics_of: str | None = None
        """The environment that they are told of; None where they are off."""
        self._traces: TraceExport | None = None
        self._traces_of: TraceSettings | None = None
        self._has_looked = False
        self._lost_spans_before = 0

    @property
    def lost_spans(self) -> int:
        """Spans that can never be told, since the worker started."""
        return self._lost_spans_before + (self._traces.lost_spans if self._traces is not None else 0)

    @property
    def lag_s(self) -> float:
        """How long ago the oldest call ended that the collector could not be told of."""
        return self._traces.lag_s if self._traces is not None else 0.0

    @property
    def is_alarming(self) -> bool:
        """The collector has taken no traces for a while."""
        return self._traces is not None and self._traces.is_alarming

    def observe(self, exchange: Exchange) -> None:
        """Count a settled exchange where that is wanted. Never raises and never waits."""
        if (metrics := self._metrics) is not None:
            metrics.observe(exchange)

    def take_up(self, policy: AnalyticsPolicy, providers: Mapping[str, Provider]) -> None:
        """From here on export what this policy wants."""
        environment = policy.environment if policy.telemetry.metrics else None
        if environment != self._metrics_of:
            self._stop_metrics()
            self._metrics_of = environment
            self._metrics = self._made_metrics(environment) if environment is not None else None
        if self._worker == 0:
            self._take_up_traces(self._wanted_traces(policy, providers))

    def _take_up_traces(self, wanted: TraceSettings | None) -> None:
        """Traces begin with the calls that end from now on, and go on where they were after a restart."""
        if self._has_looked and wanted == self._traces_of:
            return
        self._has_looked, self._traces_of = True, wanted
        self._stop_traces()
        try:
            if wanted is None:
                trace_marks.end(self._data_dir)
            else:
                trace_marks.begin(self._data_dir)
                self._traces = TraceExport(wanted)
        except OSError:
            log.warning("traces are not exported: the data folder cannot be written")

    def stop(self) -> None:
        """Export what is new, within a bounded time."""
        self._stop_traces()
        self._stop_metrics()

    def _stop_metrics(self) -> None:
        before, self._metrics = self._metrics, None
        if before is not None:
            before.stop()

    def _stop_traces(self) -> None:
        before, self._traces = self._traces, None
        if before is not None:
            before.stop()
            self._lost_spans_before += before.lost_spans

    def _made_metrics(self, environment: str) -> "MetricExport | None":
        try:
            from proxy.adapters.otel.metrics import MetricExport

            return MetricExport(environment, worker=self._worker, worker_count=self._worker_count)
        except Exception as error:  # noqa: BLE001 - the SDK reads many variables in its own ways
            log.warning("telemetry is off: the SDK could not be set up", extra={"error": type(error).__name__})
            return None

    def _wanted_traces(self, policy: AnalyticsPolicy, providers: Mapping[str, Provider]) -> TraceSettings | None:
        if not policy.telemetry.traces:
            return None
        from proxy.adapters.otel.attributes import host_and_port

        return TraceSettings(
            directory=self._data_dir,
            environment=policy.environment,
            step_event=AGENT_STEP if policy.families.product else AI_SPAN,
            content=policy.telemetry.content,
            servers={name: host_and_port(provider.base_url) for name, provider in providers.items()},
            every_s=policy.telemetry.spans_every_s,
            batch_spans=policy.telemetry.batch_spans,
        )
