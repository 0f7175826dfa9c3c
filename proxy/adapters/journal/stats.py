"""What the journal can say of itself without touching the disk."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field

COMMIT_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper bounds, inclusive, of the commit histogram; a last bucket takes the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalStats:
    """Counts of events, of this file since it was made, except where another unit is named."""

    admitted: int = 0
    pending: int = 0
    pending_bytes: int = 0
    oldest_pending_unix_us: int | None = None
    delivered: Mapping[str, int] = field(default_factory=dict)
    """By certainty: verified, unverified (v0 accepts without naming events), unknown (unreadable replies)."""
    dead: Mapping[str, int] = field(default_factory=dict)
    """By reason; what lies there now."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """By reason."""
    exchanges: int = 0
    store_bytes: int = 0
    records_dropped: int = 0
    """Records of ended exchanges that could not be kept."""
    outbox_max_bytes: int = 0
    queued_rows: int = 0
    queued_bytes: int = 0
    commits: int = 0
    commit_s: float = 0.0
    """Sum over all commits of this process."""
    commit_buckets: tuple[int, ...] = (0,) * (len(COMMIT_BUCKETS_S) + 1)
    """Commits of this process by duration, not cumulative; see `COMMIT_BUCKETS_S`."""
    quarantined_files: int = 0
    """Files put aside by this process."""
    degraded: tuple[str, ...] = ()
    """Empty when all is well; else `memory` (nothing survives the process) or `disk_full` (new rows are dropped)."""

    @property
    def unbalanced(self) -> int:
        """Admitted events of which nobody can say where they are: 0, or there is a bug."""
        held = self.pending + sum(self.dead.values())
        return self.admitted - held - sum(self.delivered.values()) - sum(self.dropped.values())


class CommitTimes:
    """A histogram of commit durations, written by one thread."""

    def __init__(self) -> None:
        self.count = 0
        self.total_s = 0.0
        self._buckets = [0] * (len(COMMIT_BUCKETS_S) + 1)

    def observe(self, duration_s: float) -> None:
        """Note one commit."""
        self.count += 1
        self.total_s += duration_s
        self._buckets[bisect_left(COMMIT_BUCKETS_S, duration_s)] += 1

    @property
    def buckets(self) -> tuple[int, ...]:
        """Counts in the order of `COMMIT_BUCKETS_S`, and the rest."""
        return tuple(self._buckets)
