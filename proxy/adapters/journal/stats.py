"""What the journal can say of itself without touching the disk."""

from collections.abc import Mapping
from dataclasses import dataclass, field


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
    quarantined_files: int = 0
    """Files put aside by this process."""
    degraded: tuple[str, ...] = ()
    """Empty when all is well; else `memory` (nothing survives the process) or `disk_full` (new rows are dropped)."""

    @property
    def unbalanced(self) -> int:
        """Admitted events of which nobody can say where they are: 0, or there is a bug."""
        held = self.pending + sum(self.dead.values())
        return self.admitted - held - sum(self.delivered.values()) - sum(self.dropped.values())
