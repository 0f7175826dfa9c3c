"""Spans of a settled exchange: one for the call, under the caller's own where it named one, and one for each attempt.

They are made after the fact, from the exchange's times: wall clock of its receipt, and monotonic from there. So they
are built as the finished spans that exporters take; spans that live in the SDK first would cost ten times as much.
"""

from collections.abc import Mapping

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from proxy.adapters.otel import attributes
from proxy.domain.exchange import Attempt, Exchange
from proxy.domain.identity import ParentSpan

_NOWHERE = Context()
"""There is no ambient span: what a call belongs to, its caller says."""
_FAILED = Status(StatusCode.ERROR)
"""Without a description: `error.type` says all that may be said."""


class SpanMaker:
    """Makes spans with the provider's resource, ids, and sampler, which the OTEL_* variables choose."""

    def __init__(self, provider: TracerProvider, scope: InstrumentationScope) -> None:
        self._resource = provider.resource
        self._sampler = provider.sampler
        self._ids = provider.id_generator
        self._scope = scope

    def spans_of(self, exchange: Exchange) -> list[ReadableSpan]:
        """The call's span, then those of its attempts; none where the sampler wants none. The call had a caller."""
        assert exchange.caller is not None
        assert exchange.ended_ns is not None
        name = exchange.endpoint.name
        parent = _remote(exchange.caller.parent_span)
        trace_id = parent.trace_id if parent is not None else self._ids.generate_trace_id()
        around = set_span_in_context(NonRecordingSpan(parent), _NOWHERE) if parent is not None else _NOWHERE
        found = self._sampler.should_sample(around, trace_id, name, SpanKind.SERVER)
        if found.decision is not Decision.RECORD_AND_SAMPLE:
            return []
        call = self._span(
            name,
            SpanKind.SERVER,
            attributes.of_call(exchange),
            trace_id,
            parent,
            _wall_ns(exchange, exchange.received_ns),
            _wall_ns(exchange, exchange.ended_ns),
        )
        return [call, *(self._of_attempt(exchange, attempt, call.context) for attempt in exchange.attempts)]

    def _of_attempt(self, exchange: Exchange, attempt: Attempt, parent: SpanContext) -> ReadableSpan:
        told = attributes.of_attempt(exchange, attempt)
        operation, model = told[attributes.OPERATION], told.get(attributes.REQUEST_MODEL)
        return self._span(
            f"{operation} {model}" if model else str(operation),
            SpanKind.CLIENT,
            told,
            parent.trace_id,
            parent,
            _wall_ns(exchange, attempt.started_ns),
            _wall_ns(exchange, attempt.ended_ns or exchange.ended_ns or attempt.started_ns),
        )

    def _span(
        self,
        name: str,
        kind: SpanKind,
        told: Mapping[str, attributes.Value],
        trace_id: int,
        parent: SpanContext | None,
        start_ns: int,
        end_ns: int,
    ) -> ReadableSpan:
        return ReadableSpan(
            name,
            SpanContext(trace_id, self._ids.generate_span_id(), False, TraceFlags(TraceFlags.SAMPLED)),
            parent,
            resource=self._resource,
            attributes=told,
            kind=kind,
            status=_FAILED if attributes.ERROR_TYPE in told else Status(),
            start_time=start_ns,
            end_time=end_ns,
            instrumentation_scope=self._scope,
        )


def span_count(exchange: Exchange) -> int:
    """How many spans an exchange gives, if its trace is sampled."""
    return 1 + len(exchange.attempts)


def _wall_ns(exchange: Exchange, monotonic_ns: int) -> int:
    """Nanoseconds since 1970 UTC."""
    return exchange.received_unix_us * 1_000 + monotonic_ns - exchange.received_ns


def _remote(parent: ParentSpan | None) -> SpanContext | None:
    """The caller's span, with its decision about sampling, as the SDK takes it."""
    if parent is None:
        return None
    flags = TraceFlags(TraceFlags.SAMPLED if parent.is_sampled else TraceFlags.DEFAULT)
    return SpanContext(int(parent.trace_id, 16), int(parent.span_id, 16), is_remote=True, trace_flags=flags)
