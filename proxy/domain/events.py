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

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha1
from typing import Any, NamedTuple
from urllib.parse import quote
from uuid import UUID

import orjson

from proxy.domain import ai_properties, call_properties
from proxy.domain.errors import ErrorType, Status
from proxy.domain.event_properties import (
    AI_EMBEDDING,
    AI_GENERATION,
    ALLOWED,
    ATTEMPT_FAILED,
    COMPLETED,
    EVERY,
    FAILED,
    STARTED,
    TABLE,
)
from proxy.domain.exchange import Attempt, CallMembers, Exchange
from proxy.domain.identity import Caller
from proxy.domain.ids import request_id_of
from proxy.domain.journal_rows import Closing, JournalEvent, Opening
from proxy.domain.outcome_properties import RESERVED_NAMES
from proxy.domain.property_rows import AllowList, boolean, integer, text
from proxy.domain.routing import Target
from proxy.domain.sampling import is_sampled

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAMESPACE = UUID("5d1a3c66-2f0e-5b7e-9d0c-7f1f2f6f0b11")
"""Fixed for ever: another one would give every resent event a second row."""
_HASHED_NAMESPACE = sha1(_NAMESPACE.bytes, usedforsecurity=False)
"""Only ever copied, which takes half as long as to set up a new one."""
_VARIANTS = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))
"""By a digit of the hash, the one that stands for it in a uuid: its two highest bits say which kind of uuid it is."""
_FACTS_VERSION = 1
_EVERY = ALLOWED[EVERY]
_KEPT_OF_ATTEMPT = AllowList(
    (
        *(row for row in TABLE if ATTEMPT_FAILED in row.events),
        text("asked_model", "Where the answer names a model too, which is `model` then.", 200),
        integer("max_tokens", "The most that the answer might have."),
        boolean("reached_provider", "Whether the provider was asked."),
    )
)
"""What the record keeps of an attempt, beside times and counts: what its event tells, and what no event does."""


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
        """The page of one trace; empty for none."""
        if not self.trace_url:
            return ""
        is_plain = trace_id.isascii() and trace_id.isalnum()
        return self.trace_url.replace("{trace_id}", trace_id if is_plain else quote(trace_id, safe=""))

    def samples(self, trace_id: str) -> bool:
        """Whole traces are kept or left, the same ones in every process."""
        return self.sample >= 1.0 or is_sampled(trace_id, self.sample)


class _Tried(NamedTuple):
    """An attempt, and who answered, or was asked: its events say so, the call's end and the record."""

    attempt: Attempt
    who: call_properties.Properties
    who_members: bytes


def event_uuid(exchange_id: str, name: str, ordinal: int = 0) -> str:
    """The uuid of an event (version 5), known to anyone who knows the call."""
    hashed = _HASHED_NAMESPACE.copy()
    hashed.update(f"{exchange_id}/{name}/{ordinal}".encode())
    digest = hashed.hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{_VARIANTS[digest[16]]}{digest[17:20]}-{digest[20:32]}"


def opening(exchange: Exchange, policy: EventPolicy, planned: Target | None = None) -> Opening:
    """The start of a call, with `llm_request_started` if the policy wants it. The caller must be known; `planned` is
    who will be asked first.
    """
    caller = _caller(exchange)
    shared = _members(exchange, policy)
    said = joined(shared.common, ALLOWED[STARTED].members_of_words(call_properties.of_start(exchange, planned)))
    is_told = policy.product and policy.started and policy.samples(caller.trace_id)
    return Opening(
        exchange_id=exchange.exchange_id,
        trace_id=caller.trace_id,
        facts=b'{%b,"product":%b,"properties":{%b}}' % (shared.head, b"true" if policy.product else b"false", said),
        events=(_event(STARTED, exchange, said, exchange.received_unix_us),) if is_told else (),
    )


