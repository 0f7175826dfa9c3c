from pathlib import Path

import pytest

from proxy.adapters.journal import JournalSettings, SqliteJournal
from proxy.adapters.journal.requests import Request, RequestWaits, do_now, done, leave, waiting
from tests.harness.open_files import no_more_files
from tests.harness.rows import event, outcome

NOW_US = 1_800_000_000_000_000
REQUEST = Request(verb="replay", before_unix_us=NOW_US, reason="quota")


def test_a_request_waits_until_it_is_done(tmp_path: Path) -> None:
    path = tmp_path / "journal-0.db"
    assert waiting(path) is None
    left = leave(path, REQUEST)
    assert left.stat().st_mode & 0o777 == 0o600
    assert waiting(path) == REQUEST
    with pytest.raises(RequestWaits):
        leave(path, REQUEST)
    assert [one.name for one in tmp_path.iterdir()] == ["journal-0.request"]
    done(path)
    assert waiting(path) is None


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b'{"verb":"replay"}', b'{"verb":"replay","what":1}', b"\xff" * 9999]
)
def test_nonsense_is_removed(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "journal-0.request").write_bytes(content)
    assert waiting(tmp_path / "journal-0.db") is None
    assert list(tmp_path.iterdir()) == []


def test_a_request_stays_while_no_more_files_may_be_open(tmp_path: Path) -> None:
    path = tmp_path / "journal-0.db"
    leave(path, REQUEST)
    with no_more_files():
        assert waiting(path) is None
    assert waiting(path) == REQUEST


async def test_only_the_owner_of_the_lock_writes(tmp_path: Path) -> None:
    settings = JournalSettings(directory=tmp_path, commit_ms=0, ballast_bytes=4096)
    journal = SqliteJournal(settings, wall_unix_us=lambda: NOW_US)
    journal.start()
    journal.note(outcome([event("a"), event("b")]))
    await journal.lease()
    await journal.bury([event("a").uuid], "quota")
    request = Request(verb="replay", before_unix_us=NOW_US + 1)
    assert do_now(tmp_path / "journal-0.db", request, settings, NOW_US) is None
    assert journal.close_journal(5)
    assert do_now(tmp_path / "journal-0.db", request, settings, NOW_US) == 1
    assert do_now(tmp_path / "journal-0.db", request, settings, NOW_US) == 0


async def test_what_dies_after_the_request_is_not_its_concern(tmp_path: Path) -> None:
    settings = JournalSettings(directory=tmp_path, commit_ms=0, ballast_bytes=4096)
    journal = SqliteJournal(settings, wall_unix_us=lambda: NOW_US)
    journal.start()
    journal.note(outcome([event("a")]))
    await journal.lease()
    await journal.bury([event("a").uuid], "quota")
    assert journal.close_journal(5)
    assert do_now(tmp_path / "journal-0.db", REQUEST, settings, NOW_US) == 0
