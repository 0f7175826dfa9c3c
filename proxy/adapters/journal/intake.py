"""The event loop's end of the journal: a bounded queue whose every operation returns at once.

Rows are put by one thread and taken by another; each side keeps its own running totals and the difference is what
waits, so that no lock is needed.

A call's end matters more than its start: starts are refused at three quarters of the queue. Where even an end is
refused, a note of its id takes its place, so that the next start does not invent another end for that call.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from proxy.adapters.journal.file import JournalFile, Row
from proxy.adapters.journal.tally import Drop
from proxy.domain.journal_rows import Closing

GROUP_ROWS = 128
"""As many waiting rows end the wait for more."""
MAX_GROUP_ROWS = 1024
"""Keeps one transaction short, so that rows are durable and questions answered soon under any load. A disk that takes
0.1 s to sync keeps up with 1,400 calls a second; with a quarter of it, with 800, and more rows gain nothing.
"""
ROW_OVERHEAD_BYTES = 300
"""What a row costs in memory beside its bytes."""
MAX_NOTES = 65_536
"""Ids of refused ends that may wait, on top of the bounds."""
START_SHARE = 0.75


@dataclass(frozen=True, slots=True)
class Note:
    """The end of this call was refused: it must not be taken for interrupted."""

    exchange_id: str


class Command:
    """Something to be done with the file in the same transaction, with an answer after the commit."""

    def __init__(self, action: Callable[[JournalFile], Any]) -> None:
        self.future: Future[Any] = Future()
        self._action = action
        self._answer: Any = None

    def apply(self, file: JournalFile) -> None:
        """Do it; may be repeated after the transaction was undone."""
        self._answer = self._action(file)

    def succeed(self) -> None:
        """It is durable."""
        if self.future.set_running_or_notify_cancel():
            self.future.set_result(self._answer)

    def fail(self, error: Exception) -> None:
        """It did not happen."""
        if self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)


Sized = tuple[int, Row | Note | Command]
"""What waits, and what it takes in memory."""


class Intake:
    """`offer` belongs to the event loop, `gather` to the writer; `submit` and `close` to anyone."""

    def __init__(self, max_rows: int, max_bytes: int) -> None:
        self._queue: SimpleQueue[Sized] = SimpleQueue()
        self._in_hand: Sequence[Sized] = ()
        self._hurry = threading.Event()
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._put_bytes = 0
        self._taken_bytes = 0
        self.is_closed = False
        self.refused = {Drop.QUEUE_FULL: 0, Drop.CLOSED: 0, Drop.STOPPED: 0}
        """Events refused so far, by reason; only ever grows."""
        self.records_refused = 0
        """Ended calls whose record was refused; only ever grows."""

    @property
    def rows(self) -> int:
        """How many wait."""
        return self._queue.qsize()

    @property
    def bytes_waiting(self) -> int:
        """What they take in memory, about."""
        return self._put_bytes - self._taken_bytes

    def offer(self, row: Row, size_bytes: int) -> bool:
        """Take the row, or count what is lost with it; True where it was taken."""
        share = 1.0 if isinstance(row, Closing) else START_SHARE
        size_bytes += ROW_OVERHEAD_BYTES
        waiting = self._queue.qsize()
        fits = waiting < share * self._max_rows and self.bytes_waiting + size_bytes <= share * self._max_bytes
        if self.is_closed or not fits:
            self.refused[Drop.CLOSED if self.is_closed else Drop.QUEUE_FULL] += len(row.events)
            if isinstance(row, Closing):
                self.records_refused += 1
                if not self.is_closed and waiting < self._max_rows + MAX_NOTES:
                    self._queue.put((0, Note(row.exchange_id)))
            return False
        self._put_bytes += size_bytes
        self._queue.put((size_bytes, row))
        if waiting >= GROUP_ROWS:
            self._hurry.set()
        return True

    def submit(self, command: Command) -> None:
        """Queue a command behind the rows that wait, and have them written now."""
        self._queue.put((0, command))
        self._hurry.set()

    def close(self) -> None:
        """Refuse from now on; what waits will still be taken."""
        self.is_closed = True
        self._hurry.set()

    def gather(self, patience_s: float, commit_s: float) -> list[Row | Note | Command]:
        """The next group, in order: waits up to `patience_s` for a first row and `commit_s` for its company. It is in
        the writer's hand until it is `done`. After closing it is all that waits: there is no time for many commits.
        """
        try:
            group = self._in_hand = [self._queue.get(timeout=patience_s)]
        except Empty:
            return []
        self._hurry.wait(commit_s)
        self._hurry.clear()
        while self.is_closed or len(group) < MAX_GROUP_ROWS:
            try:
                group.append(self._queue.get_nowait())
            except Empty:
                break
        self._taken_bytes += sum(size_bytes for size_bytes, _ in group)
        return [item for _, item in group]

    def done(self) -> None:
        """The last group is written, or its loss is known."""
        self._in_hand = ()

    def abandon(self) -> None:
        """Count what is in the writer's hand, and all that waits, as lost: there is no more time. After closing."""
        waiting: list[Sized] = []
        with suppress(Empty):
            while True:
                waiting.append(self._queue.get_nowait())
        self._taken_bytes += sum(size_bytes for size_bytes, _ in waiting)
        left = [*self._in_hand, *waiting]  # in this order: the writer's hand gets nothing more
        self.done()
        for _, item in left:
            if isinstance(item, Command):
                item.future.cancel()
            elif not isinstance(item, Note):
                self.refused[Drop.STOPPED] += len(item.events)
                self.records_refused += isinstance(item, Closing)
