from dataclasses import replace

import pytest

from proxy.adapters import otel
from proxy.adapters.telemetry import TelemetrySwitch
from proxy.domain.exchange import Exchange
from proxy.domain.policy import AnalyticsPolicy, Telemetry, Volume
from tests.harness.exchanges import finished

OFF = AnalyticsPolicy()
ON = AnalyticsPolicy(telemetry=Telemetry(traces=True))
CANARY = "CANARY-5c02"


class Recorded:
    """Stands for an exporter; `lost_spans` grows at its end, as that of a real one may."""

    made: list["Recorded"]

    def __init__(self, policy: AnalyticsPolicy, *, worker: int, worker_count: int) -> None:
        self.policy = policy
        self.worker = (worker, worker_count)
        self.seen: list[Exchange] = []
        self.lost_spans = 1
        self.is_stopped = False
        Recorded.made.append(self)

    def observe(self, exchange: Exchange) -> None:
        self.seen.append(exchange)

    def stop(self) -> None:
        self.lost_spans += 1
        self.is_stopped = True


@pytest.fixture(autouse=True)
def made(monkeypatch: pytest.MonkeyPatch) -> list[Recorded]:
    Recorded.made = []
    monkeypatch.setattr(otel, "OtelExport", Recorded)
    return Recorded.made


def test_where_it_is_not_wanted_nothing_is_made(made: list[Recorded]) -> None:
    switch = TelemetrySwitch(0, 1)
    switch.take_up(OFF)
    switch.observe(finished())
    switch.stop()
    assert (made, switch.lost_spans) == ([], 0)


def test_where_it_is_wanted_each_exchange_is_told(made: list[Recorded]) -> None:
    switch, exchange = TelemetrySwitch(1, 4), finished()
    switch.take_up(ON)
    switch.observe(exchange)
    (export,) = made
    assert (export.policy, export.worker, export.seen) == (ON, (1, 4), [exchange])
    switch.stop()
    assert export.is_stopped


def test_another_policy_ends_what_ran_and_losses_add_up(made: list[Recorded]) -> None:
    switch = TelemetrySwitch(0, 1)
    switch.take_up(ON)
    switch.take_up(replace(ON, environment="staging"))
    switch.observe(finished())
    first, second = made
    assert (first.is_stopped, second.is_stopped, len(second.seen)) == (True, False, 1)
    assert switch.lost_spans == 2 + 1
    switch.take_up(OFF)
    assert (second.is_stopped, switch.lost_spans) == (True, 2 + 2)
    switch.observe(finished())
    assert len(second.seen) == 1


def test_what_does_not_concern_it_changes_nothing(made: list[Recorded]) -> None:
    switch = TelemetrySwitch(0, 1)
    switch.take_up(ON)
    switch.take_up(replace(ON, volume=Volume(started=False)))
    assert len(made) == 1


def test_where_it_cannot_be_had_calls_go_on_without_it_and_the_log_says_so(
    made: list[Recorded], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def wrong(*_: object, **__: object) -> None:
        raise ValueError(CANARY)

    switch = TelemetrySwitch(0, 1)
    switch.take_up(ON)
    monkeypatch.setattr(otel, "OtelExport", wrong)
    switch.take_up(replace(ON, environment="staging"))
    switch.observe(finished())
    assert (made[0].is_stopped, made[0].seen) == (True, [])
    (told,) = caplog.records
    assert (told.levelname, vars(told)["error"]) == ("WARNING", "ValueError")
    assert CANARY not in f"{vars(told)}"
