import logging
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from proxy.adapters.journal import JournalSettings
from proxy.adapters.journal.backing import MAX_QUARANTINES, Backing, StoreFailed
from proxy.adapters.journal.file import JournalFile
from tests.harness.full_disk import Disk, disk
from tests.harness.rows import closing, opening

NOW_US = 1_800_000_000_000_000
STAMP = "20270115T080000Z"
BALLAST_BYTES = 256 * 1024


def make(folder: Path, on: Disk | None = None) -> Backing:
    settings = JournalSettings(directory=folder, ballast_bytes=BALLAST_BYTES)
    if on is None:
        return Backing(settings, lambda: NOW_US)
    return Backing(settings, lambda: NOW_US, vfs=on.name, free=on.free)


def end(call: str, record_bytes: int = 0) -> Callable[[JournalFile, bool], None]:
    def work(file: JournalFile, accepts_rows: bool) -> None:
        if accepts_rows:
            file.write([closing(call, ended_unix_us=NOW_US, record_bytes=record_bytes)])

    return work


def exchanges(backing: Backing) -> int:
    return backing.file.tally.stats(oldest_pending_unix_us=None).exchanges


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_new_directory(tmp_path: Path) -> None:
    backing = make(tmp_path / "data")
    backing.write(end("a"))
    assert backing.degraded == ()
    assert {"journal-0.db", "journal-0.lock", "journal-0.ballast"} <= names(tmp_path / "data")
    backing.finish()
    again = make(tmp_path / "data")
    assert exchanges(again) == 1
    again.finish()


def test_two_on_one_directory_have_a_file_each(tmp_path: Path) -> None:
    one, other = make(tmp_path), make(tmp_path)
    one.write(end("a"))
    other.write(end("b"))
    assert (exchanges(one), exchanges(other)) == (1, 1)
    assert {"journal-0.db", "journal-0-2.db"} <= names(tmp_path)
    one.finish()
    other.finish()


def test_a_file_that_somebody_holds_without_our_lock_is_left_to_them(tmp_path: Path) -> None:
    make(tmp_path).finish()
    stranger = apsw.Connection(str(tmp_path / "journal-0.db"))
    stranger.pragma("locking_mode", "exclusive")
    stranger.execute("BEGIN EXCLUSIVE")
    backing = make(tmp_path)
    backing.write(end("a"))
    assert "journal-0-2.db" in names(tmp_path)
    backing.finish()
    stranger.close()


def scribble(path: Path) -> None:
    path.write_bytes(b"\xff" * 50_000)


