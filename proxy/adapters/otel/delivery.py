"""One batch to the collector, through the SDK's exporter, and what its answer means.

A collector that says that it cannot read or will not have a batch is sent its halves, and theirs, until the rows that
it refuses stand alone; one that tells what was said is sent without it then, and any other is lost. Of everything else,
such as no answer, a login that does not hold, or a wrong path, the batch is not to blame: it waits.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from itertools import chain

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace.export import SpanExportResult

from proxy.adapters.otel.backlog import Spans
from proxy.adapters.otel.sdk import CollectorSession, Heard
from proxy.adapters.otel.spans import without_content

REFUSED = frozenset({400, 413, 422})
"""Statuses that speak of what was sent."""
LONGEST_WAIT_S = 600.0


class Verdict(Enum):
    """On one request."""

    TAKEN = auto()
    REFUSED = auto()
    AWAY = auto()


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of the first `rows` of a batch: taken, but for `lost` spans. Those behind them wait for `wait_s`."""

    rows: int
    lost: int
    wait_s: float = 0.0


class Delivery:
    """Speaks to the collector that the OTEL_* variables name. Blocks for as long as they allow."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._session = CollectorSession()
        self._exporter = OTLPSpanExporter(session=self._session)
        self._now = now

    def deliver(self, rows: Sequence[Spans]) -> Delivered:
        """Send all of it, or as much as the collector takes before it fails."""
        verdict, lost = self._send(rows)
        if verdict is Verdict.TAKEN:
            return Delivered(len(rows), lost)
        if verdict is Verdict.AWAY:
            return Delivered(0, 0, self._wait_s())
        if len(rows) == 1:
            if (bare := without_content(rows[0])) is not None:
                return self.deliver([bare])
            return Delivered(1, len(rows[0]))
        half = len(rows) // 2
        first = self.deliver(rows[:half])
        if first.rows < half:
            return first
        second = self.deliver(rows[half:])
        return Delivered(half + second.rows, first.lost + second.lost, second.wait_s)

    def _send(self, rows: Sequence[Spans]) -> tuple[Verdict, int]:
        """With how many spans of a taken batch the collector did not take."""
        sent_before = self._session.requests_sent
        spans = list(chain.from_iterable(rows))
        is_taken = self._exporter.export(spans) is SpanExportResult.SUCCESS
        heard = self._session.heard
        if is_taken:
            return Verdict.TAKEN, min(len(spans), _rejected(heard))
        is_unsendable = self._session.requests_sent == sent_before
        is_refused = heard is not None and heard.status in REFUSED
        return (Verdict.REFUSED if is_unsendable or is_refused else Verdict.AWAY), 0

    def _wait_s(self) -> float:
        """What the collector asks for, within reason; 0 where it does not say."""
        said = self._session.heard.retry_after if self._session.heard is not None else ""
        if said.isdecimal():
            return min(LONGEST_WAIT_S, float(said[:6]))
        try:
            return min(LONGEST_WAIT_S, max(0.0, (parsedate_to_datetime(said) - self._now()).total_seconds()))
        except (ValueError, TypeError):
            return 0.0


def _rejected(heard: Heard | None) -> int:
    """Of a partial success: it must not be sent again."""
    if heard is None or not heard.body:
        return 0
    try:
        return max(0, int(ExportTraceServiceResponse.FromString(heard.body).partial_success.rejected_spans))
    except DecodeError:
        return 0
