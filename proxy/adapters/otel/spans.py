"""Spans of a settled exchange: one for the call, under the caller's own where it named one, and one for each attempt.

They are made after the fact, from the exchange's times: wall clock of its receipt, and monotonic from there.
"""

from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    set_span_in_context,
)

from proxy.adapters.otel import attributes
from proxy.domain.exchange import Attempt, Exchange
from proxy.domain.identity import ParentSpan

_NOWHERE = Context()


def span_count(exchange: Exchange) -> int:
    """How many spans an exchange gives, if its trace is sampled."""
    return 1 + len(exchange.attempts)


def make_spans(exchange: Exchange, tracer: Tracer) -> bool:
    """Hand the spans of an exchange that had a caller to the tracer; False where the sampler wants none of them."""
    assert exchange.caller is not None
    assert exchange.ended_ns is not None
    call_span = tracer.start_span(
        exchange.endpoint.name,
        _context_of(exchange.caller.parent_span),
        kind=SpanKind.SERVER,
        start_time=_wall_ns(exchange, exchange.received_ns),
    )
    if not call_span.is_recording():
        return False
    call_span.set_attributes(attributes.of_call(exchange))
    if exchange.fate is not None:
        _mark(call_span, attributes.failure(exchange.fate.error_type))
    context = set_span_in_context(call_span, _NOWHERE)
    for attempt in exchange.attempts:
        _make_attempt_span(exchange, attempt, tracer, context)
    call_span.end(_wall_ns(exchange, exchange.ended_ns))
    return True


def _make_attempt_span(exchange: Exchange, attempt: Attempt, tracer: Tracer, context: Context) -> None:
    told = attributes.of_attempt(exchange, attempt)
    model = told.get(attributes.REQUEST_MODEL)
    span = tracer.start_span(
        f"{told[attributes.OPERATION]} {model}" if model else str(told[attributes.OPERATION]),
        context,
        kind=SpanKind.CLIENT,
        attributes=told,
        start_time=_wall_ns(exchange, attempt.started_ns),
    )
    _mark(span, told.get(attributes.ERROR_TYPE))
    span.end(_wall_ns(exchange, attempt.ended_ns or exchange.ended_ns or attempt.started_ns))


def _mark(span: Span, failure: object) -> None:
    """An error's status has no description: `error.type` says all that may be said."""
    if failure is not None:
        span.set_status(Status(StatusCode.ERROR))


def _wall_ns(exchange: Exchange, monotonic_ns: int) -> int:
    """Nanoseconds since 1970 UTC."""
    return exchange.received_unix_us * 1_000 + monotonic_ns - exchange.received_ns


def _context_of(parent: ParentSpan | None) -> Context:
    """What a remote parent, and its decision about sampling, look like to the SDK; never an ambient context."""
    if parent is None:
        return _NOWHERE
    context = SpanContext(
        trace_id=int(parent.trace_id, 16),
        span_id=int(parent.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED if parent.is_sampled else TraceFlags.DEFAULT),
    )
    return set_span_in_context(NonRecordingSpan(context), _NOWHERE)
