import logging
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import apsw
import pytest

from proxy.adapters.journal import Certainty, JournalReader, JournalSettings, JournalUnavailable, SqliteJournal
from proxy.adapters.journal import writer as writer_module
from proxy.adapters.journal.file import JournalFile
from proxy.adapters.journal.place import journal_files
from proxy.domain.journal_rows import Closing, JournalEvent
from proxy.pipeline.ports import Journal
from tests.harness.full_disk import disk
from tests.harness.rows import closing, event, interrupted, opening, outcome

Make = Callable[..., SqliteJournal]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[SqliteJournal] = []

    def journal(
        *, starts: bool = True, on_events: object = None, on_commit: object = None, **settings: object
    ) -> SqliteJournal:
        options = {"directory": tmp_path, "commit_ms": 1, "ballast_bytes": 4096, **settings}
        made.append(SqliteJournal(JournalSettings(**options), on_events=on_events, on_commit=on_commit))  # type: ignore[arg-type]
        if starts:
            made[-1].start()
        return made[-1]

    yield journal
    for one in made:
        one.close_journal(5)
        assert one.stats().unbalanced == 0


def ended(path: Path) -> list[str]:
    with JournalReader(path) as reader:
        return [exchange.exchange_id for exchange in reader.exchanges(limit=-1)]


def test_it_is_what_the_pipeline_asks_for(make: Make) -> None:
    journal: Journal = make()
    journal.open(opening("a"))
    journal.close(closing("a"))


def test_what_is_flushed_can_be_read_by_others(make: Make, tmp_path: Path) -> None:
    journal = make()
    journal.open(opening("a"))
    journal.close(closing("a"))
    assert journal.flush(5)
    assert ended(tmp_path / "journal-0.db") == ["a"]
    assert journal.stats().pending == 2


def test_rows_are_durable_soon_without_anybody_asking(make: Make) -> None:
    durable = threading.Event()
    journal = make(commit_ms=10, on_events=lambda events: durable.set())
    journal.close(closing("a"))
    assert durable.wait(5)


def test_onlookers_see_events_in_order_and_cannot_break_anything(make: Make) -> None:
    seen: list[str] = []

    def look(events: Sequence[JournalEvent]) -> None:
        seen.extend(one.name for one in events)
        raise KeyError

    journal = make(on_events=look)
    journal.open(opening("a"))
    journal.close(closing("a"))
    journal.note(outcome([event("a", "extra")]))
    assert journal.flush(5)
    assert seen == ["llm_request_started", "llm_request_completed", "extra"]


def test_other_bounds_hold_from_the_next_step_on(make: Make) -> None:
    journal = make(outbox_max_bytes=1 << 20)
    journal.note(outcome([event("a", "extra")]))
    assert journal.flush(5)
    journal.keep_within(JournalSettings(directory=Path(), outbox_max_bytes=1))
    journal.note(outcome([event("b", "extra")]))
    assert journal.flush(5)
    assert (journal.stats().pending, journal.stats().dropped) == (1, {"outbox_full": 1})


def test_free_pages_are_scrubbed_once_something_was_too_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scrubbed = threading.Event()
    monkeypatch.setattr(writer_module, "TICK_S", 0.01)
    monkeypatch.setattr(JournalFile, "scrub", lambda _: scrubbed.set())
    journal = SqliteJournal(JournalSettings(directory=tmp_path, commit_ms=1))
    journal.start()
    journal.close(closing("old", ended_unix_us=1))
    assert scrubbed.wait(5)
    assert journal.close_journal(5)


def test_that_events_are_dropped_is_said_aloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    said = threading.Event()
    monkeypatch.setattr(writer_module, "TICK_S", 0.01)
    monkeypatch.setattr(caplog.handler, "handle", lambda record: said.set())
    journal = SqliteJournal(JournalSettings(directory=tmp_path, commit_ms=1, outbox_max_bytes=1))
    journal.start()
    journal.note(outcome([event("a", "extra")]))
    assert said.wait(5)
    assert journal.close_journal(5)


def test_a_busy_loop_cannot_starve_the_writer(make: Make) -> None:
    make()
    assert sys.getswitchinterval() <= writer_module.SWITCH_S


def test_many_rows_share_a_commit(make: Make) -> None:
    commits: list[float] = []
    journal = make(starts=False, commit_ms=100, on_commit=commits.append)
    for number in range(500):
        journal.close(closing(str(number)))
    journal.start()
    assert journal.flush(5)
    assert journal.stats().exchanges == 500
    assert 1 <= len(commits) <= 5
    assert min(commits) >= 0


