"""Spans of a call that has ended: its own, under the caller's where it named one, and one for each attempt and step.

They are made after the fact, from the kept record. So they are built as the finished spans that exporters take. Ids
follow from those of the call, so that a span that is sent twice has the same ones, and all calls of a trace are one
trace there, too.
"""

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.sampling import Decision, Sampler
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

from proxy import __version__
from proxy.adapters.otel import attributes, kept, messages
from proxy.adapters.otel.sdk import SCOPE

_NOWHERE = Context()
"""There is no ambient span: what a call belongs to, its caller says."""
_FAILED = Status(StatusCode.ERROR)
"""Without a description: `error.type` says all that may be said."""
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_HEX = frozenset("0123456789abcdef")
SERVER, CLIENT, INTERNAL = SpanKind.SERVER, SpanKind.CLIENT, SpanKind.INTERNAL


class SpanMaker:
    """Makes spans for those traces that the sampler wants; OTEL_* variables choose resource and sampler."""

    def __init__(self, resource: Resource, sampler: Sampler, servers: kept.Servers) -> None:
        self._resource = resource
        self._sampler = sampler
        self._servers = servers
        self._scope = InstrumentationScope(SCOPE, __version__)

    def of_call(
        self, record: kept.Record, content_of: Callable[[kept.Record], attributes.Attributes] | None = None
    ) -> list[ReadableSpan]:
        """The call's span, then those of its attempts; none where the sampler wants none.

        What `content_of` tells of the call stands on the last attempt, whose reply it was. Raises ValueError, KeyError,
        TypeError or AttributeError for what is no record.
        """
        name = record["properties"]["endpoint"]
        parent = _parent(record)
        trace_id = parent.trace_id if parent is not None else trace_id_of(record["trace_id"])
        if not self._is_wanted(name, SERVER, trace_id, parent):
            return []
        received_us = record["received_unix_us"]
        ended_us = record.get("ended_unix_us", received_us)
        own = _context(trace_id, record["exchange_id"])
        told = kept.of_call(record)
        made = [self._span(name, SERVER, told, own, parent, received_us, ended_us)]
        for ordinal, attempt in enumerate(record.get("attempts", ())):
            told = kept.of_attempt(record, attempt, self._servers)
            if content_of is not None and attempt is record["attempts"][-1]:
                told |= content_of(record)
            model = told.get(attributes.REQUEST_MODEL)
            operation = told[attributes.OPERATION]
            made.append(
                self._span(
                    f"{operation} {model}" if model else str(operation),
                    CLIENT,
                    told,
                    _context(trace_id, f"{record['exchange_id']}/{ordinal}"),
                    own,
                    received_us + attempt["started_us"],
                    received_us + attempt["ended_us"] if "ended_us" in attempt else ended_us,
                )
            )
        return made

    def of_step(self, uuid: str, told: Mapping[str, Any], at_us: int, asked: kept.Record | None) -> list[ReadableSpan]:
        """The span of a step, below the call that `asked` for it where that is known; it ended at `at_us`.

        Raises as `of_call` does.
        """
        told_of = kept.of_step(told)
        tool = told_of.get(kept.TOOL)
        name = f"execute_tool {tool}" if tool else str(told.get("agent_step_name", "step"))
        around = _parent(asked) if asked is not None else None
        trace_id = around.trace_id if around is not None else trace_id_of(told["trace_id"])
        if not self._is_wanted(name, INTERNAL, trace_id, around):
            return []
        parent = _context(trace_id, asked["exchange_id"]) if asked is not None else None
        began_us = at_us - int(told.get("duration_ms", 0) * 1_000)
        return [self._span(name, INTERNAL, told_of, _context(trace_id, uuid), parent, began_us, at_us)]

    def _is_wanted(self, name: str, kind: SpanKind, trace_id: int, parent: SpanContext | None) -> bool:
        around = set_span_in_context(NonRecordingSpan(parent), _NOWHERE) if parent is not None else _NOWHERE
        found = self._sampler.should_sample(around, trace_id, name, kind)
        return found.decision is Decision.RECORD_AND_SAMPLE

    def _span(
        self,
        name: str,
        kind: SpanKind,
        told: Mapping[str, attributes.Value],
        own: SpanContext,
        parent: SpanContext | None,
        start_us: int,
        end_us: int,
    ) -> ReadableSpan:
        return ReadableSpan(
            name,
            own,
            parent,
            resource=self._resource,
            attributes=told,
            kind=kind,
            status=_FAILED if attributes.ERROR_TYPE in told else Status(),
            start_time=start_us * 1_000,
            end_time=end_us * 1_000,
            instrumentation_scope=self._scope,
        )


def content_chars(span: ReadableSpan) -> int:
    """The length of what it tells of what was said."""
    return sum(len(str(value)) for name, value in (span.attributes or {}).items() if name in messages.NAMES)


def without_content(spans: Sequence[ReadableSpan]) -> list[ReadableSpan] | None:
    """The same ones, of which none tells what was said; None where none does."""
    if not any(map(content_chars, spans)):
        return None
    return [
        ReadableSpan(
            span.name,
            span.context,
            span.parent,
            resource=span.resource,
            attributes={name: value for name, value in (span.attributes or {}).items() if name not in messages.NAMES},
            kind=span.kind,
            status=span.status,
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )
        for span in spans
    ]


def trace_id_of(trace_id: str) -> int:
    """That of OpenTelemetry's own form as it is, since it came with a `traceparent`; any other one by its digest."""
    if len(trace_id) == 32 and _HEX.issuperset(trace_id) and (number := int(trace_id, 16)):
        return number
    return int.from_bytes(sha256(b"trace " + trace_id.encode()).digest()[:16])


def _context(trace_id: int, seed: str) -> SpanContext:
    """Of the span that the seed names: the same one each time."""
    span_id = int.from_bytes(sha256(b"span " + seed.encode()).digest()[:8])
    return SpanContext(trace_id, span_id, is_remote=False, trace_flags=_SAMPLED)


def _parent(record: kept.Record) -> SpanContext | None:
    """The caller's span, with its decision about sampling, as the SDK takes it."""
    if (told := record.get("parent_span")) is None:
        return None
    _, trace_id, span_id, flags = told.split("-")
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))
