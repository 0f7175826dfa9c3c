from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proxy.adapters.journal import JournalSettings, SqliteJournal
from proxy.cli.doctor import data_folder
from proxy.cli.doctor.data_folder import DataFolder, Journal, file_system, findings
from proxy.cli.doctor.finding import Finding
from proxy.domain.policy import AnalyticsPolicy
from tests.harness.rows import closing, event, opening

NOW_S = 1_795_000_000.0
GOOD = DataFolder(
    path=Path("data"),
    exists=True,
    owner=1000,
    we=1000,
    file_system="ext4",
    free_bytes=30 << 30,
    journals=[Journal(name="journal-0.db", size_bytes=1 << 30)],
)


def found(folder: DataFolder, *, is_shipped: bool = True) -> dict[str, Finding]:
    told = findings(folder, AnalyticsPolicy(), is_shipped=is_shipped, now_s=NOW_S)
    return {finding.title: finding for finding in told}


def journals(**changes: Any) -> list[Journal]:
    return [replace(GOOD.journals[0], **changes), Journal(name="journal-1.db")]


@pytest.mark.parametrize(
    ("changes", "title", "state", "said"),
    [
        ({}, "folder", "ok", "data"),
        ({"is_folder": False}, "folder", "fail", "data is a file"),
        ({"is_writable": False}, "folder", "fail", "data cannot be written"),
        ({"is_writable": False, "exists": False}, "folder", "fail", "does not exist and cannot be written"),
        ({"exists": False}, "folder", "ok", "the first start makes it"),
        ({"we": 0}, "folder", "warn", "belongs to user 1000, and you are user 0"),
        ({}, "permissions", "ok", "0700"),
        ({"mode": 0o755}, "permissions", "warn", "(0755)"),
        ({"open_to_others": ["journal-0.db", "secret"]}, "permissions", "warn", "others may open journal-0.db, secret"),
        ({"open_to_others": list("abcde")}, "permissions", "warn", "a, b, c and 2 more"),
        ({}, "disk", "ok", "a local file system (ext4)"),
        ({"file_system": None}, "disk", "ok", "not known"),
        ({"file_system": "nfs4"}, "disk", "fail", "a network file system (nfs4)"),
        ({"file_system": "fuse.sshfs"}, "disk", "fail", "fuse.sshfs"),
        ({"file_system": "overlay"}, "disk", "warn", "the container's own layer"),
        ({"file_system": "tmpfs"}, "disk", "warn", "memory"),
        ({}, "room", "ok", "30.0 GiB free; the journal takes 1.0 GiB of the 21.0 GiB it may"),
        ({"free_bytes": 19 << 30}, "room", "warn", "19.0 GiB free"),
        ({"free_bytes": 20 << 30}, "room", "ok", "20.0 GiB free"),
        ({"free_bytes": 1 << 20}, "room", "fail", "0.0 GiB free"),
        ({"journals": ()}, "journal", "skip", "there is none yet"),
        ({"journals": journals(trouble="is damaged")}, "journal", "fail", "journal-0.db is damaged"),
        ({"journals": journals(trouble="cannot be opened")}, "journal", "fail", "journal-0.db cannot be opened"),
        ({}, "outbox", "ok", "no event waits"),
        ({"journals": journals(dead={"quota": 1200, "poison": 0})}, "refused events", "warn", "1,200 quota"),
        ({"journals": journals(dropped={"outbox_full": 3})}, "dropped events", "warn", "3 outbox_full"),
    ],
)
def test_each_finding(changes: dict[str, Any], title: str, state: str, said: str) -> None:
    finding = found(replace(GOOD, **changes))[title]
    assert finding.state == state
    assert said in finding.found
    assert finding.advice or state == "ok"


def test_a_good_folder_has_nothing_to_be_done() -> None:
    assert {finding.state for finding in found(GOOD).values()} == {"ok"}
    assert "permissions" not in found(replace(GOOD, exists=False))


