from dataclasses import replace

import orjson
import pytest

from proxy.domain.alert_records import from_json, outcome_of, to_json
from proxy.domain.alerts import AlertBook, AlertChange, Because, Delivery, Drops, Firing, Metric, State

FIRED = AlertChange(
    alert_id="alert/slow/1",
    state=State.FIRED,
    rule="slow",
    metric=Metric.LATENCY,
    quantile=0.95,
    window_s=600.0,
    where={"environment": "production"},
    value=9000.0,
    limit=8000.0,
    usual=2000.0,
    calls=40,
    at_unix_us=1_780_000_000_000_000,
    fired_at_unix_us=1_780_000_000_000_000,
    delivery=Delivery.PENDING,
)
RESOLVED = replace(
    FIRED, state=State.RESOLVED, value=None, usual=None, calls=3, at_unix_us=1_780_000_060_000_000,
    because=Because.TOO_FEW_CALLS,
)  # fmt: skip
BOOK = AlertBook(
    looked_at_unix_us=5,
    firing={"slow": Firing(fired=FIRED, unknown_since_unix_us=4)},
    changes=(FIRED, RESOLVED),
    drops=Drops(totals={"journal-0.db": 3}, lost=((1, 2),)),
)


@pytest.mark.parametrize("book", [AlertBook(), BOOK])
def test_a_book_is_kept_as_it_is(book: AlertBook) -> None:
    assert from_json(to_json(book)) == book


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{}", b'{"version":2}', to_json(BOOK).replace(b'"latency_ms"', b'"mood"'), b'{"version":1}']
)
def test_anything_else_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_json(text)


def test_the_events_of_an_alert_tell_it_whole_and_are_always_the_same() -> None:
    fired, resolved = outcome_of(FIRED), outcome_of(RESOLVED)
    assert fired == outcome_of(replace(FIRED, delivery=Delivery.DONE))
    assert fired.events[0].uuid != resolved.events[0].uuid
    body = orjson.loads(fired.events[0].body)
    assert (body["event"], body["distinct_id"]) == ("llm_alert_fired", "promptlane")
    assert body["properties"] == {
        "alert_id": "alert/slow/1",
        "alert_name": "slow",
        "alert_metric": "latency_ms",
        "alert_value": 9000.0,
        "alert_limit": 8000.0,
        "alert_usual": 2000.0,
        "alert_quantile": 0.95,
        "alert_window_s": 600,
        "alert_calls": 40,
        "alert_where": {"environment": "production"},
        "environment": "production",
        "$process_person_profile": False,
        "$lib": "promptlane",
    }
    said = orjson.loads(resolved.events[0].body)
    assert said["event"] == "llm_alert_resolved"
    assert said["properties"]["alert_lasted_s"] == 60
    assert said["properties"]["alert_resolved_because"] == "too_few_calls"
    assert "alert_value" not in said["properties"]


def test_what_a_metric_does_not_have_is_not_told() -> None:
    lost = replace(FIRED, metric=Metric.DROPPED, where={}, usual=None, calls=0)
    told = orjson.loads(outcome_of(lost).events[0].body)["properties"]
    assert not {"alert_quantile", "alert_calls", "alert_where", "alert_usual", "environment"} & set(told)