async def test_a_start_closes_what_a_crash_left_open(make: Make, tmp_path: Path) -> None:
    first = make()
    first.open(opening("a"))
    first.open(opening("b"))
    first.close(closing("b"))
    assert first.close_journal(5)
    second = make(starts=False)
    assert second.recover(interrupted) == 1
    assert second.recover(interrupted) == 0
    second.start()
    second.close(closing("a"))
    assert second.flush(5)
    assert ended(tmp_path / "journal-0.db") == ["b", "a"]
    assert second.stats().dropped == {"duplicate_end": 1}
    names = [row.name for row in (await second.lease()).rows]
    assert names.count("llm_request_failed") == 1


async def test_lease_ack_retry_bury(make: Make) -> None:
    journal = make()
    journal.note(outcome([event(name) for name in "abc"]))
    a, b, c = (await journal.lease()).uuids
    assert await journal.ack([a], Certainty.VERIFIED) == 1
    await journal.retry([b])
    assert await journal.bury([c], "poison") == 1
    assert (await journal.lease()).uuids == (b,)
    await journal.release([b])
    assert (await journal.lease()).uuids == (b,)
    await journal.release_all()
    assert (await journal.lease()).uuids == (b,)
    stats = journal.stats()
    assert (stats.pending, stats.delivered, stats.dead) == (1, {"verified": 1}, {"poison": 1})


def test_an_overfull_queue_never_waits_and_counts(make: Make) -> None:
    journal = make(starts=False, queue_max_rows=8)
    for number in range(20):
        journal.open(opening(f"call-{number}"))
    for number in range(6):
        journal.close(closing(f"call-{number}"))
    stats = journal.stats()
    assert stats.dropped == {"queue_full": 14 + 4}
    assert stats.unbalanced == 0
    journal.start()
    assert journal.flush(5)
    assert journal.stats().dropped == {"queue_full": 18}
    assert journal.stats().records_dropped == 4


def test_an_end_that_was_dropped_is_not_reported_as_interrupted(make: Make, tmp_path: Path) -> None:
    journal = make(starts=False, queue_max_rows=4)
    for number in range(3):
        journal.open(opening(f"call-{number}"))
    for number in range(3):
        journal.close(closing(f"call-{number}"))
    journal.start()
    assert journal.close_journal(5)
    assert make(starts=False).recover(interrupted) == 0
    assert ended(tmp_path / "journal-0.db") == ["call-0"]


def test_a_row_that_no_table_takes_costs_itself_alone(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    journal = make(starts=False)
    journal.close(closing("a"))
    unfit: Any = None
    journal.close(Closing(exchange_id="canary", trace_id=unfit, ended_unix_us=1, events=(event("x"),), record=b""))
    journal.close(closing("b"))
    journal.start()
    assert journal.flush(5)
    stats = journal.stats()
    assert (stats.exchanges, stats.quarantined_files) == (2, 0)
    assert journal.flush(5)
    assert journal.stats().dropped == {"store_failed": 1}
    assert "canary" not in caplog.text


def test_a_file_locked_by_a_stranger_is_waited_for(make: Make, tmp_path: Path) -> None:
    journal = make()
    stranger = apsw.Connection(str(tmp_path / "journal-0.db"))
    stranger.set_busy_timeout(5000)
    stranger.execute("BEGIN IMMEDIATE")
    journal.close(closing("a"))
    assert not journal.flush(0.1)
    stranger.execute("ROLLBACK")
    stranger.close()
    assert journal.flush(5)
    assert journal.stats().exchanges == 1


def test_a_stranger_cannot_hold_up_the_start_for_long(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "START_PATIENCE_S", 0.01)
    first = make()
    first.open(opening("a"))
    assert first.close_journal(5)
    second = make(starts=False)
    stranger = apsw.Connection(str(tmp_path / "journal-0.db"))
    stranger.execute("BEGIN IMMEDIATE")
    assert second.recover(interrupted) == 0
    stranger.close()
    assert second.recover(interrupted) == 1


def test_rows_that_wait_before_the_start_are_written_at_the_end(make: Make, tmp_path: Path) -> None:
    journal = make(starts=False)
    journal.close(closing("a"))
    assert journal.close_journal(5)
    assert ended(tmp_path / "journal-0.db") == ["a"]


def test_closing_gives_up_on_a_lock_that_stays(make: Make, tmp_path: Path) -> None:
    journal = make()
    stranger = apsw.Connection(str(tmp_path / "journal-0.db"))
    stranger.set_busy_timeout(5000)
    stranger.execute("BEGIN IMMEDIATE")
    journal.close(closing("a"))
    assert not journal.close_journal(0.1)
    stranger.close()


async def test_on_a_full_disk_delivery_goes_on_and_it_heals_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "TICK_S", 0.01)
    with disk(tmp_path / "data") as on:
        settings = JournalSettings(directory=on.folder, commit_ms=0, ballast_bytes=512 * 1024)
        journal = SqliteJournal(settings, vfs=on.name, free=on.free, wall_unix_us=lambda: 2)
        journal.start()
        journal.open(opening("running"))
        journal.close(closing("before"))
        assert journal.flush(5)
        on.fill()
        for number in range(30):
            journal.close(closing(f"during-{number}", record_bytes=20_000))
        journal.close(closing("running"))
        assert journal.flush(5)
        stats = journal.stats()
        assert "disk_full" in stats.degraded
        assert stats.dropped["disk_full"] >= 1
        assert stats.unbalanced == 0
        uuids = (await journal.lease()).uuids
        assert await journal.ack(uuids, Certainty.VERIFIED) == len(uuids) > 0
        on.capacity_bytes = None
        while journal.stats().degraded:
            assert journal.flush(5)
        journal.close(closing("after"))
        assert journal.flush(5)
        assert journal.stats().pending == 1
        assert journal.stats().unbalanced == 0
        assert journal.close_journal(5)
        again = SqliteJournal(settings, wall_unix_us=lambda: 2)
        assert again.recover(interrupted) == 0, "its end was dropped and counted; it was not interrupted"
        assert again.close_journal(5)


