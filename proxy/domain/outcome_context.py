"""What is known of the call that an outcome is about, and of the trace around it.

It comes from the records that the journal keeps of calls, or from a token that the call's reply carried
(`context_token`), or from both. What is said of the trace are sums over all of its calls; where one of them is not
known to the full, its part is missing, and a number of which nothing is known is absent.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from proxy.domain import event_properties
from proxy.domain.context_token import Claims
from proxy.domain.event_properties import FLAG_PROPERTY
from proxy.domain.pricing import CostStatus

_ABOUT_MODEL = ("provider", "model", "requested_model", "target", "endpoint", "attempt")
_INHERITED = {
    row.name
    for row in event_properties.TABLE
    if row.group in ("identity", "prompt") or row.name in (*_ABOUT_MODEL, "$process_person_profile")
} - {FLAG_PROPERTY, "proxy_version"}


Record = Mapping[str, Any]
"""Of a call, as `events.recorded` reads it; while the call runs, of the facts it began with."""
Sees = Callable[[Record], bool]
"""Whether whoever asks may know of a call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The call that was meant, and its whole trace with it, as far as whoever asks may know of them."""

    meant: Record | None = None
    trace: tuple[Record, ...] = ()
    is_running: bool = False
    """One of them has not ended, or its end is not on disk yet."""
    is_whole: bool = True
    """False where the trace has more calls than are read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallContext:
    """The call that an outcome is about: what its events say of it."""

    exchange_id: str
    trace_id: str
    distinct_id: str
    key_alias: str | None = None
    properties: Mapping[str, object]
    own: Mapping[str, Any] = field(default_factory=dict)
    cost_usd: float | None = None
    """Of the call alone, where a token told it."""


def seen_by(alias: str | None) -> Sees:
    """Who has a proxy key sees its calls and those that nobody's key paid for; the operator (None) sees all."""
    return lambda record: alias is None or record["properties"].get("key_alias") in (None, alias)


def of_record(record: Record) -> CallContext:
    """From what `events.recorded` read."""
    said = record["properties"]
    return CallContext(
        exchange_id=record["exchange_id"],
        trace_id=record["trace_id"],
        distinct_id=record["distinct_id"],
        key_alias=said.get("key_alias"),
        properties=_inherited(said),
        own=record.get("own", {}),
    )


def of_claims(claims: Claims) -> CallContext | None:
    """From a token that was verified; None where it does not even say which call of whom it was."""
    exchange_id, trace_id, distinct_id = (claims.get(name) for name in ("exchange_id", "trace_id", "distinct_id"))
    if not isinstance(exchange_id, str) or not isinstance(distinct_id, str):
        return None
    cost_usd, alias = claims.get("estimated_cost_usd"), claims.get("key_alias")
    return CallContext(
        exchange_id=exchange_id,
        trace_id=trace_id if isinstance(trace_id, str) else "",
        distinct_id=distinct_id,
        key_alias=alias if isinstance(alias, str) else None,
        properties=_inherited(claims),
        cost_usd=float(cost_usd) if isinstance(cost_usd, str) else None,
    )


def sums(calls: Sequence[Record]) -> dict[str, object]:
    """Over the calls of one trace, each as `events.recorded` read it; those that still run have no numbers yet."""
    said = [call["properties"] for call in calls]
    statuses = {properties.get("cost_status", CostStatus.UNKNOWN) for properties in said}
    return {
        "request_count": len(said),
        "estimated_cost_usd": _sum(said, "estimated_cost_usd"),
        "cost_status": statuses.pop() if len(statuses) == 1 else CostStatus.PARTIAL,
        "latency_ms": _sum(said, "latency_ms"),
        "input_tokens": _sum(said, "input_tokens"),
        "output_tokens": _sum(said, "output_tokens"),
    }


def _sum(said: Sequence[Mapping[str, Any]], name: str) -> float | int | None:
    """Exact, as money wants it; None where none of them is known."""
    known = [properties[name] for properties in said if properties.get(name) is not None]
    if not known:
        return None
    total = sum(map(Decimal, map(str, known)), Decimal(0))
    return int(total) if all(isinstance(value, int) for value in known) else float(total)


def _inherited(said: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in said.items() if name in _INHERITED or name.startswith("$feature/")}
