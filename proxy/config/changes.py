"""Notices that the files of a running configuration have changed, and tells of each change once.

Files are looked at, not listened to: a mounted volume swaps links, an editor renames, a copy grows for a while, and
all of that shows in what `stat` says. A file that was just touched is left alone until two looks in a row find it the
same, so that half of a file is never taken for the whole. Files that are never left alone, since a tool writes them
again and again, are read after a while all the same, at a moment at which none of them is written. A file that has
become empty, or is gone, is a problem and no configuration: nobody means to open the proxy, or to take its keys away,
by a slip of an editor.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from proxy.config.configuration import Configuration
from proxy.config.places import Places
from proxy.config.problems import ConfigError, Problem

Mark = tuple[int, int, int, int, int] | None
"""Device, inode, size, and times of change of the content and of all else, which nobody can set back; None where there
is no such file."""
UNKNOWN: Mark = (0, 0, 0, 0, 0)
"""No file has it. Stands for a file that was written while it was read."""
Marks = Mapping[Path, Mark]
"""Of all files that count, whether or not they are there."""


@dataclass(frozen=True, slots=True)
class Refused:
    """What lies there cannot be used."""

    problems: Sequence[Problem]


@dataclass(frozen=True, slots=True)
class Seen:
    """What the files amount to. The marks are of when they were read: who finds others now has seen half a change."""

    marks: Marks
    found: Configuration | Refused

    def usable(self) -> Configuration:
        """Raises ConfigError where it is refused."""
        if isinstance(self.found, Refused):
            raise ConfigError(self.found.problems)
        return self.found


MOST_LOOKS = 12
"""So many looks, a change that was seen may wait for its files to be at rest."""


class Changes:
    """For one thread. `look` is called several times a second."""

    def __init__(self, places: Places, first: Seen, read: Callable[[], Seen]) -> None:
        """`first` is what runs; `read` looks again, may take its time, and never raises."""
        self.places = places
        """Where configuration and data are."""
        self._read = read
        self._running = first.usable()
        self._is_refused = False
        self._last: Marks = {}
        self._waited_looks = 0
        self._told = first.marks

    def look(self, *, is_asked: bool = False) -> Configuration | Refused | None:
        """A new configuration, or why it cannot be used; None where nothing is new. Never raises.

        `is_asked`: somebody said that now is the time, so the files are read whether or not they seem to be at rest.
        """
        marks = _marks_now(self._told)
        is_at_rest, self._last = marks == self._last, marks
        if marks == self._told and not is_asked:
            self._waited_looks = 0
            return None
        must_be = is_asked or self._waited_looks >= MOST_LOOKS
        self._waited_looks += 1
        if not (is_at_rest or must_be):
            return None
        seen = self._read()
        self._last = seen.marks
        has_moved = not must_be and _marks_now(seen.marks) != seen.marks
        if has_moved or UNKNOWN in seen.marks.values():
            return None
        self._told, self._waited_looks = seen.marks, 0
        return self._news(seen.found)

    def _news(self, found: Configuration | Refused) -> Configuration | Refused | None:
        if isinstance(found, Configuration) and (lost := lost_files(found, self._running)):
            found = Refused(lost)
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


def mark_of(path: Path) -> Mark:
    """What `stat` tells by which a change shows."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _marks_now(marks: Marks) -> Marks:
    return {path: mark_of(path) for path in marks}