def closing(exchange: Exchange, policy: EventPolicy) -> Closing:
    """The one end of a call: its event, what its attempts have to tell, and the record that is kept. Caller and fate
    must be known.
    """
    caller, fate = _caller(exchange), exchange.fate
    shared = _members(exchange, policy)
    name = COMPLETED if fate is not None and fate.is_completed else FAILED
    tried = [_tried(exchange, attempt) for attempt in exchange.attempts]
    said = joined(
        shared.common,
        tried[-1].who_members if tried else _EVERY.members_of_words(call_properties.of_attempt(exchange, None)),
        ALLOWED[name].members_of_words(call_properties.of_request(exchange)),
        ALLOWED[name].members_of_words(call_properties.words_of_end(exchange)),
        ALLOWED[name].members(call_properties.measures_of_end(exchange)),
    )
    is_sampled = policy.samples(caller.trace_id)
    ended_us = exchange.received_unix_us + call_properties.latency_ns(exchange) // 1_000
    made: list[JournalEvent] = []
    if policy.product and (is_sampled or name == FAILED):
        made.append(_event(name, exchange, said, ended_us))
    if is_sampled:
        for one in tried:
            made += _of_attempt(exchange, policy, shared.common, one)
    return Closing(
        exchange_id=exchange.exchange_id,
        trace_id=caller.trace_id,
        request_id="" if caller.request_id == request_id_of(exchange.exchange_id) else caller.request_id,
        ended_unix_us=ended_us,
        events=tuple(made),
        record=b'{%b,"ended_unix_us":%d,"event":"%b","properties":{%b},"attempts":[%b]}'
        % (shared.head, ended_us, name.encode(), said, b",".join([_attempt_record(exchange, one) for one in tried])),
    )


def _members(exchange: Exchange, policy: EventPolicy) -> CallMembers:
    """Made once, by whoever asks first."""
    if exchange.members is None:
        caller = _caller(exchange)
        ids = call_properties.ids_of_call(exchange, caller, policy.trace_url_of(caller.trace_id))
        ids["call_purpose"] = policy.purpose
        words = call_properties.words_of_call(exchange, caller)
        own = own_members(caller)
        exchange.members = CallMembers(
            head=_head(exchange, caller, own),
            own=own and own + b",",
            common=joined(_EVERY.members(ids), _EVERY.members_of_words(words)),
        )
    return exchange.members


def _tried(exchange: Exchange, attempt: Attempt) -> _Tried:
    who = call_properties.of_attempt(exchange, attempt)
    return _Tried(attempt, who, _EVERY.members_of_words(who))


def _of_attempt(exchange: Exchange, policy: EventPolicy, common: bytes, tried: _Tried) -> list[JournalEvent]:
    """What one attempt has to tell: that another one followed, and what PostHog's own event says of it."""
    attempt, made = tried.attempt, []
    ended_ns = attempt.started_ns + call_properties.attempt_ns(exchange, attempt)
    at_us = exchange.received_unix_us + (ended_ns - exchange.received_ns) // 1_000
    if policy.product and policy.attempt_failed and attempt is not exchange.final_attempt:
        failed = ALLOWED[ATTEMPT_FAILED].members(call_properties.of_failed_attempt(exchange, attempt))
        said = joined(common, tried.who_members, failed)
        made.append(_event(ATTEMPT_FAILED, exchange, said, at_us, ordinal=attempt.ordinal))
    if policy.ai and attempt.reached_provider:
        name = AI_EMBEDDING if exchange.endpoint.is_embedding else AI_GENERATION
        uuid = event_uuid(exchange.exchange_id, name, attempt.ordinal)
        said = joined(
            common,
            tried.who_members,
            ALLOWED[name].members_of_words(ai_properties.words_of_generation(exchange, attempt, tried.who)),
            ALLOWED[name].members(ai_properties.measures_of_generation(exchange, attempt, tried.who, uuid)),
        )
        made.append(_event(name, exchange, said, at_us, uuid=uuid))
    return made


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
            said=orjson.dumps({**told["own"], **ALLOWED[FAILED].kept(end)})[1:-1],
        ),
    )


