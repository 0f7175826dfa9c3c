"""Small facts that all workers of a data folder know, for a while: a table of fixed size in a map of one file.

A key names a bucket of eight slots, in one of which its fact stands; where none is free the oldest of them goes. So
nothing is ever full, swept or resized, and what is asked or told costs a microsecond or two, whatever is in there.

No lock is held. A slot is written in one go, with a checksum, and one that two processes wrote at the same moment, or
that is read while it is written, is as good as empty. Who relies on a fact must be able to live without it.

A page of the map that is touched for the first time needs room on the disk, and one beyond the end of the file, which
somebody has cut, is none: in both cases the kernel kills the process. So the file's length is asked for each time, and
room is taken, a piece at a time, before a bucket in it is looked at. To ask now and then would not do: a busy proxy
looks at a hundred buckets before anybody notices. To read and write the file instead of a map takes twice the time.
"""

import fcntl
import logging
import os
import time
from collections.abc import Callable
from mmap import mmap
from pathlib import Path
from struct import Struct
from zlib import crc32

FILE_NAME = "shared-memory.bin"
KEY_BYTES = 16
VALUE_LIMIT_BYTES = 96
BUCKETS = 1 << 15
"""Of 1 KiB each: room for 262,144 facts in 32 MiB."""

_FACT = Struct(f"<{KEY_BYTES}sQB{VALUE_LIMIT_BYTES}s")
"""Key, when it was written (microseconds since 1970; 0: never), length of the value, value."""
_SEALED_BYTES = _FACT.size + 4
_SLOT_BYTES = 128
"""A fact, and its checksum."""
_SLOTS = 8
_TIMES = Struct("<" + f"{KEY_BYTES}xQ{_SLOT_BYTES - KEY_BYTES - 8}x" * _SLOTS)
_BUCKET_BYTES = _SLOTS * _SLOT_BYTES
_HEAD_BYTES = 4096
_PIECE_BYTES = 1 << 16
_CLOCK_DOUBT_US = 3_600_000_000
"""A fact that is so much younger than now was written by a clock that was set back, or is none."""

_log = logging.getLogger(__name__)


