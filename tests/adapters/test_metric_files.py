from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, values
from prometheus_client.parser import text_string_to_metric_families

from proxy.adapters.metric_files import ROOM_BYTES, forget_gauges, lay_out, room_bytes
from proxy.adapters.metrics import CallMetrics
from tests.harness.exchanges import SPARE, attempt, finished

WORKERS = 2
TARGETS = [replace(SPARE, model=f"a-model-with-a-rather-long-name-{number}") for number in range(100)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As the supervisor leaves it to its workers; the process is itself again afterwards."""
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    lay_out(tmp_path, WORKERS)
    return tmp_path


def started(folder: Path, worker: int) -> CallMetrics:
    return CallMetrics(CollectorRegistry(), folder, worker)


def told(metrics: CallMetrics, name: str) -> float:
    """The sum over all labels."""
    families = text_string_to_metric_families(metrics.render().decode())
    return sum(sample.value for family in families for sample in family.samples if sample.name == name)


def files(folder: Path) -> dict[str, int]:
    """By name, the bytes that the disk has given to it."""
    return {path.name: path.stat().st_blocks * 512 for path in folder.iterdir()}


def test_a_worker_counts_on_where_its_predecessor_died(folder: Path) -> None:
    first, other = started(folder, 0), started(folder, 1)
    first.observe(finished())
    other.observe(finished())
    forget_gauges(folder, 0)
    assert (told(other, "promptlane_workers"), told(other, "promptlane_calls_total")) == (1, 2)
    second = started(folder, 0)
    second.observe(finished())
    for metrics in (second, other):
        assert (told(metrics, "promptlane_workers"), told(metrics, "promptlane_calls_total")) == (2, 3)
        assert told(metrics, "promptlane_call_seconds_count") == 3
        assert told(metrics, "promptlane_worker_starts_total") == 3


def test_one_that_serves_alone_leaves_the_folder_of_an_app_beside_it_alone(folder: Path) -> None:
    before = files(folder)
    values.ValueClass = values.MultiProcessValue()  # as the library chose it
    metrics = CallMetrics(CollectorRegistry())
    metrics.observe(finished())
    assert told(metrics, "promptlane_calls_total") == 1
    assert files(folder) == before


def test_a_worker_needs_no_room_but_what_was_taken_before(folder: Path) -> None:
    """A page that finds none when it is first written ends the process."""
    taken = files(folder)
    assert sum(taken.values()) >= room_bytes(WORKERS)
    for _ in range(2):
        metrics = started(folder, 0)
        for target in TARGETS:
            metrics.observe(finished(attempt(target=target)))
        forget_gauges(folder, 0)
    assert files(folder) == taken


def test_room_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ROOM_BYTES, "counter", 1 << 60)
    with pytest.raises(OSError, match=r"File too large|No space"):
        lay_out(tmp_path, 1)


def test_a_folder_that_is_gone_does_not_stop_whoever_tidies_it(tmp_path: Path) -> None:
    forget_gauges(tmp_path / "gone", 0)
