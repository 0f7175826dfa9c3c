"""The bodies that PostHog's capture takes: v0 (`/batch/`), and v1 with its envelope around each event. Pure.

Neither says when it was sent: PostHog would move timestamps by the difference of the clocks, and an event that is
sent twice would become two.
"""

from collections.abc import Sequence
from typing import Any

import orjson

_OPTIONS = {
    "$process_person_profile": "process_person_profile",
    "$cookieless_mode": "cookieless_mode",
    "$product_tour_id": "product_tour_id",
}
_ENVELOPE = {"$session_id": "session_id", "$window_id": "window_id"}


def v0_body(events: Sequence[bytes], api_key: str, *, is_historical: bool) -> bytes:
    """The events as they are in the journal, joined."""
    head = b'{"api_key":%b,"historical_migration":%b,"batch":['
    return head % (orjson.dumps(api_key), b"true" if is_historical else b"false") + b",".join(events) + b"]}"


def v1_body(events: Sequence[bytes], created_at: str, *, is_historical: bool) -> bytes:
    """Each event in its v1 form. The same event always gives the same bytes."""
    head = b'{"created_at":%b,"historical_migration":%b,"batch":['
    stamp = orjson.dumps(created_at)
    return head % (stamp, b"true" if is_historical else b"false") + b",".join(map(v1_event, events)) + b"]}"


def v1_event(body: bytes) -> bytes:
    """What v0 takes among the properties, v1 wants in `options` and beside the event's name."""
    event: dict[str, Any] = orjson.loads(body)
    properties: dict[str, Any] = dict(event.get("properties", {}))
    options: dict[str, Any] = {"disable_skew_correction": True}
    properties.pop("$ignore_sent_at", None)
    for name, option in _OPTIONS.items():
        if name in properties:
            options[option] = properties.pop(name)
    lifted = {field: properties.pop(name) for name, field in _ENVELOPE.items() if name in properties}
    rest = {name: value for name, value in event.items() if name != "properties"}
    return orjson.dumps({**rest, **lifted, "options": options, "properties": properties})