def recorded(record_json: bytes) -> dict[str, Any]:
    """A record that is read. That of a call whose process died is its facts alone: who asked whom, and no more."""
    told: dict[str, Any] = orjson.loads(record_json)
    if "event" not in told:
        told["properties"] |= {"status": Status.ERROR, "error_type": ErrorType.INTERRUPTED}
    return told


def own_members(caller: Caller) -> bytes:
    """The caller's own properties, none of which may take the place of ours."""
    if not caller.properties:
        return b""
    return orjson.dumps({name: value for name, value in caller.properties.items() if name not in RESERVED_NAMES})[1:-1]


def _head(exchange: Exchange, caller: Caller, own: bytes) -> bytes:
    """Members with which facts and records begin."""
    head: dict[str, object] = {
        "v": _FACTS_VERSION,
        "exchange_id": exchange.exchange_id,
        "trace_id": caller.trace_id,
        "distinct_id": caller.distinct_id,
        "received_unix_us": exchange.received_unix_us,
    }
    if (parent := caller.parent_span) is not None:
        head["parent_span"] = parent.traceparent
    return b'%b,"own":{%b}' % (orjson.dumps(head)[1:-1], own)


def _attempt_record(exchange: Exchange, tried: _Tried) -> bytes:
    """One attempt as an object; times are microseconds from the receipt of the request."""
    attempt, reading, cost, call = tried.attempt, tried.attempt.reading, tried.attempt.cost, exchange.call
    ended = {
        **call_properties.of_failed_attempt(exchange, attempt),
        "asked_model": attempt.target.model or exchange.asked_model if reading and reading.model else None,
        "max_tokens": call.max_tokens if call else None,
        "reached_provider": attempt.reached_provider,
    }
    times_ns = (
        ("started_us", attempt.started_ns),
        ("sent_us", attempt.sent_ns),
        ("first_byte_us", attempt.first_byte_ns),
        ("first_token_us", reading.first_token_ns if reading else None),
        ("ended_us", attempt.ended_ns),
    )
    told = {
        **_KEPT_OF_ATTEMPT.kept(ended),
        **{name: (at_ns - exchange.received_ns) // 1_000 for name, at_ns in times_ns if at_ns is not None},
        "input_tokens": reading.usage.input_tokens if reading else None,
        "output_tokens": reading.usage.output_tokens if reading else None,
        "cost_usd": str(cost.total_usd) if cost and cost.total_usd is not None else None,
    }
    return b"{%b}" % joined(tried.who_members, orjson.dumps(told)[1:-1])


def _caller(exchange: Exchange) -> Caller:
    assert exchange.caller is not None
    return exchange.caller


def joined(*parts: bytes) -> bytes:
    """Members of one object out of those of several, of which some may be empty."""
    return b",".join(filter(None, parts))


def _event(
    name: str, exchange: Exchange, said: bytes, at_us: int, *, ordinal: int = 0, uuid: str | None = None
) -> JournalEvent:
    """An event of the call, with the caller's own properties."""
    caller, members = exchange.caller, exchange.members
    assert caller is not None
    assert members is not None
    uuid = uuid or event_uuid(exchange.exchange_id, name, ordinal)
    return encoded(name, uuid, distinct_id=caller.distinct_id, at_us=at_us, said=members.own + said)


def encoded(name: str, uuid: str, *, distinct_id: str, at_us: int, said: bytes) -> JournalEvent:
    """A finished event. `at_us` is microseconds since 1970 UTC, `said` the members of its properties."""
    unix_s, us = divmod(at_us, 1_000_000)
    stamp = f'"uuid":"{uuid}","timestamp":"{_second(unix_s)}.{us:06}+00:00"'.encode()
    named, who = orjson.dumps(name), orjson.dumps(distinct_id)
    parts = (b'{"event":', named, b',"distinct_id":', who, b",", stamp, b',"properties":{', said, b"}}")
    return JournalEvent(uuid, name, b"".join(parts))


@lru_cache(maxsize=64)
def _second(unix_s: int) -> str:
    """A second of UTC: many events fall into one."""
    return (_EPOCH + timedelta(seconds=unix_s)).replace(tzinfo=None).isoformat()
