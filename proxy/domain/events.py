"""From an exchange to the rows that tell of it: its opening, and its closing with two events or more.

An event is finished when it is made: its uuid follows from the call, the event's name and an ordinal, its timestamp
from the call's own times, and its bytes are never built again. So it can be sent any number of times and PostHog
will see it once.

Most of what an event says is said on all events of the call. That part is checked and encoded once, as members of a
JSON object, and what is said of the end is shared by the event and the record that is kept; the rest is put together
from bytes.

An opening's `facts` are what the journal keeps while a call runs; `interrupted` makes the end of a call whose process
died of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from typing import Any
from urllib.parse import quote
from uuid import UUID

import orjson

from proxy.domain import ai_properties, call_properties
from proxy.domain.errors import ErrorType, Status
from proxy.domain.event_properties import (
    AI_EMBEDDING,
    AI_GENERATION,
    ATTEMPT_FAILED,
    COMPLETED,
    EVERY,
    FAILED,
    STARTED,
    check,
    members,
)
from proxy.domain.exchange import Attempt, Exchange
from proxy.domain.identity import Caller
from proxy.domain.ids import request_id_of
from proxy.domain.journal_rows import Closing, JournalEvent, Opening
from proxy.domain.outcome_properties import RESERVED_NAMES
from proxy.domain.routing import Target
from proxy.domain.sampling import is_sampled

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAMESPACE = UUID("5d1a3c66-2f0e-5b7e-9d0c-7f1f2f6f0b11")
"""Fixed for ever: another one would give every resent event a second row."""
_FACTS_VERSION = 1
_ASKED = {"model": "asked_model", "$ai_max_tokens": "max_tokens"}


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPolicy:
    """Which events are made. `sample` is the share of traces, 0 to 1; ends of failed calls are always kept."""

    product: bool = True
    ai: bool = True
    started: bool = True
    attempt_failed: bool = True
    sample: float = 1.0
    purpose: str | None = None
    """What the proxy makes calls of its own for; None for all others."""
    trace_url: str = ""
    """Page of a trace, with `{trace_id}` in it; empty for none."""

    def trace_url_of(self, trace_id: str) -> str:
        """The page of one trace."""
        return self.trace_url.replace("{trace_id}", quote(trace_id, safe=""))

    def samples(self, trace_id: str) -> bool:
        """Whole traces are kept or left, the same ones in every process."""
        return is_sampled(trace_id, self.sample)


def event_uuid(exchange_id: str, name: str, ordinal: int = 0) -> str:
    """The uuid of an event (version 5), known to anyone who knows the call."""
    seed = f"{exchange_id}/{name}/{ordinal}".encode()
    digest = sha1(_NAMESPACE.bytes + seed, usedforsecurity=False).hexdigest()
    variant = "89ab"[int(digest[16], 16) & 3]
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"


def opening(exchange: Exchange, policy: EventPolicy, planned: Target | None = None) -> Opening:
    """The start of a call, with `llm_request_started` if the policy wants it. The caller must be known; `planned` is
    who will be asked first.
    """
    caller = _caller(exchange)
    exchange.common_members = _common(exchange, policy)
    said = joined(exchange.common_members, members(STARTED, call_properties.of_start(exchange, planned)))
    is_told = policy.product and policy.started and policy.samples(caller.trace_id)
    return Opening(
        exchange_id=exchange.exchange_id,
        trace_id=caller.trace_id,
        facts=b'{%b,"product":%b,"properties":{%b}}' % (_head(exchange), orjson.dumps(policy.product), said),
        events=(_event(STARTED, exchange, said, at_us=exchange.received_unix_us),) if is_told else (),
    )


def closing(exchange: Exchange, policy: EventPolicy) -> Closing:
    """The one end of a call: its event, what its attempts have to tell, and the record that is kept. Caller and fate
    must be known.
    """
    caller, fate = _caller(exchange), exchange.fate
    common = exchange.common_members if exchange.common_members is not None else _common(exchange, policy)
    name = COMPLETED if fate is not None and fate.is_completed else FAILED
    said = joined(common, members(name, call_properties.of_end(exchange)))
    is_sampled = policy.samples(caller.trace_id)
    ended_us = exchange.received_unix_us + call_properties.latency_ns(exchange) // 1_000
    made: list[JournalEvent] = []
    if policy.product and (is_sampled or name == FAILED):
        made.append(_event(name, exchange, said, at_us=ended_us))
    if is_sampled:
        made.extend(_of_attempts(exchange, policy, common))
    return Closing(
        exchange_id=exchange.exchange_id,
        trace_id=caller.trace_id,
        request_id="" if caller.request_id == request_id_of(exchange.exchange_id) else caller.request_id,
        ended_unix_us=ended_us,
        events=tuple(made),
        record=_record(exchange, name, said, ended_us),
    )


def _of_attempts(exchange: Exchange, policy: EventPolicy, common: bytes) -> Iterator[JournalEvent]:
    for attempt in exchange.attempts:
        at_us = _unix_us(exchange, attempt.started_ns + call_properties.attempt_ns(exchange, attempt))
        if policy.product and policy.attempt_failed and attempt is not exchange.final_attempt:
            failed = members(ATTEMPT_FAILED, call_properties.of_failed_attempt(exchange, attempt))
            yield _event(ATTEMPT_FAILED, exchange, joined(common, failed), at_us=at_us, ordinal=attempt.ordinal)
        if policy.ai and attempt.reached_provider:
            name = AI_EMBEDDING if exchange.endpoint.is_embedding else AI_GENERATION
            uuid = event_uuid(exchange.exchange_id, name, attempt.ordinal)
            told = members(name, ai_properties.of_generation(exchange, attempt, _caller(exchange), uuid))
            yield _event(name, exchange, joined(common, told), at_us=at_us, ordinal=attempt.ordinal)


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
        encoded(
            FAILED,
            event_uuid(told["exchange_id"], FAILED),
            distinct_id=told["distinct_id"],
            at_us=told["received_unix_us"],
            said=orjson.dumps({**told["own"], **check(FAILED, end)})[1:-1],
        ),
    )


def recorded(record_json: bytes) -> dict[str, Any]:
    """A record that is read. That of a call whose process died is its facts alone: who asked whom, and no more."""
    told: dict[str, Any] = orjson.loads(record_json)
    if "event" not in told:
        told["properties"] |= {"status": Status.ERROR, "error_type": ErrorType.INTERRUPTED}
    return told


def _common(exchange: Exchange, policy: EventPolicy) -> bytes:
    caller = _caller(exchange)
    said = call_properties.of_call(exchange, caller, policy.trace_url_of(caller.trace_id))
    return members(EVERY, {**said, "call_purpose": policy.purpose})


def own_members(caller: Caller) -> bytes:
    """The caller's own properties, none of which may take the place of ours."""
    return orjson.dumps({name: value for name, value in caller.properties.items() if name not in RESERVED_NAMES})[1:-1]


