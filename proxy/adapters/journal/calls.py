"""Ended calls of all workers as one row, from their files, while these write them.

Within a file calls lie in the order in which they were written, which is nearly that of their ends: one that waited
for an estimate comes a little late. So whoever goes back in time may stop a while after the first that is too old.
"""

import heapq
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import apsw

from proxy.adapters.journal.place import journal_files
from proxy.adapters.journal.reader import JournalReader, StoredExchange, StoredOutcome
from proxy.adapters.journal.schema import Unusable

PAGE_ROWS = 32, 1024
"""The first page is small, for those who want a few; each one after it is twice as large, up to the second number."""
LATENESS_US = 60_000_000
"""How much later than a younger call an older one may have been written."""


def newest_first(readers: Sequence[JournalReader], since_unix_us: int) -> Iterator[StoredExchange]:
    """Calls of all files that ended at that time or later; reads no further than it is asked to go on."""
    return heapq.merge(*(_back(reader, since_unix_us) for reader in readers), key=lambda call: -call.ended_unix_us)


def _back(reader: JournalReader, since_unix_us: int) -> Iterator[StoredExchange]:
    rows, largest = PAGE_ROWS
    page = reader.latest(rows)
    while page:
        for call in page:
            if call.ended_unix_us < since_unix_us - LATENESS_US:
                return
            if call.ended_unix_us >= since_unix_us:
                yield call
        rows = min(2 * rows, largest)
        page = reader.latest(rows, before_seq=page[-1].seq)


def of_trace(readers: Sequence[JournalReader], trace_id: str) -> list[StoredExchange]:
    """The calls of a trace that have ended, in the order of their ends."""
    found = (call for reader in readers for call in reader.by_trace(trace_id))
    return sorted(found, key=lambda call: call.ended_unix_us)


class Follower:
    """Gives each call that ends after it was made, and each outcome, once; files that come later are followed too.

    A file is opened for each look and closed again, so that its owner's log can be cut back meanwhile.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._seen: dict[tuple[int, int], int] = {}
        """By file, not by name: a damaged one is put aside, and a new one takes its name and begins at 1."""
        self._outcomes_seen: dict[tuple[int, int], int] = {}
        for path, identity in self._files():
            with JournalReader(path) as reader:
                self._seen[identity] = max((call.seq for call in reader.latest(1)), default=0)
                self._outcomes_seen[identity] = reader.last_outcome_seq()

    def more(self) -> list[StoredExchange]:
        """Those that have ended since the last look, in the order of their ends.

        A file that cannot be read now, because it is just being made, has something to say another time.
        """
        found: list[StoredExchange] = []
        for path, identity in self._files():
            with suppress(Unusable, apsw.Error), JournalReader(path) as reader:
                while page := reader.exchanges(self._seen.get(identity, 0), PAGE_ROWS[1]):
                    self._seen[identity] = page[-1].seq
                    found += page
        return sorted(found, key=lambda call: call.ended_unix_us)

    def more_outcomes(self) -> list[StoredOutcome]:
        """Events of outcomes that were written since the last look, as `more` gives calls."""
        found: list[StoredOutcome] = []
        for path, identity in self._files():
            with suppress(Unusable, apsw.Error), JournalReader(path) as reader:
                while page := reader.outcomes(self._outcomes_seen.get(identity, 0), PAGE_ROWS[1]):
                    self._outcomes_seen[identity] = page[-1].seq
                    found += page
        return sorted(found, key=lambda outcome: outcome.at_unix_us)

    def _files(self) -> Iterator[tuple[Path, tuple[int, int]]]:
        for path in journal_files(self._directory):
            with suppress(FileNotFoundError):  # put aside this moment
                stat = path.stat()
                yield path, (stat.st_dev, stat.st_ino)