def truncate(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def renumber(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.pragma("user_version", 2)
    connection.close()


@pytest.mark.parametrize("ruin", [scribble, truncate, cut, renumber])
def test_an_unusable_file_is_put_aside_and_said_once(
    tmp_path: Path, ruin: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    first = make(tmp_path)
    first.write(end("a"))
    first.finish()
    ruin(tmp_path / "journal-0.db")
    found = (tmp_path / "journal-0.db").read_bytes()
    caplog.set_level(logging.DEBUG)
    backing = make(tmp_path)
    backing.write(end("b"))
    assert (exchanges(backing), backing.quarantined_files, backing.degraded) == (1, 1, ())
    assert (tmp_path / f"journal-0.db.corrupt-{STAMP}").read_bytes() == found
    (record,) = caplog.records
    assert vars(record)["kept_as"] == f"journal-0.db.corrupt-{STAMP}"
    backing.finish()


def test_damage_that_shows_later_costs_what_was_held_and_nothing_more(tmp_path: Path) -> None:
    with disk(tmp_path / "data") as on:
        backing = make(on.folder, on)
        backing.write(end("a"))
        on.broken_writes = 1
        backing.write(end("b"))
        stats = backing.file.tally.stats(oldest_pending_unix_us=None)
        assert (stats.admitted, stats.pending, stats.dropped) == (2, 1, {"quarantined": 1})
        assert (stats.unbalanced, backing.quarantined_files, backing.degraded) == (0, 1, ())
        backing.finish()


def test_a_place_that_stays_broken_leaves_memory(tmp_path: Path) -> None:
    with disk(tmp_path / "data") as on:
        backing = make(on.folder, on)
        backing.write(end("a"))
        on.broken_writes = 1 << 30
        backing.write(end("b"))
        assert backing.degraded == ("memory",)
        assert backing.quarantined_files <= MAX_QUARANTINES
        assert exchanges(backing) == 1
        assert backing.file.tally.stats(oldest_pending_unix_us=None).unbalanced == 0
        backing.finish()


def test_where_nothing_can_be_written_there_is_memory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    backing = make(tmp_path / "file" / "data")
    backing.write(end("a"))
    assert (exchanges(backing), backing.degraded) == (1, ("memory",))
    assert "memory only" in caplog.text
    backing.finish()


def test_a_file_that_is_removed_is_begun_anew(tmp_path: Path) -> None:
    backing = make(tmp_path)
    backing.write(end("a"))
    for path in tmp_path.glob("journal-0.db*"):
        path.unlink()
    backing.tend()
    backing.write(end("b"))
    stats = backing.file.tally.stats(oldest_pending_unix_us=None)
    assert (stats.admitted, stats.pending, stats.dropped) == (2, 1, {"quarantined": 1})
    assert (tmp_path / "journal-0.db").exists()
    backing.finish()


def test_a_name_that_was_removed_and_taken_by_another_is_left_to_it(tmp_path: Path) -> None:
    backing = make(tmp_path)
    for path in tmp_path.iterdir():
        path.unlink()
    other = make(tmp_path)
    other.write(end("theirs"))
    backing.tend()
    backing.write(end("ours"))
    other.tend()
    assert (exchanges(backing), exchanges(other)) == (1, 1)
    assert not list(tmp_path.glob("*.corrupt-*"))
    backing.finish()
    other.finish()


def test_on_a_full_disk_rows_can_leave_and_none_come_in(tmp_path: Path) -> None:
    with disk(tmp_path / "data") as on:
        backing = make(on.folder, on)
        for number in range(50):
            backing.write(end(f"early-{number}", record_bytes=2000))
        on.fill()
        seen: list[bool] = []

        def work(file: JournalFile, accepts_rows: bool) -> None:
            seen.append(accepts_rows)
            end("late", record_bytes=500_000)(file, accepts_rows)

        backing.write(work)
        assert seen[-1] is False
        assert "disk_full" in backing.degraded
        assert not (on.folder / "journal-0.ballast").exists()

        def deliver(file: JournalFile, accepts_rows: bool) -> None:
            uuids = file.outbox.lease(100, 1 << 30).uuids
            assert file.outbox.bury(uuids[:1], "poison") == 1
            file.sweep()

        backing.write(deliver)
        backing.tend()
        assert backing.is_full, "there is no room for the ballast yet"
        on.capacity_bytes = None
        backing.tend()
        assert backing.degraded == ()
        backing.write(end("after"))
        assert exchanges(backing) == 51
        assert (on.folder / "journal-0.ballast").exists()
        backing.finish()


def test_when_not_even_the_ballast_helps(tmp_path: Path) -> None:
    with disk(tmp_path / "data") as on:
        backing = make(on.folder, on)
        backing.write(end("a"))
        on.capacity_bytes = 0
        with pytest.raises(StoreFailed):
            backing.write(lambda file, _: file.write([closing("b")]))
        on.capacity_bytes = None
        backing.tend()
        backing.write(end("c"))
        assert exchanges(backing) == 2
        backing.finish()


def test_a_row_that_fits_no_table_does_not_cost_the_file(tmp_path: Path) -> None:
    backing = make(tmp_path)
    with pytest.raises(TypeError):
        backing.write(lambda file, _: file.write([opening(object())]))  # type: ignore[arg-type]
    assert backing.quarantined_files == 0
    backing.finish()


def test_a_file_that_is_locked_is_the_callers_to_wait_for(tmp_path: Path) -> None:
    backing = make(tmp_path)
    stranger = apsw.Connection(str(tmp_path / "journal-0.db"))
    stranger.execute("BEGIN IMMEDIATE")
    with pytest.raises(apsw.BusyError):
        backing.write(end("a"))
    stranger.execute("ROLLBACK")
    backing.write(end("a"))
    assert exchanges(backing) == 1
    stranger.close()
    backing.finish()


def test_what_was_deleted_is_nowhere_in_the_folder_within_a_minute(tmp_path: Path) -> None:
    """Neither in free pages nor in the log; and no more often than that."""
    now_us = [NOW_US]
    short = {"store_max_age_s": 60, "outbox_max_age_s": 60, "has_destination": False}
    backing = Backing(JournalSettings(directory=tmp_path, ballast_bytes=0, **short), lambda: now_us[0])  # type: ignore[arg-type]

    def found() -> list[str]:
        return [path.name for path in tmp_path.iterdir() if b"canary" in path.read_bytes()]

    for begin in (0, 200):
        old = [closing(f"canary{number}" * 50, ended_unix_us=now_us[0]) for number in range(begin, begin + 200)]
        with backing.file.transaction():
            backing.file.write(old)
        now_us[0] += 61_000_000
        with backing.file.transaction():
            backing.file.sweep()
        assert exchanges(backing) == 0
        assert found()
        backing.is_soiled = True
        backing.tend()
        assert found() == []
    backing.write(end("canary"))
    backing.is_soiled = True
    backing.tend()
    assert backing.is_soiled, "it was done a moment ago"
    backing.finish()
