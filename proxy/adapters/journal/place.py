"""The files of one journal: `journal-<worker>.db` with its lock, ballast and request beside it.

Whoever holds the lock owns the file; a worker that finds its own name taken goes on to `journal-<worker>.2.db` and
so on, so that two proxies on one directory never write one file. The lock is the process's: it is gone when the
process is, however it went.

On a full disk SQLite cannot even delete, because a delete is first written to the log: the ballast is a few MiB of
nothing that are given back at that moment.
"""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

SLOTS = 16
BALLAST_HEADROOM = 4
"""The ballast is laid down again when this many times its size is free."""


class Taken(OSError):
    """Every name of this worker is locked by another process."""


def free_bytes(directory: Path) -> int:
    """What an ordinary user may still write there."""
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize


def lock(path: Path) -> int | None:
    """Take the lock of a journal file; None when another process has it. Closing the descriptor frees it."""
    descriptor = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def journal_files(directory: Path) -> list[Path]:
    """The journals of all workers in a data directory, by name."""
    return sorted(directory.glob("journal-*.db"))


class Place:
    """One locked set of names. Made by `claim`."""

    def __init__(
        self, path: Path, descriptor: int, ballast_bytes: int, free: Callable[[Path], int] = free_bytes
    ) -> None:
        self.path = path
        self._descriptor: int | None = descriptor
        self._ballast = path.with_suffix(".ballast")
        self._ballast_bytes = ballast_bytes
        self._free = free

    @classmethod
    def claim(
        cls, directory: Path, worker: int, ballast_bytes: int, free: Callable[[Path], int] = free_bytes, first: int = 1
    ) -> "Place":
        """Make the directory when absent (for its owner alone) and lock the first free name from slot `first` on.

        Raises OSError where the directory cannot be used.
        """
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for slot in range(first, SLOTS + 1):
            name = f"journal-{worker}.db" if slot == 1 else f"journal-{worker}-{slot}.db"
            path = directory / name
            if (descriptor := lock(path)) is not None:
                return cls(path, descriptor, ballast_bytes, free)
        raise Taken

    def release(self) -> None:
        """Give the names back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def quarantine(self, stamp: str) -> Path:
        """Rename what is there to `….corrupt-<stamp>`, log included. Raises OSError."""
        target = self.path.with_name(f"{self.path.name}.corrupt-{stamp}")
        turn = 1
        while target.exists():
            turn += 1
            target = self.path.with_name(f"{self.path.name}.corrupt-{stamp}-{turn}")
        if self.path.exists():
            self.path.rename(target)
        log = Path(f"{self.path}-wal")
        if log.exists():
            log.rename(f"{target}-wal")
        Path(f"{self.path}-shm").unlink(missing_ok=True)
        return target

    def lay_ballast(self) -> bool:
        """True when the ballast lies there afterwards."""
        if self._ballast.exists():
            return True
        try:
            if self._free(self.path.parent) < BALLAST_HEADROOM * self._ballast_bytes:
                return False
            with self._ballast.open("xb") as file:
                os.posix_fallocate(file.fileno(), 0, self._ballast_bytes)
            self._ballast.chmod(0o600)
        except OSError:
            self.drop_ballast()
            return False
        return True

    def drop_ballast(self) -> None:
        """Give its space back."""
        try:
            self._ballast.unlink(missing_ok=True)
        except OSError:
            return
