import logging
import multiprocessing
import os
import stat
from hashlib import blake2b
from pathlib import Path

import pytest

from proxy.adapters.shared_memory import FILE_NAME, SharedMemory, open_shared_memory

SLOT_BYTES = 128
HEAD_BYTES = 4096


def key(number: int) -> bytes:
    return blake2b(number.to_bytes(8), digest_size=16).digest()


class Ticks:
    """Each look at the clock is a microsecond later."""

    def __init__(self, now_us: int = 1_795_000_000_000_000) -> None:
        self.now_us = now_us

    def __call__(self) -> int:
        self.now_us += 1
        return self.now_us


def table(folder: Path, buckets: int = 4, ticks: Ticks | None = None) -> SharedMemory:
    return open_shared_memory(folder, buckets=buckets, unix_us=ticks or Ticks())


def overwrite(folder: Path, at: int, data: bytes) -> None:
    with (folder / FILE_NAME).open("r+b") as file:
        file.seek(at)
        file.write(data)


def slot_of(folder: Path, wanted: bytes) -> int:
    return (folder / FILE_NAME).read_bytes().index(wanted)


def test_what_is_remembered_is_recalled_until_something_else_is(tmp_path: Path) -> None:
    memory = table(tmp_path)
    assert memory.recall(key(1)) is None
    assert memory.remember(key(1), b"one")
    assert memory.recall(key(1)) == b"one"
    assert not memory.remember(key(1), bytes(96))
    assert memory.recall(key(1)) == bytes(96)
    assert memory.remember(key(2), b"")
    assert memory.recall(key(2)) == b""


def test_what_becomes_of_a_fact_takes_its_place(tmp_path: Path) -> None:
    memory = table(tmp_path)
    seen: list[bytes | None] = []

    def one_more(known: bytes | None) -> bytes:
        seen.append(known)
        return (known or b"") + b"x"

    assert memory.revise(key(1), one_more) is None
    assert memory.revise(key(1), one_more) == b"x"
    assert seen == [None, b"x"]
    assert memory.recall(key(1)) == b"xx"


def test_other_workers_and_later_ones_know_it(tmp_path: Path) -> None:
    first, second = table(tmp_path), table(tmp_path)
    first.remember(key(1), b"one")
    assert second.recall(key(1)) == b"one"
    assert not second.remember(key(1), b"uno")
    assert first.recall(key(1)) == b"uno"
    first.close()
    second.close()
    assert table(tmp_path).recall(key(1)) == b"uno"


def test_the_oldest_of_a_bucket_goes(tmp_path: Path) -> None:
    memory = table(tmp_path, buckets=1)
    for number in range(8):
        memory.remember(key(number), b"x")
    memory.remember(key(0), b"fresh")
    memory.remember(key(8), b"x")
    assert [number for number in range(9) if memory.recall(key(number)) is None] == [1]


def test_a_fact_of_a_clock_that_was_set_back_makes_room_first(tmp_path: Path) -> None:
    ticks = Ticks(1_895_000_000_000_000)
    memory = table(tmp_path, buckets=1, ticks=ticks)
    memory.remember(key(99), b"from the future")
    ticks.now_us = 1_795_000_000_000_000
    for number in range(8):
        memory.remember(key(number), b"x")
    assert memory.recall(key(99)) is None
    assert all(memory.recall(key(number)) == b"x" for number in range(8))


@pytest.mark.parametrize("place", [20, 24, 30, 121])
def test_what_two_wrote_at_once_counts_as_nothing(tmp_path: Path, place: int) -> None:
    """Each part of a slot: time, length, value, checksum."""
    memory = table(tmp_path)
    memory.remember(key(1), b"one two three")
    overwrite(tmp_path, slot_of(tmp_path, key(1)) + place, b"\xee")
    assert memory.recall(key(1)) is None
    assert memory.remember(key(1), b"again")
    assert memory.recall(key(1)) == b"again"


def test_a_key_within_a_value_is_not_taken_for_a_fact(tmp_path: Path) -> None:
    memory = table(tmp_path, buckets=1)
    memory.remember(key(1), key(2) * 5)
    assert memory.recall(key(2)) is None
    memory.remember(key(2), b"two")
    assert memory.recall(key(2)) == b"two"


def test_the_later_of_two_facts_written_at_once_counts(tmp_path: Path) -> None:
    memory = table(tmp_path, buckets=1)
    memory.remember(key(0), b"other")
    memory.remember(key(1), b"later")
    slot = (tmp_path / FILE_NAME).read_bytes()[HEAD_BYTES + SLOT_BYTES : HEAD_BYTES + 2 * SLOT_BYTES]
    table(tmp_path, buckets=1, ticks=Ticks(1_000)).remember(key(1), b"older")
    overwrite(tmp_path, HEAD_BYTES + 4 * SLOT_BYTES, slot)
    assert memory.recall(key(1)) == b"later"


