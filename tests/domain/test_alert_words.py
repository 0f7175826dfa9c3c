from dataclasses import replace

import pytest

from proxy.domain.alert_words import calls_text, duration_text, message, number_text, sentence, subject, trial
from proxy.domain.alerts import Because, Metric, Rule
from tests.domain.test_alert_records import FIRED, RESOLVED


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        (Metric.ERROR_RATE, 0.12345, "12.3 %"),
        (Metric.ERROR_RATE, 1.0, "100 %"),
        (Metric.COST, 1234.5, "$1,234.50"),
        (Metric.COST, 0.000123, "$0.000123"),
        (Metric.COST, 0.0, "$0.00"),
        (Metric.LATENCY, 8123.4, "8,123 ms"),
        (Metric.DROPPED, 3.0, "3"),
    ],
)
def test_a_number_is_said_in_its_unit(metric: Metric, value: float, text: str) -> None:
    assert number_text(metric, value) == text


def test_durations_and_counts() -> None:
    assert [duration_text(it) for it in (90, 600, 9000, 86_400)] == ["90 s", "10 min", "2.5 h", "24 h"]
    assert [calls_text(it) for it in (1, 1200)] == ["1 call", "1,200 calls"]


def test_what_is_watched() -> None:
    assert subject(FIRED) == "p95 of latency over 10 min, environment production"
    assert subject(Rule(name="lost", metric=Metric.DROPPED, above=0)) == "dropped events over 10 min"


def test_an_alert_is_one_line() -> None:
    about = "slow: p95 of latency over 10 min, environment production"
    assert sentence(FIRED) == f"Alert: {about} is 9,000 ms, above 8,000 ms, usually 2,000 ms, of 40 calls."
    assert sentence(RESOLVED) == f"Resolved after 60 s: {about}, there are too few calls now to say more."
    well = replace(RESOLVED, value=100.0, because=Because.WELL)
    assert sentence(well) == f"Resolved after 60 s: {about} is 100 ms."
    gone = replace(RESOLVED, because=Because.RULE_GONE)
    assert sentence(gone) == f"Resolved after 60 s: {about}, alerts.yaml has no such rule any more."


def test_a_message_has_a_text_and_its_parts() -> None:
    told = message(FIRED, "http://h/ui")
    assert told == {
        "text": sentence(FIRED) + " http://h/ui",
        "state": "fired",
        "alert": "slow",
        "alert_id": "alert/slow/1",
        "metric": "latency_ms",
        "value": 9000.0,
        "limit": 8000.0,
        "usual": 2000.0,
        "calls": 40,
        "window_s": 600,
        "where": {"environment": "production"},
        "at": "2026-05-28T20:26:40+00:00",
        "fired_at": "2026-05-28T20:26:40+00:00",
        "because": None,
        "link": "http://h/ui",
    }
    assert message(RESOLVED, None)["text"] == sentence(RESOLVED)
    assert message(RESOLVED, None)["because"] == "too_few_calls"


def test_a_trial_says_that_nothing_is_wrong() -> None:
    assert str(trial(None)["text"]).endswith("nothing is wrong.")
    assert str(trial("http://h")["text"]).endswith(" http://h")
