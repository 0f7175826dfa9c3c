import orjson

from proxy.adapters.posthog_wire import v0_body, v1_body, v1_event
from tests.harness.rows import event

BODIES = [event("one").body, event("two").body]


def test_v0_joins_the_events_as_they_are() -> None:
    body = v0_body(BODIES, 'a"key', is_historical=False)
    assert b",".join(BODIES) in body
    document = orjson.loads(body)
    assert (document["api_key"], document["historical_migration"]) == ('a"key', False)
    assert "sent_at" not in document
    assert orjson.loads(v0_body(BODIES, "k", is_historical=True))["historical_migration"] is True


def test_v1_has_no_key_in_its_body() -> None:
    document = orjson.loads(v1_body(BODIES, "2026-11-23T12:00:00+00:00", is_historical=False))
    assert set(document) == {"created_at", "historical_migration", "batch"}
    assert len(document["batch"]) == 2


def test_v1_lifts_what_v0_has_among_the_properties() -> None:
    properties = {
        "$session_id": "s",
        "$process_person_profile": False,
        "$ignore_sent_at": True,
        "$set": {"plan": "free"},
        "a": 1,
    }
    body = orjson.dumps({"event": "e", "uuid": "u", "distinct_id": "d", "timestamp": "t", "properties": properties})
    assert orjson.loads(v1_event(body)) == {
        "event": "e",
        "uuid": "u",
        "distinct_id": "d",
        "timestamp": "t",
        "session_id": "s",
        "options": {"disable_skew_correction": True, "process_person_profile": False},
        "properties": {"$set": {"plan": "free"}, "a": 1},
    }
    assert v1_event(body) == v1_event(body)