async def test_what_is_kept_is_durable_when_it_is_answered(make: Make, tmp_path: Path) -> None:
    journal = make()
    rows = [outcome([event("a", "rated"), event("a", "edited")], "a"), outcome([event("b", "rated")], "b")]
    assert await journal.keep(rows)
    with JournalReader(tmp_path / "journal-0.db") as reader:
        assert [kept.name for kept in reader.outcomes()] == ["rated", "edited", "rated"]
    assert await journal.keep(rows), "what was kept before is kept"
    assert journal.stats().pending == 3


async def test_what_cannot_be_kept_is_answered_so(make: Make, tmp_path: Path) -> None:
    rows = [outcome([event(name, "rated")], name) for name in ("a", "b")]
    assert not await make(starts=False, queue_max_rows=1).keep(rows)
    closed = make()
    closed.close_journal(5)
    assert not await closed.keep(rows)
    with disk(tmp_path / "data") as on:
        settings = JournalSettings(directory=on.folder, commit_ms=0, ballast_bytes=4096)
        journal = SqliteJournal(settings, vfs=on.name, free=on.free, wall_unix_us=lambda: 2)
        journal.start()
        on.fill()
        assert not await journal.keep([outcome([event(str(number), "rated") for number in range(200)])])
        assert journal.stats().unbalanced == 0
        on.capacity_bytes = None
        assert journal.close_journal(5)


def test_after_closing_rows_are_counted_and_questions_refused(make: Make) -> None:
    journal = make()
    assert journal.close_journal(5)
    journal.close(closing("a"))
    assert journal.stats().dropped == {"closed": 1}
    assert not journal.flush(1)
    assert journal.close_journal(1), "twice is once"


async def test_a_closed_journal_says_so(make: Make) -> None:
    journal = make()
    journal.close_journal(5)
    with pytest.raises(JournalUnavailable):
        await journal.lease()


def test_where_nothing_can_be_written_it_works_from_memory(make: Make, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    journal = make(directory=tmp_path / "file" / "data")
    journal.close(closing("a"))
    assert journal.flush(5)
    assert (journal.stats().pending, journal.stats().degraded) == (1, ("memory",))


def test_closing_leaves_one_tidy_file(make: Make, tmp_path: Path) -> None:
    journal = make()
    journal.close(closing("a"))
    assert journal.close_journal(5)
    assert [path.name for path in journal_files(tmp_path)] == ["journal-0.db"]
    assert not list(tmp_path.glob("*-wal"))


def test_it_says_nothing_of_what_it_keeps(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    journal = make()
    journal.open(opening("canary"))
    journal.close(closing("canary"))
    journal.close_journal(5)
    assert "canary" not in caplog.text
