import logging

import pytest

from proxy.adapters.collector_watch import REMINDER_S, CollectorWatch

TOLD_OF = "the collector does not take telemetry; see OTEL_EXPORTER_OTLP_ENDPOINT"


@pytest.mark.parametrize("flaps", [False, True])
def test_a_collector_that_stays_away_or_flaps_is_told_of_seldom(flaps: bool, caplog: pytest.LogCaptureFixture) -> None:
    now_s = 0.0
    watch = CollectorWatch("traces", lambda: now_s)
    for _ in range(5):
        watch.note(is_good=False, lost=1)
        if flaps:
            watch.note(is_good=True, lost=1)
        now_s += REMINDER_S / 2
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [TOLD_OF] * 3


def test_its_return_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "proxy")
    watch = CollectorWatch("traces")
    for is_good in (True, False, False, True, True):
        watch.note(is_good=is_good, lost=3)
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", TOLD_OF),
        ("INFO", "the collector takes telemetry again"),
    ]
    assert {(vars(record)["signal"], vars(record)["lost"]) for record in caplog.records} == {("traces", 3)}