class SharedMemory:
    """The table. Satisfies `pipeline.ports.SharedMemory`; made by `open_shared_memory`."""

    def __init__(self, descriptor: int | None, buckets: int, unix_us: Callable[[], int]) -> None:
        """`descriptor` is of a file that has been laid out; None keeps the table in this process."""
        self._size_bytes = size_bytes = _HEAD_BYTES + buckets * _BUCKET_BYTES
        self._descriptor = descriptor
        self._map = mmap(-1 if descriptor is None else descriptor, size_bytes)
        self._buckets = buckets
        self._unix_us = unix_us
        self._has_room = bytearray(size_bytes // _PIECE_BYTES + 1)
        self._is_told = False

    def recall(self, key: bytes) -> bytes | None:
        """What was remembered last under the 16 bytes; None where nothing is known any more."""
        offset = self._bucket(key)
        if offset is None:
            return None
        found = _found(self._map[offset : offset + _BUCKET_BYTES], key)
        return None if found is None else found[1]

    def remember(self, key: bytes, value: bytes) -> bool:
        """Keep up to 96 bytes under the 16, in place of what was known; True when nothing was.

        Two processes that do so at the same moment may both be told True.
        """
        return self.revise(key, lambda _: value) is None

    def revise(self, key: bytes, change: Callable[[bytes | None], bytes]) -> bytes | None:
        """Keep what `change` makes of what was known, which is given back; in half the time of doing it in two steps.

        `change` is called once in any case.
        """
        offset = self._bucket(key)
        if offset is None:
            change(None)
            return None
        bucket = self._map[offset : offset + _BUCKET_BYTES]
        found = _found(bucket, key)
        known = None if found is None else found[1]
        value, now_us = change(known), self._unix_us()
        at = offset + (_oldest(bucket, now_us) if found is None else found[0])
        fact = _FACT.pack(key, now_us, len(value), value)
        self._map[at : at + _SEALED_BYTES] = fact + crc32(fact).to_bytes(4)
        return known

    def close(self) -> None:
        """Let the file go; what was remembered stays in it."""
        self._map.close()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _bucket(self, key: bytes) -> int | None:
        """Where the bucket of the key begins; None where the disk has no room for it."""
        offset = _HEAD_BYTES + int.from_bytes(key[:4]) % self._buckets * _BUCKET_BYTES
        if self._descriptor is None:
            return offset
        if os.lseek(self._descriptor, 0, os.SEEK_END) < self._size_bytes:
            self._has_room = bytearray(len(self._has_room))
        if self._has_room[offset // _PIECE_BYTES] or self._take_room(self._descriptor, offset // _PIECE_BYTES):
            return offset
        return None

    def _take_room(self, descriptor: int, piece: int) -> bool:
        """False where the disk has none."""
        begin = piece * _PIECE_BYTES
        try:
            _lay_out(descriptor, self._size_bytes, self._buckets)
            os.posix_fallocate(descriptor, begin, min(_PIECE_BYTES, self._size_bytes - begin))
        except OSError as error:
            if not self._is_told:
                self._is_told = True
                _log.warning("no room for what workers share: it is not remembered", extra={"reason": _reason(error)})
            return False
        self._has_room[piece] = 1
        return True


def open_shared_memory(
    directory: Path, *, buckets: int = BUCKETS, unix_us: Callable[[], int] | None = None
) -> SharedMemory:
    """The table of a data folder, made where there is none of this layout; where that cannot be, one in memory."""
    descriptor = None
    try:
        descriptor = _opened(directory / FILE_NAME, buckets)
        return SharedMemory(descriptor, buckets, unix_us or _unix_us)
    except OSError as error:
        if descriptor is not None:
            os.close(descriptor)
        _log.warning(
            "what workers share cannot be kept in the data folder: each worker remembers by itself, until it ends",
            extra={"reason": _reason(error)},
        )
        return SharedMemory(None, buckets, unix_us or _unix_us)


def _found(bucket: bytes, key: bytes) -> tuple[int, bytes] | None:
    """Place and value of the whole fact with this key; of two that were written at once, of the later one."""
    found, newest_us = None, 0
    at = bucket.find(key)
    while at >= 0:
        if at % _SLOT_BYTES == 0:
            end = at + _FACT.size
            _, written_us, length, value = _FACT.unpack_from(bucket, at)
            if written_us > newest_us and crc32(bucket[at:end]).to_bytes(4) == bucket[end : end + 4]:
                found, newest_us = (at, value[:length]), written_us
        at = bucket.find(key, at + 1)
    return found


def _oldest(bucket: bytes, now_us: int) -> int:
    """The place of the slot that is free, or was written first."""
    times_us = _TIMES.unpack(bucket)
    if max(times_us) > now_us + _CLOCK_DOUBT_US:
        return times_us.index(max(times_us)) * _SLOT_BYTES
    return times_us.index(min(times_us)) * _SLOT_BYTES


def _opened(path: Path, buckets: int) -> int:
    """Open the file of this layout; who comes first makes it, and who finds another one puts a new one in its place.

    Where a process still maps the other one, it goes on with that. Raises OSError.
    """
    head, size_bytes = _head(buckets), _HEAD_BYTES + buckets * _BUCKET_BYTES
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # for a moment: whoever has it is in here
            status = os.fstat(descriptor)
            is_there = status.st_nlink > 0
            if is_there and status.st_size == 0:
                _lay_out(descriptor, size_bytes, buckets)
            elif is_there and (status.st_size != size_bytes or os.pread(descriptor, len(head), 0) != head):
                path.unlink()
                is_there = False
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        except BaseException:
            os.close(descriptor)
            raise
        if is_there:
            return descriptor
        os.close(descriptor)


def _lay_out(descriptor: int, size_bytes: int, buckets: int) -> None:
    """An empty table, or the rest of one. Raises OSError."""
    os.pwrite(descriptor, _head(buckets), 0)
    os.truncate(descriptor, size_bytes)


def _head(buckets: int) -> bytes:
    return b"promptlane facts" + Struct("<III").pack(1, _SLOT_BYTES, buckets)


def _unix_us() -> int:
    return time.time_ns() // 1_000


def _reason(error: OSError) -> str:
    return os.strerror(error.errno or 0)
