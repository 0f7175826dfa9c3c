"""Notices that the files of a running configuration have changed, and tells of each change once.

Files are looked at, not listened to: a mounted volume swaps links, an editor renames, a copy grows for a while, and
all of that shows in what `stat` says. A file that was just touched is left alone until two looks in a row find it the
same, so that half of a file is never taken for the whole. A file that has become empty, or is gone, is a problem and
no configuration: nobody means to open the proxy, or to take its keys away, by a slip of an editor.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from proxy.config.load import Configuration, Places, load, read_files
from proxy.config.problems import ConfigError, Problem

Mark = tuple[int, int, int, int, int] | None
"""Device, inode, size, and times of change of the content and of all else, which nobody can set back; None where there
is no such file."""


@dataclass(frozen=True, slots=True)
class Refused:
    """What lies there cannot be used."""

    problems: Sequence[Problem]


class Changes:
    """For one thread. `look` is called several times a second."""

    def __init__(self, places: Places, env: Mapping[str, str], running: Configuration) -> None:
        self.places = places
        """Where configuration and data are."""
        self._env = env
        self._running = running
        self._watched: Sequence[Path] = tuple(running.files)
        self._is_refused = False
        self._last: Sequence[Mark] = ()
        self._told: Sequence[Mark] = ()

    def look(self, *, is_asked: bool = False) -> Configuration | Refused | None:
        """A new configuration, or why it cannot be used; None where nothing is new. Never raises.

        `is_asked`: somebody said that now is the time, so the files are read whether or not they seem to be at rest.
        """
        marks = self._marks()
        is_at_rest, self._last = marks == self._last, marks
        if not is_asked and (not is_at_rest or marks == self._told):
            return None
        self._watch()
        marks = self._last = self._marks()
        found = self._read()
        if marks != self._marks():
            return None  # it changed while it was read
        self._told = marks
        return self._news(found)

    def _watch(self) -> None:
        """Look at what the files refer to now: a text may still be to come."""
        with suppress(ConfigError):
            self._watched = tuple(read_files(self.places.config_dir, self.places.pricing_file, self._env))

    def _marks(self) -> Sequence[Mark]:
        return [_mark(path) for path in self._watched]

    def _read(self) -> Configuration | Refused:
        try:
            found = load(self.places.config_dir, self.places.pricing_file, self._env)
        except ConfigError as error:
            return Refused(error.problems)
        lost = lost_files(found, self._running)
        return Refused(lost) if lost else found

    def _news(self, found: Configuration | Refused) -> Configuration | Refused | None:
        was_refused, self._is_refused = self._is_refused, isinstance(found, Refused)
        if isinstance(found, Refused):
            return found
        is_new = found.digest != self._running.digest
        self._running = found
        return found if is_new or was_refused else None


def lost_files(found: Configuration, running: Configuration) -> Sequence[Problem]:
    """Files of the running configuration that are gone or empty in the one that was found."""
    return [
        Problem(file=str(path), message="this file is gone or empty; put it back, or restart to run without it")
        for path, raw in found.files.items()
        if not raw.strip() and running.files.get(path, b"").strip()
    ]


def _mark(path: Path) -> Mark:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