def _write(folder: Path, writer: int, rounds: int) -> None:
    memory = open_shared_memory(folder, buckets=1)
    for turn in range(rounds):
        memory.remember(key(turn % 3), bytes([writer + turn % 100]) * 96)
    memory.close()


def test_processes_that_write_at_the_same_time_leave_nothing_torn(tmp_path: Path) -> None:
    """Three keys in one bucket: each writer overwrites what the other has just begun to write."""
    memory = open_shared_memory(tmp_path, buckets=1)
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write, args=(tmp_path, writer, 4_000)) for writer in (0, 100)]
    for writer in writers:
        writer.start()
    seen = set()
    while any(writer.is_alive() for writer in writers):
        seen |= {memory.recall(key(number)) for number in range(3)}
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert all(value is None or (len(value) == 96 and len(set(value)) == 1) for value in seen)
    assert len(seen) > 2
    assert all(memory.recall(key(number)) for number in range(3))


@pytest.mark.parametrize("found", [b"promptlane facts" + bytes(5000), b"something else", bytes(HEAD_BYTES + 4096)])
def test_a_file_of_another_layout_gives_way(tmp_path: Path, found: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(found)
    memory = table(tmp_path)
    assert memory.remember(key(1), b"one")
    assert table(tmp_path).recall(key(1)) == b"one"


def test_who_still_uses_another_layout_goes_on(tmp_path: Path) -> None:
    before, after = table(tmp_path, buckets=4), table(tmp_path, buckets=8)
    before.remember(key(1), b"one")
    after.remember(key(2), b"two")
    assert before.recall(key(1)) == b"one"
    assert after.recall(key(1)) is None
    assert table(tmp_path, buckets=8).recall(key(2)) == b"two"


def test_the_file_is_for_its_owner_alone_and_takes_no_room_before_it_is_used(tmp_path: Path) -> None:
    memory = open_shared_memory(tmp_path)
    status = (tmp_path / FILE_NAME).stat()
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert status.st_size > 32 << 20
    assert status.st_blocks * 512 < 64 << 10
    memory.remember(key(1), b"one")
    assert (tmp_path / FILE_NAME).stat().st_blocks * 512 < 256 << 10


@pytest.mark.parametrize("is_folder_missing", [True, False])
def test_where_the_folder_cannot_be_used_memory_serves(
    tmp_path: Path, is_folder_missing: bool, caplog: pytest.LogCaptureFixture
) -> None:
    if not is_folder_missing:
        (tmp_path / FILE_NAME).symlink_to(tmp_path / "elsewhere")
    memory = table(tmp_path / "missing" if is_folder_missing else tmp_path)
    assert memory.remember(key(1), b"one")
    assert memory.recall(key(1)) == b"one"
    memory.close()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert not (tmp_path / "elsewhere").exists()


def test_a_full_disk_costs_what_is_remembered_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    is_full = True
    real = os.posix_fallocate

    def allocate(descriptor: int, begin: int, size_bytes: int) -> None:
        if is_full:
            raise OSError(28, "No space left on device")
        real(descriptor, begin, size_bytes)

    monkeypatch.setattr(os, "posix_fallocate", allocate)
    memory = table(tmp_path)
    assert memory.remember(key(1), b"one")
    assert memory.remember(key(1), b"one")
    assert memory.revise(key(1), lambda known: known or b"one") is None
    assert memory.recall(key(1)) is None
    assert len(caplog.records) == 1
    is_full = False
    assert memory.remember(key(1), b"one")
    assert memory.recall(key(1)) == b"one"


def _go_on_with_a_file_that_was_cut(folder: Path, size_bytes: int) -> None:
    memory, other = table(folder, buckets=200), table(folder, buckets=200)
    for number in range(400):
        memory.remember(key(number), b"before")
        other.recall(key(number))
    os.truncate(folder / FILE_NAME, size_bytes)
    for number in range(400):
        assert memory.recall(key(number)) in (None, b"before")
        memory.remember(key(number), b"after")
    assert all(other.recall(key(number)) == b"after" for number in range(400))
    assert table(folder, buckets=200).recall(key(1)) == b"after"


@pytest.mark.parametrize("size_bytes", [0, 5_000])
def test_a_file_that_somebody_cuts_kills_nobody(tmp_path: Path, size_bytes: int) -> None:
    """In a process of its own: it is the kernel that would kill it."""
    cut = multiprocessing.get_context("fork").Process(
        target=_go_on_with_a_file_that_was_cut, args=(tmp_path, size_bytes)
    )
    cut.start()
    cut.join()
    assert cut.exitcode == 0
