import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from proxy.adapters.journal import JournalReader, JournalSettings, SqliteJournal
from proxy.adapters.journal import orphans as orphans_module
from proxy.adapters.journal.orphans import GRACE_S, REVISIT_S, Orphans
from proxy.adapters.journal.outbox import OutboxRow
from proxy.adapters.journal.place import lock
from tests.harness.open_files import no_more_files
from tests.harness.rows import COMPLETED, FAILED, STARTED, closing, interrupted, opening

NOW_US = 2_000_000_000_000_000


@dataclass
class Heir:
    """A living worker that takes rows over and notes them."""

    directory: Path
    now_s: float = 0.0
    rows: list[OutboxRow] = field(default_factory=list)
    takes: bool = True

    def __post_init__(self) -> None:
        self.orphans = Orphans(
            JournalSettings(directory=self.directory), lambda: NOW_US, interrupted, lambda: self.now_s
        )

    def take_over(self, rows: list[OutboxRow]) -> bool:
        if self.takes:
            self.rows += rows
        return self.takes

    def visit(self, after_s: float = 0.0) -> list[str]:
        """Returns the names of all events taken over so far."""
        self.now_s += after_s
        self.orphans.visit(self.directory / "journal-0.db", self.take_over)
        return [row.name for row in self.rows]


@pytest.fixture
def heir(tmp_path: Path) -> Heir:
    """Beside a worker that died with one call ended and one running."""
    settings = JournalSettings(directory=tmp_path, worker=1, ballast_bytes=4096)
    journal = SqliteJournal(settings, wall_unix_us=lambda: NOW_US)
    for call in ("ended", "running"):
        journal.open(opening(call))
    journal.close(closing("ended"))
    journal.start()
    assert journal.close_journal(5)
    return Heir(tmp_path)


ALL = [STARTED, STARTED, COMPLETED, FAILED]


def test_a_file_without_an_owner_is_emptied_after_a_while(heir: Heir) -> None:
    assert heir.visit() == []
    assert heir.visit(GRACE_S) == ALL
    assert heir.visit(1) == ALL
    with JournalReader(heir.directory / "journal-1.db") as reader:
        stats = reader.stats()
        assert sorted(one.exchange_id for one in reader.exchanges()) == ["ended", "running"]
    assert (stats.pending, stats.admitted, stats.unbalanced) == (0, 0, 0)


def test_nothing_of_what_was_taken_over_stays_in_its_file(tmp_path: Path) -> None:
    journal = SqliteJournal(JournalSettings(directory=tmp_path, worker=1), wall_unix_us=lambda: NOW_US)
    for number in range(200):
        journal.close(closing(f"call{number}"))
    journal.start()
    assert journal.close_journal(5)
    heir = Heir(tmp_path)
    heir.visit()
    assert len(heir.visit(GRACE_S)) == 200
    held = (tmp_path / "journal-1.db").read_bytes()
    assert [row.name for row in heir.rows if row.body in held] == []


def test_a_file_with_an_owner_is_left_alone_and_its_time_starts_anew(heir: Heir) -> None:
    heir.visit()
    descriptor = lock(heir.directory / "journal-1.db")
    assert descriptor is not None
    assert heir.visit(GRACE_S) == []
    os.close(descriptor)
    assert heir.visit() == []
    assert heir.visit(GRACE_S) == ALL


def test_what_cannot_be_taken_over_stays(heir: Heir) -> None:
    heir.takes = False
    heir.visit()
    assert heir.visit(GRACE_S) == []
    heir.takes = True
    assert heir.visit() == ALL


def test_an_emptied_file_is_opened_again_only_when_it_changed_or_after_long(
    heir: Heir, monkeypatch: pytest.MonkeyPatch
) -> None:
    heir.visit()
    heir.visit(GRACE_S)
    locked: list[Path] = []
    monkeypatch.setattr(orphans_module, "lock", locked.append)
    heir.visit(1)
    assert locked == []
    heir.visit(REVISIT_S)
    assert [path.name for path in locked] == ["journal-1.db"]
    os.utime(heir.directory / "journal-1.db", (1, 1))
    heir.visit()
    assert len(locked) == 2


def test_a_ruined_file_is_said_once_and_harms_nothing(heir: Heir, caplog: pytest.LogCaptureFixture) -> None:
    (heir.directory / "journal-1.db").write_bytes(b"?" * 9000)
    heir.visit()
    assert heir.visit(GRACE_S) == []
    heir.visit(1)
    assert len(caplog.records) == 1


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orphans_module, "GRACE_S", 0.0)
    monkeypatch.setattr("proxy.adapters.journal.writer.TICK_S", 0.01)


@pytest.mark.usefixtures("impatient")
def test_a_living_worker_does_so_by_itself(heir: Heir) -> None:
    journal = SqliteJournal(JournalSettings(directory=heir.directory, commit_ms=0, ballast_bytes=4096))
    journal.recover(interrupted)
    journal.start()
    while journal.stats().pending < len(ALL):
        assert journal.flush(5)
    assert journal.stats().unbalanced == 0
    assert journal.close_journal(5)


def test_while_no_more_files_may_be_open_there_is_nothing_to_see(heir: Heir) -> None:
    heir.visit()
    with no_more_files():
        assert heir.visit(after_s=GRACE_S) == []
    assert heir.visit() == ALL
