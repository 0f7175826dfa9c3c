"""What stands behind the writer: a file in the data directory, or memory where no file can be had.

Whatever happens to the file, `write` finds a way or counts what it could not keep; it never stops the traffic:

- the disk is full: the ballast is given back, so that acknowledged rows can leave; new rows are refused until the
  ballast fits again;
- the file is damaged, foreign, of another schema, unreadable or gone: it is renamed aside and a new one begun;
- no file can be made, or several in a row had to be put aside: memory, within a small bound, and the health says so.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import apsw

from proxy.adapters.journal import schema
from proxy.adapters.journal.file import JournalFile
from proxy.adapters.journal.place import Place, free_bytes
from proxy.adapters.journal.settings import JournalSettings

MEMORY_MAX_BYTES = 64 << 20
MAX_QUARANTINES = 3
"""After so many files have been put aside by one process, the place itself is taken to be broken."""
SCRUB_US = 60_000_000
"""How often, at most, free pages and the log are rid of what was deleted."""

_FILE_TROUBLE = (
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.IOError,
    apsw.CantOpenError,
    apsw.ReadOnlyError,
    apsw.PermissionsError,
    apsw.ProtocolError,
    apsw.FormatError,
)
"""What is wrong with the file, as opposed to what is wrong with a row."""

_log = logging.getLogger(__name__)

Work = Callable[[JournalFile, bool], None]
"""Changes within one transaction; the flag says whether new rows may be written."""


class StoreFailed(Exception):
    """Nothing could be written, not even on a new file."""


class Backing:
    """Owned by one thread at a time."""

    def __init__(
        self,
        settings: JournalSettings,
        wall_unix_us: Callable[[], int],
        *,
        vfs: str | None = None,
        free: Callable[[Path], int] = free_bytes,
    ) -> None:
        self._settings = settings
        self._now_us = wall_unix_us
        self._vfs = vfs
        self._free = free
        self._inode: tuple[int, int] | None = None
        self.place: Place | None = None
        self.is_full = False
        self.quarantined_files = 0
        self.is_soiled = False
        """Something was deleted that free pages or the log may still hold."""
        self._next_scrub_us = 0
        self.file = self._first_file()
        self._lay_ballast()

    @property
    def is_memory(self) -> bool:
        """Nothing survives the process."""
        return self._inode is None

    @property
    def degraded(self) -> tuple[str, ...]:
        """As in `JournalStats`."""
        return ("memory",) * self.is_memory + ("disk_full",) * self.is_full

    def write(self, work: Work) -> None:
        """Run `work` in a transaction, on a new file if need be; it may run more than once.

        Raises `apsw.BusyError` or `apsw.LockedError` while another process locks the file, `StoreFailed` when there
        is no way, and whatever a row that does not fit the tables gives rise to.
        """
        for _ in range(MAX_QUARANTINES + 2):
            try:
                with self.file.transaction():
                    work(self.file, not self.is_full)
            except (apsw.BusyError, apsw.LockedError):
                raise
            except apsw.FullError:
                if self.is_full:
                    break
                self._make_room()
            except _FILE_TROUBLE as error:
                self._replace(f"failed with {type(error).__name__}")
            else:
                return
        raise StoreFailed

    def tend(self) -> None:
        """Housekeeping between transactions: the ballast, free pages, and whether the file is still there."""
        if not self.is_memory and self._inode != self._found_inode():
            self._begin_anew()
        if self.is_full and self._lay_ballast():
            self.is_full = False
            _log.info("there is room on the disk again")
        try:
            self._clean()
        except apsw.Error:
            return

    def _clean(self) -> None:
        if not (self.is_soiled and self._now_us() >= self._next_scrub_us):
            self.file.vacuum()
            return
        self.file.scrub()
        self.is_soiled, self._next_scrub_us = False, self._now_us() + SCRUB_US

    def finish(self) -> None:
        """Move the log into the file, close it and give its name back."""
        try:
            self.file.finish()
        except apsw.Error as error:
            _log.warning(
                "the journal was not closed cleanly; the next start reads its log",
                extra={"error": type(error).__name__},
            )
        if self.place is not None:
            self.place.release()

    def _first_file(self) -> JournalFile:
        slot = 1
        while True:
            try:
                self.place = Place.claim(
                    self._settings.directory, self._settings.worker, self._settings.ballast_bytes, self._free, slot
                )
            except OSError as error:
                return self._memory(type(error).__name__)
            try:
                return self._connect()
            except (apsw.BusyError, apsw.LockedError):
                # someone holds the database without our lock: leave it to them and take the next name
                self.place.release()
                slot += 1

    def _connect(self) -> JournalFile:
        """Open the claimed file, or a new one where it cannot be used, or memory."""
        assert self.place is not None
        for _ in range(2):
            try:
                connection = schema.connect(self.place.path, vfs=self._vfs)
                file = JournalFile(connection, self._settings, self._now_us)
                self._inode = self._found_inode()
            except schema.Unusable as error:
                if not self._put_aside(error.why):
                    break
            except (apsw.BusyError, apsw.LockedError):
                raise
            except (apsw.Error, OSError) as error:
                return self._memory(type(error).__name__)
            else:
                return file
        return self._memory("no usable file")

    def _memory(self, why: str) -> JournalFile:
        _log.error(
            "the data folder cannot be written: events are kept in memory only and end with the process",
            extra={"folder": str(self._settings.directory), "reason": why},
        )
        self._inode = None
        return JournalFile(schema.connect_memory(MEMORY_MAX_BYTES), self._settings, self._now_us)

    def _replace(self, why: str) -> None:
        """Go on with a new file under the same name."""
        lost = self.file
        lost.abandon()
        if self.place is None or not self._put_aside(why):
            self.file = self._memory(why)
        else:
            try:
                self.file = self._connect()
            except (apsw.BusyError, apsw.LockedError):
                self.file = self._memory("locked")
        self._inherit(lost)

    def _begin_anew(self) -> None:
        """Our file is gone from its name, and perhaps our lock with it: claim one as at the start."""
        assert self.place is not None
        _log.error(
            "a journal file was removed: what it held is lost, a new one is begun", extra={"file": self.place.path.name}
        )
        lost = self.file
        lost.abandon()
        self.place.release()
        self.file = self._first_file()
        self._lay_ballast()
        self._inherit(lost)

    def _inherit(self, lost: JournalFile) -> None:
        """The counts go with us; what the old file held is counted as quarantined."""
        try:
            with self.file.transaction():
                self.file.tally.succeed(lost.tally)
        except apsw.Error as error:
            _log.warning("the counts of the old journal file are lost", extra={"error": type(error).__name__})

    def _put_aside(self, why: str) -> bool:
        assert self.place is not None
        self.quarantined_files += 1
        if self.quarantined_files > MAX_QUARANTINES:
            return False
        stamp = datetime.fromtimestamp(self._now_us() / 1e6, UTC).strftime("%Y%m%dT%H%M%SZ")
        try:
            target = self.place.quarantine(stamp)
        except OSError:
            return False
        _log.error(
            "a journal file is unusable: it is put aside and a new one is begun",
            extra={"file": self.place.path.name, "reason": why, "kept_as": target.name},
        )
        return True

    def _found_inode(self) -> tuple[int, int] | None:
        assert self.place is not None
        try:
            found = self.place.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _make_room(self) -> None:
        self.is_full = True
        _log.error("the disk is full: what was written is still delivered, new rows are dropped and counted")
        if self.place is not None:
            self.place.drop_ballast()

    def _lay_ballast(self) -> bool:
        return self.is_memory or (self.place is not None and self.place.lay_ballast())
