"""Where the journal lives and how much it may take."""

from dataclasses import dataclass
from pathlib import Path

_MIB = 1 << 20
_DAY_S = 86_400.0


@dataclass(slots=True, kw_only=True)
class JournalSettings:
    """The bounds hold for one worker's file: whoever starts several workers divides them. They may change while the
    journal runs, see `keep_within`; all parts of a journal share one object.

    `has_destination` False means that nobody ships events: they stay for a look, and the oldest make room.
    """

    directory: Path
    worker: int = 0
    has_destination: bool = True
    commit_ms: float = 40.0
    queue_max_rows: int = 8192
    queue_max_bytes: int = 32 * _MIB
    outbox_max_bytes: int = 1024 * _MIB
    outbox_max_age_s: float = 7 * _DAY_S
    store_max_bytes: int = 20 * 1024 * _MIB
    store_max_age_s: float = 90 * _DAY_S
    ballast_bytes: int = 4 * _MIB

    def keep_within(self, bounds: "JournalSettings") -> None:
        """Take over the other's bounds and pace. From any thread: each is read where it is needed."""
        for name in ("commit_ms", "outbox_max_bytes", "outbox_max_age_s", "store_max_bytes", "store_max_age_s"):
            setattr(self, name, getattr(bounds, name))
