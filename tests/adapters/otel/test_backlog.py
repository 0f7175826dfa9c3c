from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import orjson
import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler

from proxy.adapters.journal import JournalSettings, SqliteJournal
from proxy.adapters.journal.orphans import GRACE_S, Orphans
from proxy.adapters.otel import backlog
from proxy.adapters.otel.backlog import SETTLE_S, Backlog, Batch
from proxy.adapters.otel.messages import INPUT
from proxy.adapters.otel.spans import SpanMaker
from proxy.adapters.trace_marks import FileMarks, Mark, Marks
from proxy.domain.errors import ErrorType
from proxy.domain.events import EventPolicy, interrupted
from proxy.domain.events import closing as closing_of
from proxy.domain.events import opening as opening_of
from proxy.domain.identity import ParentSpan
from proxy.domain.journal_rows import Closing, JournalEvent
from tests.harness.exchanges import RECEIVED_UNIX_US, attempt, caller, finished
from tests.harness.rows import closing as unreadable
from tests.harness.rows import outcome, uuid_of

STEP = "llm_agent_step"
PARENT = ParentSpan("a" * 32, "b" * 16, is_sampled=True)


@pytest.fixture
def journals(tmp_path: Path) -> Iterator[list[SqliteJournal]]:
    """Two workers'."""
    both = [journal_in(tmp_path, worker) for worker in (0, 1)]
    yield both
    for journal in both:
        journal.close_journal(5)


def journal_in(directory: Path, worker: int = 0) -> SqliteJournal:
    settings = JournalSettings(directory=directory, worker=worker, commit_ms=0, ballast_bytes=4096)
    made = SqliteJournal(settings)
    made.start()
    return made


def call(name: str, **changes: Any) -> Closing:
    return closing_of(finished(exchange_id=name, **changes), EventPolicy())


def keep(journal: SqliteJournal, *rows: Closing) -> None:
    for row in rows:
        journal.close(row)
    assert journal.flush(5)


def step(exchange_id: str, name: str = STEP) -> JournalEvent:
    told = {"trace_id": "trace_1", "tool_name": "search", "duration_ms": 5, "step_status": "success"}
    return JournalEvent(uuid=uuid_of(exchange_id, name), name=name, body=orjson.dumps({"properties": told}))


def reading(directory: Path, batch_spans: int = 512, sampler: Sampler = ALWAYS_ON, step_event: str = STEP) -> Backlog:
    return Backlog(directory, SpanMaker(Resource({}), sampler, {}), step_event, batch_spans)


def names(batch: Batch) -> list[str]:
    """The ids of calls, and the names of spans that are no call's."""
    spans = [row[0] for row in batch.rows]
    return [
        str((span.attributes or {})["promptlane.exchange_id"]) if span.name == "chat" else span.name for span in spans
    ]


def test_each_row_after_the_marks_comes_once_of_all_files(journals: list[SqliteJournal], tmp_path: Path) -> None:
    keep(journals[0], call("a1"), call("a2"))
    keep(journals[1], call("b1"))
    looking = reading(tmp_path)
    first = looking.after({})
    assert sorted(names(first)) == ["a1", "a2", "b1"]
    assert (first.row_count, first.span_count, first.lost) == (3, 6, 0)
    assert looking.after(first.marks).row_count == 0
    keep(journals[0], call("a3"))
    assert names(looking.after(first.marks)) == ["a3"]


def test_a_batch_is_bounded_and_the_files_take_turns(
    journals: list[SqliteJournal], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "PAGE_ROWS", 2)
    keep(journals[0], *(call(f"a{number}") for number in range(5)))
    keep(journals[1], *(call(f"b{number}") for number in range(5)))
    looking, told = reading(tmp_path, batch_spans=6), list[str]()
    marks: Marks = {}
    while batch := looking.after(marks):
        if not batch.rows:
            break
        assert batch.span_count == 6 or len(told) == 9
        told += names(batch)
        marks = batch.marks
    assert sorted(told) == [f"{file}{number}" for file in "ab" for number in range(5)]
    assert {name[0] for name in told[:6]} == {"a", "b"}


