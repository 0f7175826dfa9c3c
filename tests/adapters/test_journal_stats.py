"""Several journal files beside each other, one of them damaged."""

from pathlib import Path

from proxy.adapters.journal import JournalSettings, SqliteJournal, journal_files
from proxy.adapters.journal_stats import stats_by_file
from proxy.domain.journal_rows import Closing


def keep(folder: Path, worker: int, trace_id: str) -> None:
    """A worker's file with one ended call."""
    journal = SqliteJournal(JournalSettings(directory=folder, worker=worker), wall_unix_us=lambda: 1)
    journal.close(
        Closing(exchange_id=f"x{worker}", trace_id=trace_id, ended_unix_us=1, events=(), record=b"%d" % worker)
    )
    assert journal.close_journal(10)


def test_one_s_own_file_and_damaged_ones_are_left_out(tmp_path: Path) -> None:
    for worker in range(3):
        keep(tmp_path, worker, "t")
    own, damaged, other = sorted(journal_files(tmp_path))
    damaged.write_bytes(b"not a journal")
    assert [stats.exchanges for stats in stats_by_file(tmp_path, but=own).values()] == [1]
    assert other.name in {path.name for path in journal_files(tmp_path)}