def test_old_events_wait_for_somebody_where_there_is_somebody() -> None:
    old = journals(pending=5, oldest_pending_unix_us=int((NOW_S - 3600) * 1e6))
    finding = found(replace(GOOD, journals=old))["outbox"]
    assert (finding.state, finding.found) == ("warn", "5 events wait, the oldest for 60 minutes")
    young = journals(pending=5, oldest_pending_unix_us=int((NOW_S - 60) * 1e6))
    assert found(replace(GOOD, journals=young))["outbox"].state == "ok"
    finding = found(replace(GOOD, journals=old), is_shipped=False)["outbox"]
    assert (finding.state, finding.found) == (
        "ok",
        "5 events wait; without a project to send them to, events stay here",
    )


def test_commands_name_the_folder_where_it_is_not_the_usual_one() -> None:
    elsewhere = replace(GOOD, path=Path("/srv/data"), journals=journals(dead={"quota": 1}))
    assert "`promptlane outbox dead --data /srv/data`" in found(elsewhere)["refused events"].advice
    assert "--data" not in found(replace(elsewhere, path=Path("data")))["refused events"].advice


MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
host:/srv /mnt/shared nfs4 rw 0 0
tmpfs /mnt/shared/inner\\040one tmpfs rw 0 0
/dev/sdb1 /mnt/twice ext4 rw 0 0
overlay /mnt/twice overlay rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/data", "ext4"),
        ("/mnt/shared", "nfs4"),
        ("/mnt/shared/data", "nfs4"),
        ("/mnt/shared-not", "ext4"),
        ("/mnt/shared/inner one/x", "tmpfs"),
        ("/mnt/twice/x", "overlay"),
    ],
)
def test_the_file_system_is_that_of_the_nearest_mount(path: str, kind: str) -> None:
    assert file_system(Path(path), MOUNTS) == kind
    assert file_system(Path(path), "") is None


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    """Three calls, of which one event is dead; the proxy runs."""
    journal = SqliteJournal(JournalSettings(directory=tmp_path / "data", commit_ms=0, ballast_bytes=4096))
    journal.start()
    for number in range(3):
        journal.open(opening(f"call-{number}"))
        journal.close(closing(f"call-{number}"))
    journal.flush(5)
    yield journal
    journal.close_journal(5)


async def test_a_folder_of_a_running_proxy(journal: SqliteJournal, tmp_path: Path) -> None:
    await journal.lease()
    await journal.bury([event("call-0").uuid], "quota")
    await journal.release_all()
    folder = data_folder.look(tmp_path / "data")
    assert (folder.exists, folder.is_writable, folder.mode, folder.open_to_others) == (True, True, 0o700, [])
    assert folder.owner == folder.we
    assert folder.free_bytes > 0
    (file,) = folder.journals
    assert (file.name, file.trouble, file.pending, dict(file.dead)) == ("journal-0.db", None, 5, {"quota": 1})
    assert file.size_bytes > 0
    assert file.oldest_pending_unix_us is not None
    assert file.newest_call_unix_us == 2_000_000_000_000_000
    (tmp_path / "data" / "secret").write_text("x")
    (tmp_path / "data" / "secret").chmod(0o640)
    (tmp_path / "data" / "journal-7.db").write_bytes(b"no journal" * 500)
    folder = data_folder.look(tmp_path / "data")
    assert folder.open_to_others == ["journal-7.db", "secret"]
    assert {file.name: file.trouble for file in folder.journals} == {
        "journal-0.db": None,
        "journal-7.db": "is damaged",
    }


def test_what_is_absent_is_judged_by_the_folder_above_and_not_made(tmp_path: Path) -> None:
    folder = data_folder.look(tmp_path / "a" / "b")
    assert (folder.exists, folder.is_writable, folder.journals) == (False, True, ())
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    assert not data_folder.look(tmp_path / "file").is_folder
    assert data_folder.look(tmp_path, mounts=tmp_path / "absent").file_system is None