def test_rows_without_spans_move_the_marks_and_are_bounded_too(
    journals: list[SqliteJournal], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "MAX_ROWS", 2)
    keep(journals[0], call("a1"), call("a2"), call("a3"))
    looking = reading(tmp_path, sampler=ALWAYS_OFF)
    first = looking.after({})
    second = looking.after(first.marks)
    assert [(batch.rows, batch.row_count, batch.lost) for batch in (first, second)] == [([], 2, 0), ([], 1, 0)]
    assert second.marks["journal-0.db"].calls == Mark(3, "a3")


def test_steps_lie_below_their_call_also_of_another_file(journals: list[SqliteJournal], tmp_path: Path) -> None:
    keep(journals[1], call("asked", caller=caller(parent_span=PARENT)))
    journals[0].note(outcome([step("asked"), step("asked", "$ai_span"), step("asked", "your event")], "asked"))
    journals[0].note(outcome([step("unknown")], "unknown"))
    assert journals[0].flush(5)
    batch = reading(tmp_path).after({})
    assert sorted(names(batch)) == ["asked", "execute_tool search", "execute_tool search"]
    spans = {span.name: span for row in batch.rows for span in row if span.parent is not None}
    below = spans["execute_tool search"]
    assert below.context is not None
    assert below.context.trace_id == int(PARENT.trace_id, 16)
    assert batch.row_count == 5
    assert sorted(names(reading(tmp_path, step_event="$ai_span").after({}))) == ["asked", "execute_tool search"]


def test_a_row_that_cannot_be_read_is_lost_and_holds_up_nothing(journals: list[SqliteJournal], tmp_path: Path) -> None:
    keep(journals[0], unreadable("broken"), call("a2"))
    batch = reading(tmp_path).after({})
    assert (names(batch), batch.lost) == (["a2"], 1)


def test_what_left_the_store_before_it_was_told_is_lost(journals: list[SqliteJournal], tmp_path: Path) -> None:
    keep(journals[0], *(call(f"a{number}") for number in range(1, 6)))
    marks = {"journal-0.db": FileMarks(calls=Mark(1, "a1"))}

    def forget(last: int) -> None:
        connection = apsw.Connection(str(tmp_path / "journal-0.db"))
        connection.set_busy_timeout(5_000)
        connection.execute("DELETE FROM exchange WHERE seq <= ?", (last,))
        connection.close()

    forget(1)  # the mark's own row: told, and swept
    assert reading(tmp_path).after(marks).lost == 0
    forget(3)
    batch = reading(tmp_path).after(marks)
    assert (names(batch), batch.lost) == (["a4", "a5"], 2)
    forget(5)
    batch = reading(tmp_path).after(marks)
    assert (batch.rows, batch.lost, batch.marks["journal-0.db"].calls) == ([], 4, Mark(5))
    keep(journals[0], call("a6"))
    after = reading(tmp_path).after(batch.marks)
    assert (names(after), after.lost) == (["a6"], 0)


def test_calls_of_a_worker_that_is_gone_are_told_once_another_has_ended_them(tmp_path: Path) -> None:
    gone = journal_in(tmp_path, 7)
    gone.open(opening_of(finished(exchange_id="running"), EventPolicy()))
    keep(gone, call("ended"))
    gone.close_journal(5)
    first = reading(tmp_path).after({})
    assert names(first) == ["ended"]
    times_s = iter([0.0, GRACE_S])
    heir = Orphans(JournalSettings(directory=tmp_path), lambda: RECEIVED_UNIX_US, interrupted, lambda: next(times_s))
    for _ in range(2):
        heir.visit(tmp_path / "journal-0.db", lambda _: True)
    batch = reading(tmp_path).after(first.marks)
    assert names(batch) == ["running"]
    assert (batch.rows[0][0].attributes or {})["error.type"] == "interrupted"


def test_a_new_file_of_an_old_name_is_told_from_its_beginning(tmp_path: Path) -> None:
    journal = journal_in(tmp_path)
    keep(journal, call("n1"), call("n2"))
    longer = {"journal-0.db": FileMarks(Mark(9, "old9"), Mark(9, "old"))}
    another = {"journal-0.db": FileMarks(Mark(1, "old1"))}
    for marks in (longer, another):
        batch = reading(tmp_path).after(marks)
        assert (names(batch), batch.lost) == (["n1", "n2"], 0)
    journal.close_journal(5)


