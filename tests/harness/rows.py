"""Journal rows made of a number, for tests that care for their fate and not for what they tell."""

from collections.abc import Sequence
from uuid import NAMESPACE_OID, uuid5

import orjson

from proxy.domain.journal_rows import Closing, JournalEvent, Opening, Outcome

STARTED = "llm_request_started"
COMPLETED = "llm_request_completed"
FAILED = "llm_request_failed"
ENDED_UNIX_US = 2_000_000_000_000_000
"""In 2033: within the store's age for any clock that these tests run by."""


def uuid_of(exchange_id: str, name: str) -> str:
    return str(uuid5(NAMESPACE_OID, f"{exchange_id}/{name}"))


def event(exchange_id: str, name: str = COMPLETED, size_bytes: int = 0) -> JournalEvent:
    """A PostHog batch entry of about `size_bytes`, or as short as it can be."""
    uuid = uuid_of(exchange_id, name)
    properties = {"exchange_id": exchange_id, "padding": "x" * size_bytes}
    body = {
        "event": name,
        "uuid": uuid,
        "distinct_id": "u",
        "timestamp": "2026-11-23T12:00:00Z",
        "properties": properties,
    }
    return JournalEvent(uuid=uuid, name=name, body=orjson.dumps(body))


def opening(exchange_id: str) -> Opening:
    return Opening(
        exchange_id=exchange_id,
        trace_id=f"trace-{exchange_id}",
        facts=orjson.dumps({"exchange_id": exchange_id}),
        events=(event(exchange_id, STARTED),),
    )


def closing(exchange_id: str, *, ended_unix_us: int = ENDED_UNIX_US, record_bytes: int = 0) -> Closing:
    return Closing(
        exchange_id=exchange_id,
        trace_id=f"trace-{exchange_id}",
        ended_unix_us=ended_unix_us,
        events=(event(exchange_id),),
        record=orjson.dumps({"exchange_id": exchange_id, "padding": "x" * record_bytes}),
    )


def outcome(events: Sequence[JournalEvent], exchange_id: str = "x", *, at_unix_us: int = ENDED_UNIX_US) -> Outcome:
    return Outcome(
        exchange_id=exchange_id, trace_id=f"trace-{exchange_id}", at_unix_us=at_unix_us, events=tuple(events)
    )


def interrupted(facts: bytes) -> Sequence[JournalEvent]:
    """The end of a call that a crash cut off."""
    return (event(orjson.loads(facts)["exchange_id"], FAILED),)
