"""Losses that no file has recorded yet: the queue was full, or the store could not write.

Each total only ever grows and has one writer; what is owed is the difference to what the last durable transaction
settled. So a transaction that is undone, or repeated on another file, records nothing twice.
"""

from collections import Counter

from proxy.adapters.journal.file import JournalFile, Row
from proxy.adapters.journal.intake import Intake
from proxy.adapters.journal.tally import Count, Drop
from proxy.domain.journal_rows import Closing

MAX_ENDS = 65_536
"""Ids of lost ends that are remembered, so that their calls are not taken for interrupted."""


class Debts:
    """Owned by the writer's thread; `owed` may be read by any."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._lost: Counter[Drop] = Counter()
        self._lost_records = 0
        self._lost_ends: set[str] = set()
        self._claimed: Counter[Drop] = Counter()
        self._claimed_records = 0
        self._claimed_ends: set[str] = set()
        self._settled_records = 0
        self.settled: Counter[Drop] = Counter()
        """What the counters of the file include; replaced, never changed."""

    def lose(self, row: Row, reason: Drop = Drop.STORE_FAILED) -> None:
        """A row could not be written."""
        self._lost[reason] += len(row.events)
        if isinstance(row, Closing):
            self._lost_records += 1
            if len(self._lost_ends) < MAX_ENDS:
                self._lost_ends.add(row.exchange_id)

    def owed(self, settled: Counter[Drop]) -> Counter[Drop]:
        """Events lost beyond `settled`."""
        return self._totals() - settled

    @property
    def owed_records(self) -> int:
        """Ended calls whose record is lost, and of which no file knows."""
        return self._intake.records_refused + self._lost_records - self._settled_records

    def record(self, file: JournalFile) -> None:
        """Write what is owed, inside a transaction."""
        self._claimed = self._totals()
        self._claimed_records = self._intake.records_refused + self._lost_records
        self._claimed_ends = set(self._lost_ends)
        for drop, count in (self._claimed - self.settled).items():
            file.outbox.refuse(count, drop)
        if records := self._claimed_records - self._settled_records:
            file.tally.add(Count.RECORDS_DROPPED, records)
        file.forget(list(self._claimed_ends))

    def settle(self) -> None:
        """That transaction is durable."""
        self.settled = self._claimed
        self._settled_records = self._claimed_records
        self._lost_ends -= self._claimed_ends

    def _totals(self) -> Counter[Drop]:
        return Counter(self._intake.refused) + self._lost