def test_a_file_that_cannot_be_read_keeps_its_mark(tmp_path: Path) -> None:
    (tmp_path / "journal-3.db").write_bytes(b"no journal" * 1000)
    marks = {"journal-3.db": FileMarks(Mark(4, "x")), "journal-9.db": FileMarks(Mark(4, "gone"))}
    assert reading(tmp_path).after(marks).marks == {"journal-3.db": marks["journal-3.db"]}
    assert reading(tmp_path / "absent").after(marks).row_count == 0


class Said:
    """Stands for the content of calls: each says so much."""

    def __init__(self, chars: int) -> None:
        self.said = {INPUT: "x" * chars}
        self.asked: list[str] = []
        self.forgotten: set[str] = set()

    def __enter__(self) -> "Said":
        return self

    def __exit__(self, *_: object) -> None: ...

    def is_kept(self, exchange_id: str) -> bool:
        return exchange_id not in self.forgotten

    def of(self, record: Any) -> dict[str, str]:
        self.asked.append(record["exchange_id"])
        return self.said


def with_content(directory: Path, content: Any, now_s: float, sampler: Sampler = ALWAYS_ON) -> Backlog:
    return Backlog(directory, SpanMaker(Resource({}), sampler, {}), STEP, 512, content, lambda: now_s)


def test_content_is_told_of_the_last_attempt_of_calls_that_are_sampled(
    journals: list[SqliteJournal], tmp_path: Path
) -> None:
    tried = finished(attempt(error_type=ErrorType.TRUNCATED), attempt(ordinal=1), exchange_id="a1")
    keep(journals[0], closing_of(tried, EventPolicy()))
    content, later_s = Said(3), RECEIVED_UNIX_US / 1e6 + 60
    ((own, first, last),) = with_content(tmp_path, content, later_s).after({}).rows
    assert [INPUT in (span.attributes or {}) for span in (own, first, last)] == [False, False, True]
    assert with_content(tmp_path, content, later_s, ALWAYS_OFF).after({}).rows == []
    assert content.asked == ["a1"]


def test_with_content_calls_wait_until_it_can_be_there(journals: list[SqliteJournal], tmp_path: Path) -> None:
    now_us = RECEIVED_UNIX_US + 60_000_000
    old, young = (replace(call(name), ended_unix_us=at) for name, at in (("a1", RECEIVED_UNIX_US), ("a2", now_us)))
    keep(journals[0], old, young)
    journals[0].note(outcome([step("unknown")], "unknown"))
    assert journals[0].flush(5)
    looking = with_content(tmp_path, Said(1), now_us / 1e6)
    first = looking.after({})
    assert names(first) == ["a1", "execute_tool search"]
    assert looking.after(first.marks).row_count == 0
    assert names(looking.after(first.marks, is_last=True)) == ["a2"]
    assert names(with_content(tmp_path, Said(1), now_us / 1e6 + SETTLE_S).after(first.marks)) == ["a2"]


def test_what_is_forgotten_while_the_collector_is_away_is_told_no_more(
    journals: list[SqliteJournal], tmp_path: Path
) -> None:
    keep(journals[0], call("a1"), call("a2"))
    content = Said(3)
    looking = with_content(tmp_path, content, RECEIVED_UNIX_US / 1e6 + 60)
    waiting = looking.after({})
    content.forgotten = {"a1"}
    looking.look_again(waiting)
    assert names(waiting) == ["a1", "a2"]
    assert [INPUT in (row[1].attributes or {}) for row in waiting.rows] == [False, True]
    assert content.asked == ["a1", "a2"], "nothing is opened for that"


def test_a_batch_is_bounded_by_what_was_said_too(
    journals: list[SqliteJournal], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "MAX_CONTENT_CHARS", 10)
    keep(journals[0], call("a1"), call("a2"), call("a3"))
    looking = with_content(tmp_path, Said(6), RECEIVED_UNIX_US / 1e6 + 60)
    first = looking.after({})
    assert (names(first), first.content_chars) == (["a1", "a2"], 12)
    assert names(looking.after(first.marks)) == ["a3"]


def test_the_oldest_call_of_a_batch_says_how_late_it_is(journals: list[SqliteJournal], tmp_path: Path) -> None:
    late = [replace(call(f"a{at}"), ended_unix_us=at) for at in (30, 10, 20)]
    keep(journals[0], *late)
    assert reading(tmp_path).after({}).oldest_unix_us == 10
