"""A disk that syncs slowly, or not until the test lets it: SQLite writes through it.

As a program, `python -m tests.harness.slow_disk SECONDS serve …` is the command; SIGUSR1 makes its disk slow.
"""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from threading import Event
from typing import Any

import apsw

BASE = "unix"
"""By name, as the default may be ourselves."""
_names = count()


class _File(apsw.VFSFile):
    def __init__(self, disk: "SlowDisk", name: Any, flags: list[int]) -> None:
        self._disk = disk
        super().__init__(BASE, name, flags)

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        self._disk.is_asked.set()
        time.sleep(self._disk.sync_s)
        self._disk.goes_on.wait()
        super().xSync(flags)


class SlowDisk(apsw.VFS):
    """A sync takes `sync_s`, and waits for `goes_on` to be set; `is_asked` is set by each that begins."""

    def __init__(self, sync_s: float = 0.0, *, is_default: bool = False) -> None:
        self.sync_s = sync_s
        self.goes_on = Event()
        self.goes_on.set()
        self.is_asked = Event()
        self.name = f"slow-disk-{next(_names)}"
        super().__init__(self.name, BASE, is_default)

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - SQLite's name
        return _File(self, name, flags)

    def stop_syncing(self) -> None:
        """Let none through from now on."""
        self.goes_on.clear()
        self.is_asked.clear()


@contextmanager
def slow_disk(sync_s: float = 0.0, *, is_default: bool = False) -> Iterator[SlowDisk]:
    """Goes on at the end, so that nobody waits for it for ever."""
    made = SlowDisk(sync_s, is_default=is_default)
    try:
        yield made
    finally:
        made.goes_on.set()
        made.unregister()


if __name__ == "__main__":
    from proxy.cli import main

    everything, slow_s = SlowDisk(is_default=True), float(sys.argv.pop(1))
    signal.signal(signal.SIGUSR1, lambda *_: setattr(everything, "sync_s", slow_s))
    sys.exit(main())
