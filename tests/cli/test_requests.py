from pathlib import Path

from proxy.adapters.journal import JournalSettings, SqliteJournal
from proxy.adapters.journal.requests import Request
from proxy.cli.requests import carry_out

REQUEST = Request(verb="purge", before_unix_us=0)


def test_each_file_has_it_done_here_or_by_its_owner(tmp_path: Path) -> None:
    settings = [JournalSettings(directory=tmp_path, worker=worker, ballast_bytes=4096) for worker in (0, 1)]
    alone, owned = map(SqliteJournal, settings)
    assert alone.close_journal(5)
    assert carry_out(tmp_path, REQUEST, patience_s=0.0) == {"done": 0, "asked": 1, "late": 1}
    (tmp_path / "journal-1.request").unlink()
    owned.start()
    assert carry_out(tmp_path, REQUEST) == {"done": 0, "asked": 1, "late": 0}
    assert owned.close_journal(5)
    assert carry_out(tmp_path, REQUEST) == {"done": 0, "asked": 0, "late": 0}
