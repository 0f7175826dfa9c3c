from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from proxy.adapters.journal import JournalReader, JournalSettings, SqliteJournal, StoredExchange, calls, journal_files
from proxy.adapters.journal.calls import LATENESS_US, Follower, newest_first, of_trace
from tests.harness.rows import ENDED_UNIX_US, closing, event, outcome


@pytest.fixture
def journals(tmp_path: Path) -> Iterator[list[SqliteJournal]]:
    """Two workers'."""
    both = [SqliteJournal(settings(tmp_path, worker)) for worker in (0, 1)]
    for journal in both:
        journal.start()
    yield both
    for journal in both:
        journal.close_journal(5)


def settings(directory: Path, worker: int) -> JournalSettings:
    return JournalSettings(directory=directory, worker=worker, commit_ms=0, ballast_bytes=4096)


@pytest.fixture
def readers(journals: list[SqliteJournal], tmp_path: Path) -> Iterator[list[JournalReader]]:
    with ExitStack() as stack:
        yield [stack.enter_context(JournalReader(path)) for path in journal_files(tmp_path)]


def end(journal: SqliteJournal, *at_s: int, trace_id: str | None = None) -> None:
    """Calls that ended so many seconds after another, written in this order; `c7` ended at 7."""
    for second in at_s:
        row = closing(f"c{second}", ended_unix_us=ENDED_UNIX_US + second * 1_000_000)
        journal.close(replace(row, trace_id=trace_id or row.trace_id))
    assert journal.flush(5)


def ids(found: Iterator[StoredExchange] | list[StoredExchange]) -> list[str]:
    return [call.exchange_id for call in found]


def test_calls_of_all_files_are_one_row_by_time(journals: list[SqliteJournal], readers: list[JournalReader]) -> None:
    end(journals[0], 1, 3, 4, 8)
    end(journals[1], 2, 5, 7)
    assert ids(newest_first(readers, 0)) == ["c8", "c7", "c5", "c4", "c3", "c2", "c1"]
    assert ids(newest_first(readers, ENDED_UNIX_US + 4_000_000)) == ["c8", "c7", "c5", "c4"]


def test_no_more_is_read_than_is_asked_for(
    journals: list[SqliteJournal], readers: list[JournalReader], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "PAGE_ROWS", (2, 3))
    read: list[int] = []
    whole = JournalReader.latest

    def latest(self: JournalReader, limit: int = 100, before_seq: int = 2**63 - 1) -> list[StoredExchange]:
        page = whole(self, limit, before_seq)
        read.append(len(page))
        return page

    monkeypatch.setattr(JournalReader, "latest", latest)
    end(journals[0], *range(20))
    assert ids(islice(newest_first(readers[:1], 0), 2)) == ["c19", "c18"]
    assert read == [2]
    read.clear()
    assert len(ids(newest_first(readers[:1], 0))) == 20
    assert read == [2, 3, 3, 3, 3, 3, 3, 0]


def test_what_was_written_late_is_found_and_what_is_too_old_ends_the_search(
    journals: list[SqliteJournal], readers: list[JournalReader]
) -> None:
    late_s = LATENESS_US // 1_000_000
    end(journals[0], 5, 3 + late_s, 4)  # the last one waited for an estimate
    assert ids(newest_first(readers, ENDED_UNIX_US + (3 + late_s) * 1_000_000)) == [f"c{3 + late_s}"]
    end(journals[0], 0)  # much too late: nobody looks behind it
    assert ids(newest_first(readers, ENDED_UNIX_US + (3 + late_s) * 1_000_000)) == []


def test_a_trace_may_lie_in_several_files(journals: list[SqliteJournal], readers: list[JournalReader]) -> None:
    end(journals[0], 3, 9, trace_id="one")
    end(journals[1], 5, trace_id="one")
    end(journals[1], 6)
    assert ids(of_trace(readers, "one")) == ["c3", "c5", "c9"]
    assert of_trace(readers, "another") == []


def test_a_follower_tells_each_new_call_once(journals: list[SqliteJournal], tmp_path: Path) -> None:
    end(journals[0], 1)
    follower = Follower(tmp_path)
    assert follower.more() == []
    end(journals[1], 4)
    end(journals[0], 3)
    assert ids(follower.more()) == ["c3", "c4"]
    assert follower.more() == []


def test_a_follower_tells_each_new_outcome_once(journals: list[SqliteJournal], tmp_path: Path) -> None:
    journals[0].note(outcome([event("old", "rated")]))
    assert journals[0].flush(5)
    follower = Follower(tmp_path)
    assert follower.more_outcomes() == []
    journals[1].note(outcome([event("b", "rated")], at_unix_us=2))
    journals[0].note(outcome([event("a", "rated")], at_unix_us=1))
    assert all(journal.flush(5) for journal in journals)
    assert [one.uuid for one in follower.more_outcomes()] == [event("a", "rated").uuid, event("b", "rated").uuid]
    assert follower.more_outcomes() == []


def test_a_file_that_comes_later_is_followed_as_soon_as_it_can_be_read(
    journals: list[SqliteJournal], tmp_path: Path
) -> None:
    follower = Follower(tmp_path)
    (tmp_path / "journal-7.db").touch()
    assert follower.more() == []
    (tmp_path / "journal-7.db").unlink()
    third = SqliteJournal(settings(tmp_path, 7))
    third.start()
    end(third, 1)
    assert ids(follower.more()) == ["c1"]
    third.close_journal(5)


def test_a_new_file_under_an_old_name_is_read_from_its_beginning(tmp_path: Path) -> None:
    for second in (1, 2):
        journal = SqliteJournal(settings(tmp_path, 0))
        journal.start()
        end(journal, second)
        if second == 1:
            follower = Follower(tmp_path)
        else:
            assert ids(follower.more()) == ["c2"]
        journal.close_journal(5)
        (tmp_path / "journal-0.db").rename(tmp_path / f"put-aside-{second}")
