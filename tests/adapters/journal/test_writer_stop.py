"""The journal's end beside a disk that does not keep up: what is lost is told, and nothing is that need not be."""

from pathlib import Path
from typing import Any

import apsw
import pytest

from proxy.adapters.journal import JournalReader, JournalSettings, SqliteJournal
from proxy.adapters.journal import writer as writer_module
from tests.harness.rows import closing, opening
from tests.harness.slow_disk import SlowDisk, slow_disk


def told_of_losses(caplog: pytest.LogCaptureFixture) -> list[tuple[int, dict[str, int]]]:
    """Calls, and events by reason, of the lines at the stop."""
    lines = [vars(record) for record in caplog.records if "before the stop" in record.msg]
    return [(line["calls"], line["events_by_reason"]) for line in lines]


class Stuck:
    """A journal in the middle of a commit that the disk does not end; one call is in it."""

    def __init__(self, on: SlowDisk, monkeypatch: pytest.MonkeyPatch, last_try_s: float, **settings: object) -> None:
        monkeypatch.setattr(writer_module, "TICK_S", 3600.0)
        monkeypatch.setattr(writer_module, "LAST_TRY_S", last_try_s)
        self.commits: list[float] = []
        options: Any = {"commit_ms": 0, "ballast_bytes": 0, **settings}
        self.journal = SqliteJournal(JournalSettings(**options), vfs=on.name, on_commit=self.commits.append)
        self.journal.start()
        for _ in range(2):  # the second is answered after the first housekeeping
            assert self.journal.flush(5)
        self.commits.clear()
        on.stop_syncing()
        self.journal.close(closing("being written"))
        assert on.is_asked.wait(5)


def test_what_a_disk_has_not_taken_before_the_stop_is_counted_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with slow_disk() as on:
        journal = Stuck(on, monkeypatch, 0.01, directory=tmp_path, queue_max_rows=8).journal
        for number in range(5):
            journal.open(opening(f"call-{number}"))
        for number in range(5):
            journal.close(closing(f"call-{number}"))
        assert not journal.close_journal(0.01)
        assert told_of_losses(caplog) == [(6, {"queue_full": 2, "stopped": 9})]
        assert journal.stats().dropped == {"queue_full": 2, "stopped": 9}
        assert (journal.stats().queued_rows, journal.stats().unbalanced) == (0, 0)


def test_what_another_process_locks_out_at_the_stop_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    journal = SqliteJournal(JournalSettings(directory=tmp_path, commit_ms=0, ballast_bytes=0))
    journal.start()
    assert journal.flush(5)
    stranger = apsw.Connection(str(tmp_path / "journal-0.db"))
    stranger.execute("BEGIN IMMEDIATE")
    journal.open(opening("a"))
    journal.close(closing("a"))
    assert not journal.close_journal(0.01)
    stranger.close()
    assert told_of_losses(caplog) == [(1, {"stopped": 2})]


def test_a_disk_that_comes_back_for_the_last_try_has_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with slow_disk() as on:
        journal = Stuck(on, monkeypatch, 60.0, directory=tmp_path).journal
        journal.close(closing("waits"))
        monkeypatch.setattr(journal._give_up, "set", on.goes_on.set)
        assert journal.close_journal(0.01)
        with JournalReader(tmp_path / "journal-0.db") as reader:
            assert [call.exchange_id for call in reader.exchanges(limit=-1)] == ["being written", "waits"]
        assert told_of_losses(caplog) == []


def test_a_stop_writes_all_that_waits_in_one_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with slow_disk() as on:
        stuck = Stuck(on, monkeypatch, 60.0, directory=tmp_path)
        for number in range(3000):
            stuck.journal.close(closing(str(number)))
        monkeypatch.setattr(stuck.journal._give_up, "set", on.goes_on.set)
        assert stuck.journal.close_journal(0.01)
        assert len(stuck.commits) == 2
        assert stuck.journal.stats().exchanges == 3001


def test_drops_of_the_last_minute_are_told_before_the_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    journal = SqliteJournal(JournalSettings(directory=tmp_path, ballast_bytes=0, queue_max_rows=1))
    for number in range(3):
        journal.close(closing(str(number)))
    assert journal.close_journal(5)
    assert [(line["reason"], line["events"]) for line in map(vars, caplog.records)] == [("queue_full", 2)]