def _head(exchange: Exchange) -> bytes:
    """Members with which facts and records begin."""
    caller = _caller(exchange)
    head: dict[str, object] = {
        "v": _FACTS_VERSION,
        "exchange_id": exchange.exchange_id,
        "trace_id": caller.trace_id,
        "distinct_id": caller.distinct_id,
        "received_unix_us": exchange.received_unix_us,
    }
    if (parent := caller.parent_span) is not None:
        head["parent_span"] = parent.traceparent
    return b'%b,"own":{%b}' % (orjson.dumps(head)[1:-1], own_members(caller))


def _record(exchange: Exchange, name: str, said: bytes, ended_us: int) -> bytes:
    """What is kept of an ended call for traces and enrichment: a JSON object without content."""
    attempts = orjson.dumps([_attempt_record(exchange, attempt) for attempt in exchange.attempts])
    return b'{%b,"ended_unix_us":%d,"event":"%b","properties":{%b},"attempts":%b}' % (
        _head(exchange),
        ended_us,
        name.encode(),
        said,
        attempts,
    )


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
        **_asked(exchange, attempt),
        **{name: (at_ns - exchange.received_ns) // 1_000 for name, at_ns in times_ns.items() if at_ns is not None},
        "reached_provider": attempt.reached_provider,
        "input_tokens": reading.usage.input_tokens if reading else None,
        "output_tokens": reading.usage.output_tokens if reading else None,
        "cost_usd": str(cost.total_usd) if cost and cost.total_usd is not None else None,
    }


def _asked(exchange: Exchange, attempt: Attempt) -> dict[str, object]:
    """What no event tells: the model that was asked, where the answer names one too, which is `model` then; and the
    most tokens that it might give.
    """
    reading, call = attempt.reading, exchange.call
    asked = attempt.target.model or exchange.asked_model if reading is not None and reading.model else None
    most = call.max_tokens if call is not None else None
    told = check(AI_GENERATION, {"model": asked, "$ai_max_tokens": most})
    return {_ASKED[name]: value for name, value in told.items()}


def _caller(exchange: Exchange) -> Caller:
    assert exchange.caller is not None
    return exchange.caller


def _unix_us(exchange: Exchange, at_ns: int) -> int:
    return exchange.received_unix_us + (at_ns - exchange.received_ns) // 1_000


def joined(*parts: bytes) -> bytes:
    """Members of one object out of those of several, of which some may be empty."""
    return b",".join(filter(None, parts))


def _event(name: str, exchange: Exchange, said: bytes, *, at_us: int, ordinal: int = 0) -> JournalEvent:
    caller = _caller(exchange)
    return encoded(
        name,
        event_uuid(exchange.exchange_id, name, ordinal),
        distinct_id=caller.distinct_id,
        at_us=at_us,
        said=joined(own_members(caller), said),
    )


def encoded(name: str, uuid: str, *, distinct_id: str, at_us: int, said: bytes) -> JournalEvent:
    """A finished event. `at_us` is microseconds since 1970 UTC, `said` the members of its properties."""
    timestamp = (_EPOCH + timedelta(microseconds=at_us)).isoformat(timespec="microseconds")
    body = b'{"event":%b,"distinct_id":%b,"uuid":"%b","timestamp":"%b","properties":{%b}}' % (
        orjson.dumps(name),
        orjson.dumps(distinct_id),
        uuid.encode(),
        timestamp.encode(),
        said,
    )
    return JournalEvent(uuid=uuid, name=name, body=body)
