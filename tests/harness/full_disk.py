"""A disk whose size the test sets: SQLite writes through it, and finds it full when a file would grow beyond.

Only growth fails, as on a real disk: pages that a file has already may be written again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import apsw

_names = count()


class _File(apsw.VFSFile):
    def __init__(self, disk: "Disk", name: Any, flags: list[int]) -> None:
        self._disk = disk
        super().__init__("", name, flags)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802 - SQLite's name
        growth = offset + len(data) - self.xFileSize()
        if growth > 0 and growth > self._disk.free(self._disk.folder):
            raise apsw.FullError
        if self._disk.broken_writes > 0:
            self._disk.broken_writes -= 1
            raise apsw.IOError
        super().xWrite(data, offset)


class Disk(apsw.VFS):
    """`capacity_bytes` holds for all files of the folder together; None: no limit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.capacity_bytes: int | None = None
        self.broken_writes = 0
        """So many writes to come fail with an I/O error."""
        self.name = f"disk-{next(_names)}"
        super().__init__(self.name, "")

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - SQLite's name
        return _File(self, name, flags)

    def used(self) -> int:
        return sum(path.stat().st_size for path in self.folder.iterdir() if path.suffix != ".db-shm")

    def free(self, _: Path) -> int:
        return 1 << 40 if self.capacity_bytes is None else max(0, self.capacity_bytes - self.used())

    def fill(self) -> None:
        """Not one byte more."""
        self.capacity_bytes = self.used()


@contextmanager
def disk(folder: Path) -> Iterator[Disk]:
    folder.mkdir(exist_ok=True)
    made = Disk(folder)
    try:
        yield made
    finally:
        made.unregister()
