from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proxy.adapters import telemetry, trace_marks
from proxy.adapters.otel import metrics
from proxy.adapters.telemetry import TelemetrySwitch
from proxy.adapters.trace_export import TraceSettings
from proxy.domain.exchange import Exchange
from proxy.domain.policy import AnalyticsPolicy, Families, Telemetry, Volume
from tests.harness.exchanges import OPENAI, finished

OFF = AnalyticsPolicy()
METRICS = AnalyticsPolicy(telemetry=Telemetry(metrics=True))
TRACES = AnalyticsPolicy(telemetry=Telemetry(traces=True, content=True))
PROVIDERS = {"openai": OPENAI.provider}
CANARY = "CANARY-5c02"


class Recorded:
    """Stands for an export of either kind; `lost_spans` grows at its end, as that of a real one may."""

    made: list["Recorded"]

    def __init__(self, *of: Any, **workers: int) -> None:
        self.of = of
        self.workers = workers
        self.seen: list[Exchange] = []
        self.lost_spans, self.lag_s, self.is_alarming = 1, 7.0, True
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
    monkeypatch.setattr(metrics, "MetricExport", Recorded)
    monkeypatch.setattr(telemetry, "TraceExport", Recorded)
    return Recorded.made


def switch_in(directory: Path, worker: int = 0) -> TelemetrySwitch:
    return TelemetrySwitch(directory, worker, 4)


def test_where_it_is_not_wanted_nothing_is_made(made: list[Recorded], tmp_path: Path) -> None:
    switch = switch_in(tmp_path)
    switch.take_up(OFF, PROVIDERS)
    switch.observe(finished())
    switch.stop()
    assert (made, switch.lost_spans, switch.lag_s, switch.is_alarming) == ([], 0, 0.0, False)


def test_metrics_are_each_workers_own(made: list[Recorded], tmp_path: Path) -> None:
    switch, exchange = switch_in(tmp_path, 1), finished()
    switch.take_up(METRICS, PROVIDERS)
    switch.observe(exchange)
    (export,) = made
    assert (export.of, export.workers, export.seen) == (("production",), {"worker": 1, "worker_count": 4}, [exchange])
    switch.take_up(replace(METRICS, environment="staging"), PROVIDERS)
    assert [each.is_stopped for each in made] == [True, False]
    switch.stop()
    assert made[1].is_stopped


def test_traces_are_told_by_one_worker(made: list[Recorded], tmp_path: Path) -> None:
    other = switch_in(tmp_path, 1)
    other.take_up(TRACES, PROVIDERS)
    assert made == []
    switch = switch_in(tmp_path)
    switch.take_up(TRACES, PROVIDERS)
    (export,) = made
    assert export.of == (
        TraceSettings(
            directory=tmp_path,
            environment="production",
            step_event="llm_agent_step",
            content=True,
            servers={"openai": ("api.openai.com", 443)},
            every_s=5.0,
            batch_spans=512,
        ),
    )
    assert (switch.lost_spans, switch.lag_s, switch.is_alarming) == (1, 7.0, True)


def test_another_policy_ends_what_ran_and_losses_add_up(made: list[Recorded], tmp_path: Path) -> None:
    switch = switch_in(tmp_path)
    switch.take_up(TRACES, PROVIDERS)
    switch.take_up(replace(TRACES, families=Families(product=False)), PROVIDERS)
    first, second = made
    assert (first.is_stopped, second.is_stopped, second.of[0].step_event) == (True, False, "$ai_span")
    assert switch.lost_spans == 2 + 1
    switch.take_up(OFF, PROVIDERS)
    assert (second.is_stopped, switch.lost_spans, switch.lag_s) == (True, 2 + 2, 0.0)


def test_what_does_not_concern_it_changes_nothing(made: list[Recorded], tmp_path: Path) -> None:
    switch = switch_in(tmp_path)
    both = AnalyticsPolicy(telemetry=Telemetry(traces=True, metrics=True))
    switch.take_up(both, PROVIDERS)
    switch.take_up(replace(both, volume=Volume(started=False)), PROVIDERS)
    assert len(made) == 2


def test_a_restart_goes_on_and_whoever_turns_it_off_begins_anew(made: list[Recorded], tmp_path: Path) -> None:
    marks = {"journal-0.db": trace_marks.FileMarks(trace_marks.Mark(3, "c3"))}
    trace_marks.write_marks(tmp_path, marks)
    switch_in(tmp_path).take_up(TRACES, PROVIDERS)
    assert trace_marks.read_marks(tmp_path) == marks
    switch_in(tmp_path, 1).take_up(OFF, PROVIDERS)
    assert trace_marks.read_marks(tmp_path) == marks
    switch_in(tmp_path).take_up(OFF, PROVIDERS)
    assert trace_marks.read_marks(tmp_path) is None


def test_where_it_cannot_be_had_calls_go_on_without_it_and_the_log_says_so(
    made: list[Recorded], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    def wrong(*_: object, **__: object) -> None:
        raise ValueError(CANARY)

    monkeypatch.setattr(metrics, "MetricExport", wrong)
    switch = switch_in(tmp_path / "absent")
    switch.take_up(AnalyticsPolicy(telemetry=Telemetry(traces=True, metrics=True)), PROVIDERS)
    switch.observe(finished())
    assert made == []
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", "telemetry is off: the SDK could not be set up"),
        ("WARNING", "traces are not exported: the data folder cannot be written"),
    ]
    assert CANARY not in f"{[vars(record) for record in caplog.records]}"
