import asyncio
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from proxy.adapters.journal import JournalSettings, SqliteJournal
from proxy.adapters.otel import exporter
from proxy.adapters.otel.backlog import Backlog, Spans
from proxy.adapters.otel.delivery import Delivered
from proxy.adapters.otel.exporter import LOCK_NAME, LONGEST_PAUSE_S, Exporter, locked
from proxy.adapters.otel.spans import SpanMaker
from proxy.adapters.trace_marks import FILE_NAME, begin, read_marks
from proxy.domain.events import EventPolicy, closing
from tests.harness.collector import Collector
from tests.harness.exchanges import finished


class ScriptedDelivery:
    """Takes all, or what it is told to of the next batches; `taken` has the ids of the calls it took."""

    def __init__(self) -> None:
        self.answers: list[Delivered] = []
        self.taken: list[str] = []
        self.asked = 0

    def deliver(self, rows: list[Spans]) -> Delivered:
        self.asked += 1
        answer = self.answers.pop(0) if self.answers else Delivered(len(rows), 0)
        self.taken += [str((row[0].attributes or {})["promptlane.exchange_id"]) for row in rows[: answer.rows]]
        return answer


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    made = SqliteJournal(JournalSettings(directory=tmp_path, commit_ms=0, ballast_bytes=4096))
    made.start()
    begin(tmp_path)
    yield made
    made.close_journal(5)


def keep(journal: SqliteJournal, *names: str) -> None:
    for name in names:
        journal.close(closing(finished(exchange_id=name), EventPolicy()))
    assert journal.flush(5)


def exporting(directory: Path, delivery: Any, told: list[dict[str, object]], batch_spans: int = 512) -> Exporter:
    backlog = Backlog(directory, SpanMaker(Resource({}), ALWAYS_ON, {}), "llm_agent_step", batch_spans)
    return Exporter(directory, backlog, delivery, told.append)


def test_marks_follow_what_was_taken(journal: SqliteJournal, tmp_path: Path) -> None:
    delivery, told = ScriptedDelivery(), list[dict[str, object]]()
    looking = exporting(tmp_path, delivery, told)
    keep(journal, "c1", "c2")
    assert looking.look(5.0) == 5.0
    keep(journal, "c3")
    assert looking.look(5.0) == 5.0
    assert delivery.taken == ["c1", "c2", "c3"]
    assert told == [{"lost": 0, "is_failing": False, "oldest_unix_us": None}]
    another = ScriptedDelivery()
    exporting(tmp_path, another, []).look(5.0)
    assert another.asked == 0


def test_what_is_not_taken_waits_longer_and_longer_and_goes_in_the_end(journal: SqliteJournal, tmp_path: Path) -> None:
    delivery, told = ScriptedDelivery(), list[dict[str, object]]()
    looking = exporting(tmp_path, delivery, told)
    keep(journal, "c1")
    delivery.answers = [Delivered(0, 0, wait_s) for wait_s in (0.0, 0.0, 120.0, 0.0, 0.0, 0.0)]
    assert [looking.look(5.0) for _ in range(6)] == [
        10.0,
        20.0,
        120.0,
        LONGEST_PAUSE_S,
        LONGEST_PAUSE_S,
        LONGEST_PAUSE_S,
    ]
    assert looking.is_failing
    keep(journal, "c2")
    assert looking.look(5.0) == 5.0
    assert (delivery.taken, looking.is_failing) == (["c1", "c2"], False)
    assert [line["is_failing"] for line in told] == [True, False]
    assert told[0]["oldest_unix_us"] is not None
    assert read_marks(tmp_path)["journal-0.db"].calls.id == "c2"  # type: ignore[index]


def test_no_part_of_a_batch_is_sent_twice(journal: SqliteJournal, tmp_path: Path) -> None:
    delivery, told = ScriptedDelivery(), list[dict[str, object]]()
    looking = exporting(tmp_path, delivery, told)
    keep(journal, "c1", "c2", "c3")
    delivery.answers = [Delivered(2, 2, 0.0)]
    looking.look(5.0)
    looking.look(5.0)
    assert delivery.taken == ["c1", "c2", "c3"]
    assert told[-1] == {"lost": 2, "is_failing": False, "oldest_unix_us": None}


def test_whoever_is_killed_in_between_repeats_one_batch(
    journal: SqliteJournal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    delivery = ScriptedDelivery()
    looking = exporting(tmp_path, delivery, [], batch_spans=2)
    keep(journal, "c1", "c2", "c3")
    monkeypatch.setattr(exporter, "write_marks", killed)
    with pytest.raises(Killed):
        looking.look(5.0)
    monkeypatch.undo()
    assert delivery.taken == ["c1"]
    exporting(tmp_path, delivery, [], batch_spans=2).look(5.0)
    assert delivery.taken == ["c1", "c1", "c2", "c3"]


def test_while_the_marks_cannot_be_written_nothing_more_is_sent(
    journal: SqliteJournal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError

    delivery = ScriptedDelivery()
    looking = exporting(tmp_path, delivery, [], batch_spans=2)
    keep(journal, "c1", "c2")
    with monkeypatch.context() as patch:
        patch.setattr(exporter, "write_marks", full)
        for _ in range(3):
            assert looking.look(5.0) == 5.0
    assert delivery.taken == ["c1"]
    looking.look(5.0)
    assert delivery.taken == ["c1", "c2"]


def test_the_end_and_the_clock_stop_a_long_look(journal: SqliteJournal, tmp_path: Path) -> None:
    delivery, ending = ScriptedDelivery(), Event()
    looking = exporting(tmp_path, delivery, [], batch_spans=2)
    keep(journal, "c1", "c2")
    ending.set()
    looking.look(5.0, ending=ending)
    looking.look(5.0, until_s=0.0)
    assert delivery.asked == 0


def test_one_process_holds_the_lock_and_the_next_waits_for_the_end(tmp_path: Path) -> None:
    ending = Event()
    held = locked(tmp_path, ending)
    assert held is not None
    ending.set()
    assert locked(tmp_path, ending) is None
    os.close(held)
    free = locked(tmp_path, ending)
    assert free is not None
    assert (tmp_path / LOCK_NAME).stat().st_mode & 0o077 == 0
    fcntl.flock(free, fcntl.LOCK_UN)
    os.close(free)


async def test_all_of_it_until_the_end(
    journal: SqliteJournal, tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {
        "directory": str(tmp_path),
        "environment": "staging",
        "step_event": "llm_agent_step",
        "content": False,
        "servers": {"openai": ["api.openai.com", 443]},
        "every_s": 60.0,
        "batch_spans": 512,
    }
    ending, told = Event(), list[dict[str, object]]()
    keep(journal, "c1")
    running = asyncio.ensure_future(asyncio.to_thread(exporter.run, settings, ending, told.append))
    call, attempt = await collector.trace_of("c1")
    assert call.resource["deployment.environment.name"] == "staging"
    assert attempt.attributes["server.address"] == "api.openai.com"
    keep(journal, "c2")
    ending.set()
    await running
    assert [span.attributes.get("promptlane.exchange_id") for span in collector.spans if span.kind == "server"] == [
        "c1",
        "c2",
    ]
    assert (tmp_path / FILE_NAME).exists()
