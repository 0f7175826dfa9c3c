"""The counts of one journal file: kept in its table `counters`, changed in the transaction that they describe.

At every quiescent point: admitted = pending + delivered + dead + dropped, counted in events. Totals are kept
rather than summed, so that a start and a statistic cost the same for ten events and for ten million.
"""

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum

from proxy.adapters.journal.stats import JournalStats


class Count(StrEnum):
    """What is counted; some are split by a reason, the others use the empty one."""

    ADMITTED = "admitted"
    ADMITTED_BYTES = "admitted_bytes"
    PENDING = "pending"
    PENDING_BYTES = "pending_bytes"
    DELIVERED = "delivered"
    """By `Certainty`."""
    DEAD = "dead"
    DEAD_BYTES = "dead_bytes"
    DROPPED = "dropped"
    """By `Drop`."""
    EXCHANGES = "exchanges"
    STORE_BYTES = "store_bytes"
    RECORDS_DROPPED = "records_dropped"
    """Records of ended exchanges that could not be kept, by `Drop`."""
    OUTBOX_MAX_BYTES = "outbox_max_bytes"
    """Not a count: the bound that the owner was given, for readers."""


class Drop(StrEnum):
    """Why an event was given up without having been delivered."""

    QUEUE_FULL = "queue_full"
    OUTBOX_FULL = "outbox_full"
    LOCAL_RETENTION = "local_retention"
    DISK_FULL = "disk_full"
    DUPLICATE_END = "duplicate_end"
    DUPLICATE_UUID = "duplicate_uuid"
    UNREADABLE_FACTS = "unreadable_facts"
    DEAD_FULL = "dead_full"
    PURGED = "purged"
    FORGOTTEN = "forgotten"
    QUARANTINED = "quarantined"
    STORE_FAILED = "store_failed"
    CLOSED = "closed"
    STOPPED = "stopped"
    """The stop came before the disk had taken it."""


class Certainty(StrEnum):
    """What is known of a delivered event: PostHog named it, merely accepted the batch, or answered unreadably."""

    VERIFIED = "verified"
    UNVERIFIED = "unverified"
    UNKNOWN = "unknown"


Key = tuple[str, str]


class Tally:
    """Totals with an undo for the transaction that runs."""

    def __init__(self, stored: Mapping[Key, int]) -> None:
        self._totals = Counter(stored)
        self._before: dict[Key, int] = {}

    def add(self, count: Count, amount: int = 1, reason: str = "") -> None:
        """Change one total within the running transaction."""
        key = (str(count), str(reason))
        self._before.setdefault(key, self._totals[key])
        self._totals[key] += amount

    def get(self, count: Count, reason: str = "") -> int:
        """One total, with what the running transaction has changed."""
        return self._totals[str(count), str(reason)]

    def by_reason(self, count: Count) -> dict[str, int]:
        """All totals of one count that are not zero."""
        return {reason: total for (name, reason), total in sorted(self._totals.items()) if name == count and total}

    def stats(self, *, oldest_pending_unix_us: int | None) -> JournalStats:
        """What the counters say; the rest of the fields have their defaults."""
        return JournalStats(
            admitted=self.get(Count.ADMITTED),
            pending=self.get(Count.PENDING),
            pending_bytes=self.get(Count.PENDING_BYTES),
            oldest_pending_unix_us=oldest_pending_unix_us,
            delivered=self.by_reason(Count.DELIVERED),
            dead=self.by_reason(Count.DEAD),
            dropped=self.by_reason(Count.DROPPED),
            exchanges=self.get(Count.EXCHANGES),
            store_bytes=self.get(Count.STORE_BYTES),
            records_dropped=sum(self.by_reason(Count.RECORDS_DROPPED).values()),
            outbox_max_bytes=self.get(Count.OUTBOX_MAX_BYTES),
        )

    def changed(self) -> list[tuple[str, str, int]]:
        """Rows of `counters` that the running transaction must write."""
        return [(*key, self._totals[key]) for key, before in self._before.items() if self._totals[key] != before]

    def commit(self) -> None:
        """The transaction is durable."""
        self._before.clear()

    def rollback(self) -> None:
        """The transaction did not happen."""
        for key, before in self._before.items():
            self._totals[key] = before
        self._before.clear()

    def succeed(self, lost: "Tally") -> None:
        """Take over the totals of a file that had to be put aside; what it still held is dropped."""
        for count in Count:
            for reason, total in lost.by_reason(count).items():
                if count in (Count.PENDING, Count.DEAD):
                    self.add(Count.DROPPED, total, Drop.QUARANTINED)
                elif count not in _HELD:
                    self.add(count, total, reason)


_HELD = {Count.OUTBOX_MAX_BYTES, Count.PENDING_BYTES, Count.DEAD_BYTES, Count.EXCHANGES, Count.STORE_BYTES}
"""Measures of what lies in a file, as opposed to what has happened."""
