"""An OpenTelemetry collector on loopback: OTLP over HTTP, decoded with the protocol's own messages.

It takes everything, unless `status` says otherwise, `gate` makes it wait, or a span is `poison`. Waiting is done on
what arrives.
"""

import asyncio
import gzip
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import HistogramDataPoint, Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.harness.call import PATIENCE_S
from tests.harness.http1 import Broken, Head, iter_request_body, read_head
from tests.harness.listener import Listener


@dataclass(frozen=True, kw_only=True)
class SeenSpan:
    """One span. Ids are hex; `parent_id` is "" for a root. Times are wall-clock nanoseconds."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Any]
    is_error: bool
    says: str
    resource: Mapping[str, Any]


@dataclass
class Collector:
    """`async with Collector() as collector:` listens on an ephemeral port of 127.0.0.1."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    """Of replies."""
    reply: bytes = b""
    """Their body."""
    gate: asyncio.Event | None = None
    """Replies wait for it."""
    poison: Callable[[SeenSpan], bool] | None = None
    """A request with such a span is refused with 400."""
    spans: list[SeenSpan] = field(default_factory=list)
    metrics: dict[str, Metric] = field(default_factory=dict)
    """By name, as last told; counts are sums since the exporter's start."""
    resources: list[Mapping[str, Any]] = field(default_factory=list)
    heads: list[Head] = field(default_factory=list)
    bodies: dict[str, bytes] = field(default_factory=dict)
    """All that came, decompressed and in one piece, by path."""

    def __post_init__(self) -> None:
        self._listener = Listener(self._connection)
        self._changed = asyncio.Event()

    @property
    def port(self) -> int:
        return self._listener.port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.refuse()

    async def listen(self) -> None:
        """Accept connections, on the same port as before if there was one."""
        await self._listener.listen()

    async def refuse(self) -> None:
        """Refuse new connections and break those that are open."""
        await self._listener.stop()

    async def wait_for(self, is_there: Callable[["Collector"], bool]) -> None:
        """Until what arrived satisfies the question; fails after `PATIENCE_S`."""
        async with asyncio.timeout(PATIENCE_S):
            while not is_there(self):
                self._changed.clear()
                await self._changed.wait()

    async def trace_of(self, exchange_id: str) -> list[SeenSpan]:
        """The spans of a call once they are here: its own, then those of its attempts in order."""

        def root(collector: "Collector") -> SeenSpan | None:
            found = (span for span in collector.spans if span.attributes.get("promptlane.exchange_id") == exchange_id)
            return next(found, None)

        await self.wait_for(lambda collector: root(collector) is not None)
        call = root(self)
        assert call is not None
        await self.wait_for(
            lambda collector: len(_children(call, collector)) == call.attributes.get("promptlane.attempt_count", 0)
        )
        return [call, *_children(call, self)]

    def points(self, name: str) -> dict[tuple[tuple[str, Any], ...], HistogramDataPoint]:
        """A histogram's points by their attributes."""
        metric = self.metrics.get(name)
        points = metric.histogram.data_points if metric is not None else ()
        return {tuple(sorted(_attributes(point.attributes).items())): point for point in points}

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (head := await read_head(reader)) is not None:
                await self._serve(head, reader, writer)
        except (ConnectionError, Broken, asyncio.CancelledError):
            pass  # the exporter left, or the collector stops

    async def _serve(self, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = b"".join([data async for data in iter_request_body(reader, head)])
        self.heads.append(head)
        path = head.start_line.split(" ")[1]
        body = gzip.decompress(body) if head.get("content-encoding") else body
        is_poisoned = self.poison is not None and path == "/v1/traces" and any(map(self.poison, _spans(body)))
        status = 400 if is_poisoned else self.status
        if status < 300:
            self._take(path, body)
        self._changed.set()
        if self.gate is not None:
            await self.gate.wait()
        lines = "".join(f"{name}: {value}\r\n" for name, value in self.headers)
        length = f"Content-Length: {len(self.reply)}\r\n\r\n"
        writer.write(f"HTTP/1.1 {status} Scripted\r\n{lines}{length}".encode() + self.reply)
        await writer.drain()

    def _take(self, path: str, body: bytes) -> None:
        self.bodies[path] = self.bodies.get(path, b"") + body
        if path == "/v1/traces":
            found = list(_spans(body))
            self.spans += found
            self.resources += [span.resource for span in found[:1]]
        if path == "/v1/metrics":
            for resource_metrics in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                self.resources.append(_attributes(resource_metrics.resource.attributes))
                self.metrics.update({m.name: m for scope in resource_metrics.scope_metrics for m in scope.metrics})


def _spans(body: bytes) -> Iterator[SeenSpan]:
    for resource_spans in ExportTraceServiceRequest.FromString(body).resource_spans:
        resource = _attributes(resource_spans.resource.attributes)
        for scope in resource_spans.scope_spans:
            yield from (_seen(span, resource) for span in scope.spans)


def _children(call: SeenSpan, collector: Collector) -> list[SeenSpan]:
    found = [
        span for span in collector.spans if span.parent_id == call.span_id and "promptlane.attempt" in span.attributes
    ]
    return sorted(found, key=lambda span: span.attributes["promptlane.attempt"])


def _seen(span: Span, resource: Mapping[str, Any]) -> SeenSpan:
    return SeenSpan(
        name=span.name,
        kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        attributes=_attributes(span.attributes),
        is_error=span.status.code == Status.STATUS_CODE_ERROR,
        says=span.status.message,
        resource=resource,
    )


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None
