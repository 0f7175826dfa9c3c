import os
from pathlib import Path

import pytest

from proxy.adapters.journal.place import SLOTS, Place, Taken, free_bytes, journal_files, lock

BALLAST_BYTES = 8192


def claim(directory: Path, free: int = 1 << 30) -> Place:
    return Place.claim(directory, 0, BALLAST_BYTES, lambda _: free)


def test_the_directory_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    place = claim(tmp_path / "deep" / "data")
    assert place.path == tmp_path / "deep" / "data" / "journal-0.db"
    assert place.path.parent.stat().st_mode & 0o777 == 0o700
    assert place.path.with_suffix(".lock").stat().st_mode & 0o777 == 0o600
    place.release()


def test_a_directory_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    claim(tmp_path).release()
    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_a_name_that_is_taken_is_left_alone(tmp_path: Path) -> None:
    first, second = claim(tmp_path), claim(tmp_path)
    assert [first.path.name, second.path.name] == ["journal-0.db", "journal-0-2.db"]
    first.release()
    third = claim(tmp_path)
    assert third.path.name == "journal-0.db"
    third.release()
    second.release()


def test_names_run_out(tmp_path: Path) -> None:
    places = [claim(tmp_path) for _ in range(SLOTS)]
    with pytest.raises(Taken):
        claim(tmp_path)
    for place in places:
        place.release()


def test_the_lock_is_exclusive_and_ends_with_its_descriptor(tmp_path: Path) -> None:
    descriptor = lock(tmp_path / "journal-0.db")
    assert descriptor is not None
    assert lock(tmp_path / "journal-0.db") is None
    os.close(descriptor)
    again = lock(tmp_path / "journal-0.db")
    assert again is not None
    os.close(again)


def test_where_no_directory_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="Not a directory"):
        claim(tmp_path / "file" / "data")


def test_quarantine_takes_the_log_along_and_overwrites_nothing(tmp_path: Path) -> None:
    place = claim(tmp_path)
    for turn in range(2):
        place.path.write_text(f"db {turn}")
        Path(f"{place.path}-wal").write_text(f"wal {turn}")
        Path(f"{place.path}-shm").write_text("shm")
        place.quarantine("20261123T000000Z")
    place.release()
    left = {path.name: path.read_text() for path in tmp_path.iterdir() if path.suffix != ".lock"}
    assert left == {
        "journal-0.db.corrupt-20261123T000000Z": "db 0",
        "journal-0.db.corrupt-20261123T000000Z-wal": "wal 0",
        "journal-0.db.corrupt-20261123T000000Z-2": "db 1",
        "journal-0.db.corrupt-20261123T000000Z-2-wal": "wal 1",
    }
    assert journal_files(tmp_path) == []


def test_the_ballast_takes_real_space_and_gives_it_back(tmp_path: Path) -> None:
    place = claim(tmp_path)
    ballast = tmp_path / "journal-0.ballast"
    assert place.lay_ballast()
    assert place.lay_ballast(), "once is enough"
    assert ballast.stat().st_blocks * 512 >= BALLAST_BYTES
    place.drop_ballast()
    place.drop_ballast()
    assert not ballast.exists()
    place.release()


def test_no_ballast_on_a_disk_that_is_nearly_full(tmp_path: Path) -> None:
    place = claim(tmp_path, free=4 * BALLAST_BYTES - 1)
    assert not place.lay_ballast()
    assert not (tmp_path / "journal-0.ballast").exists()
    place.release()


def test_free_bytes_are_those_of_the_disk(tmp_path: Path) -> None:
    assert free_bytes(tmp_path) > 0
