"""From an exchange to the events that tell of it: two at least, one more for each attempt.

An event is finished when it is made: its uuid follows from the call, the event's name and an ordinal, its timestamp
from the call's own times, and its bytes are never built again. So it can be sent any number of times and PostHog
will see it once.

`facts` is what the journal keeps while a call runs; `interrupted` makes the end of a call whose process died of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from urllib.parse import quote
from uuid import UUID, uuid5

import orjson

from proxy.domain import ai_properties, call_properties
from proxy.domain.errors import ErrorType, Status
from proxy.domain.event_properties import (
    AI_EMBEDDING,
    AI_GENERATION,
    ATTEMPT_FAILED,
    COMPLETED,
    FAILED,
    STARTED,
    check,
)
from proxy.domain.exchange import Attempt, Exchange
from proxy.domain.identity import Caller
from proxy.domain.journal_rows import JournalEvent
from proxy.domain.routing import Target

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAMESPACE = UUID("5d1a3c66-2f0e-5b7e-9d0c-7f1f2f6f0b11")
"""Fixed for ever: another one would give every resent event a second row."""
_FACTS_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPolicy:
    """Which events are made. `sample` is the share of traces, 0 to 1; ends of failed calls are always kept."""

    product: bool = True
    ai: bool = True
    started: bool = True
    attempt_failed: bool = True
    sample: float = 1.0
    trace_url: str = ""
    """Page of a trace, with `{trace_id}` in it; empty for none."""

    def trace_url_of(self, trace_id: str) -> str:
        """The page of one trace."""
        return self.trace_url.replace("{trace_id}", quote(trace_id, safe=""))

    def samples(self, trace_id: str) -> bool:
        """Whole traces are kept or left, the same ones in every process."""
        if self.sample >= 1.0:
            return True
        digest = blake2b(trace_id.encode(), digest_size=8).digest()
        return int.from_bytes(digest) < self.sample * 2**64


def event_uuid(exchange_id: str, name: str, ordinal: int = 0) -> str:
    """The uuid of an event, known to anyone who knows the call."""
    return str(uuid5(_NAMESPACE, f"{exchange_id}/{name}/{ordinal}"))


def started(exchange: Exchange, policy: EventPolicy, planned: Target | None = None) -> tuple[JournalEvent, ...]:
    """`llm_request_started`, if the policy wants it. The caller must be known; `planned` is who will be asked first."""
    caller = _caller(exchange)
    if not (policy.product and policy.started and policy.samples(caller.trace_id)):
        return ()
    properties = {**_of_call(exchange, policy), **call_properties.of_plan(exchange, planned)}
    return (_event(STARTED, exchange, properties, at_us=exchange.received_unix_us),)


def ended(exchange: Exchange, policy: EventPolicy) -> tuple[JournalEvent, ...]:
    """The one end of the call, and what its attempts have to tell. Caller and fate must be known."""
    common = _of_call(exchange, policy)
    is_completed = exchange.fate is not None and exchange.fate.is_completed
    is_sampled = policy.samples(_caller(exchange).trace_id)
    made: list[JournalEvent] = []
    if policy.product and (is_sampled or not is_completed):
        end = {**common, **call_properties.of_end(exchange)}
        made.append(_event(COMPLETED if is_completed else FAILED, exchange, end, at_us=_ended_us(exchange)))
    if is_sampled:
        made.extend(_of_attempts(exchange, policy, common))
    return tuple(made)


def _of_attempts(exchange: Exchange, policy: EventPolicy, common: call_properties.Properties) -> Iterator[JournalEvent]:
    for attempt in exchange.attempts:
        at_us = _unix_us(exchange, attempt.started_ns + call_properties.attempt_ns(exchange, attempt))
        if policy.product and policy.attempt_failed and attempt is not exchange.final_attempt:
            failed = {**common, **call_properties.of_failed_attempt(exchange, attempt)}
            yield _event(ATTEMPT_FAILED, exchange, failed, at_us=at_us, ordinal=attempt.ordinal)
        if policy.ai and attempt.reached_provider:
            name = AI_EMBEDDING if exchange.endpoint.is_embedding else AI_GENERATION
            uuid = event_uuid(exchange.exchange_id, name, attempt.ordinal)
            told = {**common, **ai_properties.of_generation(exchange, attempt, _caller(exchange), uuid)}
            yield _event(name, exchange, told, at_us=at_us, ordinal=attempt.ordinal)


def facts(exchange: Exchange, policy: EventPolicy, planned: Target | None = None) -> bytes:
    """What of a running call must survive a crash: a record that `interrupted` can end. The caller must be known."""
    properties = {**_of_call(exchange, policy), **call_properties.of_plan(exchange, planned)}
    return orjson.dumps({**_head(exchange), "product": policy.product, "properties": check(STARTED, properties)})


def interrupted(facts_json: bytes) -> tuple[JournalEvent, ...]:
    """The end of a call that has none because its process died. The same facts give the same bytes.

    When it ended is not known: the event stands at the moment the call began and has no latency. Raises ValueError
    or KeyError for facts of another release.
    """
    told = orjson.loads(facts_json)
    if told["v"] != _FACTS_VERSION:
        raise ValueError("facts of an unknown version")
    if not told["product"]:
        return ()
    end = {**told["properties"], "status": Status.ERROR, "error_type": ErrorType.INTERRUPTED}
    return (
        _encoded(
            FAILED,
            event_uuid(told["exchange_id"], FAILED),
            distinct_id=told["distinct_id"],
            at_us=told["received_unix_us"],
            properties={**told["own"], **check(FAILED, end)},
        ),
    )


def record(exchange: Exchange, policy: EventPolicy) -> bytes:
    """What is kept of an ended call for traces and enrichment: a JSON object without content."""
    name = COMPLETED if exchange.fate is not None and exchange.fate.is_completed else FAILED
    end = {**_of_call(exchange, policy), **call_properties.of_end(exchange)}
    return orjson.dumps(
        {
            **_head(exchange),
            "ended_unix_us": _ended_us(exchange),
            "event": name,
            "properties": check(name, end),
            "attempts": [_attempt_record(exchange, attempt) for attempt in exchange.attempts],
        }
    )


def _head(exchange: Exchange) -> dict[str, object]:
    caller = _caller(exchange)
    return {
        "v": _FACTS_VERSION,
        "exchange_id": exchange.exchange_id,
        "trace_id": caller.trace_id,
        "distinct_id": caller.distinct_id,
        "received_unix_us": exchange.received_unix_us,
        "own": dict(caller.properties),
    }


def _attempt_record(exchange: Exchange, attempt: Attempt) -> dict[str, object]:
    """One attempt; times are microseconds from the receipt of the request."""
    reading, cost = attempt.reading, attempt.cost
    times_ns = {
        "started_us": attempt.started_ns,
        "sent_us": attempt.sent_ns,
        "first_byte_us": attempt.first_byte_ns,
        "first_token_us": reading.first_token_ns if reading else None,
        "ended_us": attempt.ended_ns,
    }
    return {
        **check(ATTEMPT_FAILED, call_properties.of_failed_attempt(exchange, attempt)),
        **{name: (at_ns - exchange.received_ns) // 1_000 for name, at_ns in times_ns.items() if at_ns is not None},
        "reached_provider": attempt.reached_provider,
        "input_tokens": reading.usage.input_tokens if reading else None,
        "output_tokens": reading.usage.output_tokens if reading else None,
        "cost_usd": str(cost.total_usd) if cost and cost.total_usd is not None else None,
    }


def _caller(exchange: Exchange) -> Caller:
    assert exchange.caller is not None
    return exchange.caller


def _of_call(exchange: Exchange, policy: EventPolicy) -> call_properties.Properties:
    caller = _caller(exchange)
    return call_properties.of_call(exchange, caller, policy.trace_url_of(caller.trace_id))


def _unix_us(exchange: Exchange, at_ns: int) -> int:
    return exchange.received_unix_us + (at_ns - exchange.received_ns) // 1_000


def _ended_us(exchange: Exchange) -> int:
    return exchange.received_unix_us + call_properties.latency_ns(exchange) // 1_000


def _event(
    name: str, exchange: Exchange, properties: call_properties.Properties, *, at_us: int, ordinal: int = 0
) -> JournalEvent:
    caller = _caller(exchange)
    return _encoded(
        name,
        event_uuid(exchange.exchange_id, name, ordinal),
        distinct_id=caller.distinct_id,
        at_us=at_us,
        properties={**caller.properties, **check(name, properties)},
    )


def _encoded(name: str, uuid: str, *, distinct_id: str, at_us: int, properties: dict[str, object]) -> JournalEvent:
    timestamp = (_EPOCH + timedelta(microseconds=at_us)).isoformat(timespec="microseconds")
    entry = {
        "event": name,
        "distinct_id": distinct_id,
        "uuid": uuid,
        "timestamp": timestamp,
        "properties": properties,
    }
    return JournalEvent(uuid=uuid, name=name, body=orjson.dumps(entry))
