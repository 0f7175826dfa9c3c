"""The journal behind the pipeline's port: one thread alone touches the file, everyone else hands it work.

The thread sleeps until the first row waits, then for `commit_ms` more or until a group is complete, and writes all
of it in one synced transaction: a disk that syncs slowly makes the groups larger and the event loop no slower.
Questions and orders (which rows are due, these are delivered) take the same way, so that they see every row that
was put before them.

`open`, `close`, `note` and `keep` are called from one thread, the event loop's.
"""

import asyncio
import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import apsw

from proxy.adapters.journal import requests
from proxy.adapters.journal.backing import Backing, StoreFailed
from proxy.adapters.journal.debts import Debts
from proxy.adapters.journal.drop_notices import DropNotices
from proxy.adapters.journal.file import Interrupted, JournalFile, Row
from proxy.adapters.journal.intake import Command, Intake, Note
from proxy.adapters.journal.orphans import Orphans
from proxy.adapters.journal.outbox import SWEEP_ROWS, Batch, OutboxRow
from proxy.adapters.journal.place import free_bytes
from proxy.adapters.journal.schema import require_fixed_sqlite
from proxy.adapters.journal.settings import JournalSettings
from proxy.adapters.journal.stats import JournalStats
from proxy.adapters.journal.tally import Certainty, Drop
from proxy.domain.journal_rows import Closing, JournalEvent, Opening, Outcome

SWITCH_S = 0.0001
"""The interpreter's switch interval, for the whole process. A thread that waits for the interpreter asks for it only
after a full interval without a release; a busy event loop releases it in each system call and takes it back at once.
With the usual 5 ms the writer starved for seconds beside a loop at its limit; with this it is late by milliseconds.
"""
TICK_S = 1.0
BUSY_PAUSE_S = 0.05
LAST_TRY_S = 2.0
"""How much longer than it should a stop may take, where something would be lost without."""
START_PATIENCE_S = 2.0
"""How long a file that another process locks may hold up the start: the traffic matters more."""
MAX_SWEEPS = 20
"""Steps of housekeeping between two groups."""

_NOT_ROWS = (Note, Command)

_log = logging.getLogger(__name__)
T = TypeVar("T")


class JournalUnavailable(Exception):
    """The journal is closed, or nothing can be written now."""


class SqliteJournal:
    """Made after the last fork. Order of use: `recover`, `start`, …, `close_journal`."""

    def __init__(
        self,
        settings: JournalSettings,
        *,
        wall_unix_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        on_events: Callable[[Sequence[JournalEvent]], None] | None = None,
        on_commit: Callable[[float], None] | None = None,
        vfs: str | None = None,
        free: Callable[[Path], int] = free_bytes,
    ) -> None:
        """Open the file, or memory where none can be had; blocks while it does.

        `on_events` is called in the writer's thread (by `recover`: in the caller's) with the events that just became
        durable, `on_commit` with the seconds that their commit took.
        Raises RuntimeError for a SQLite that may lose committed rows, and nothing else.
        """
        require_fixed_sqlite(apsw.sqlite_lib_version())
        self._settings = settings
        self._now_us = wall_unix_us
        self._on_events = on_events
        self._on_commit = on_commit
        self._orphans: Orphans | None = None
        self._intake = Intake(settings.queue_max_rows, settings.queue_max_bytes)
        self._backing = Backing(settings, wall_unix_us, vfs=vfs, free=free)
        self._thread: threading.Thread | None = None
        self._give_up = threading.Event()
        self._debts = Debts(self._intake)
        self._next_tick_s = 0.0
        self._published = JournalStats(), Counter[Drop]()
        self._publish()
        self._drops = DropNotices(self.stats().dropped)

    @property
    def path(self) -> Path | None:
        """The file that it writes now; None while it is memory."""
        place = self._backing.place
        return None if place is None else place.path

    def keep_within(self, bounds: JournalSettings) -> None:
        """Other bounds, and another pace, hold from now on."""
        self._settings.keep_within(bounds)

    def recover(self, interrupted: Interrupted) -> int:
        """Close the calls that an earlier process left open; returns how many. Blocks; before `start` only.

        From then on the writer also looks after files in the directory whose owners are gone.
        """
        self._orphans = Orphans(self._settings, self._now_us, interrupted)
        recovered = 0
        while True:
            command = Command(lambda file: file.recover(interrupted))
            self._commit([command])
            if command.future.exception() or not (closed := command.future.result()):
                return recovered
            recovered += closed

    def start(self) -> None:
        """Start the thread; see `SWITCH_S` for what this does to the process."""
        sys.setswitchinterval(min(sys.getswitchinterval(), SWITCH_S))
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def open(self, opening: Opening) -> None:
        """Note a running call. Returns at once, never raises."""
        self._intake.offer(opening, len(opening.facts) + _body_bytes(opening.events))

    def close(self, closing: Closing) -> None:
        """Note its end; a second one for the same exchange changes nothing. Returns at once, never raises."""
        self._intake.offer(closing, len(closing.record) + _body_bytes(closing.events))

    def note(self, outcome: Outcome) -> None:
        """Keep and send what came of calls; an event that is kept already changes nothing. Returns at once, never
        raises.
        """
        self._intake.offer(outcome, _body_bytes(outcome.events))

    async def keep(self, outcomes: Sequence[Outcome]) -> bool:
        """As `note`, all of them; True once they are durable, False where one of them could not be kept."""
        uuids = [event.uuid for outcome in outcomes for event in outcome.events]
        if not all(self._intake.offer(outcome, _body_bytes(outcome.events)) for outcome in outcomes):
            return False
        try:
            return await self._ask(lambda file: file.keeps(uuids))
        except JournalUnavailable:
            return False

    async def lease(self, max_events: int = 500, max_bytes: int = 1_000_000) -> Batch:
        """Due events that nobody is sending; they are the caller's until it acknowledges, retries, buries or
        releases them. Raises `JournalUnavailable`, as the following do.
        """
        return await self._ask(lambda file: file.outbox.lease(max_events, max_bytes))

    async def ack(self, uuids: Sequence[str], certainty: Certainty) -> int:
        """They were delivered; returns how many were still here."""
        return await self._ask(lambda file: file.outbox.ack(uuids, certainty))

    async def retry(self, uuids: Sequence[str], not_before_unix_us: int = 0) -> None:
        """An attempt failed; they are due again at that time."""
        await self._ask(lambda file: file.outbox.retry(uuids, not_before_unix_us))

    async def bury(self, uuids: Sequence[str], reason: str) -> int:
        """They will not be sent again unless an operator says so; returns how many were still here."""
        return await self._ask(lambda file: file.outbox.bury(uuids, reason))

    async def release(self, uuids: Sequence[str]) -> None:
        """Not sent after all; they are due as before."""
        await self._ask(lambda file: file.outbox.release(uuids))

    async def release_all(self) -> None:
        """Nobody is sending anything: every lease is void."""
        await self._ask(lambda file: file.outbox.release_all())

    def stats(self) -> JournalStats:
        """From memory; events that wait in the queue are not admitted yet."""
        stats, settled = self._published
        owed = self._debts.owed(settled)
        return replace(
            stats,
            admitted=stats.admitted + owed.total(),
            dropped=dict(Counter(stats.dropped) + Counter({str(drop): count for drop, count in owed.items()})),
            queued_rows=self._intake.rows,
            queued_bytes=self._intake.bytes_waiting,
        )

    def flush(self, timeout_s: float) -> bool:
        """Block until all that was put before is durable; False when it is not within the time."""
        try:
            self._order(_nothing).result(timeout_s)
        except (TimeoutError, JournalUnavailable):
            return False
        return True

    def close_journal(self, timeout_s: float) -> bool:
        """Refuse new rows, write what waits, checkpoint, close the file. Blocks, up to `LAST_TRY_S` longer when that is
        not done in time; what then is lost is counted and told. True when nothing was.
        """
        self._intake.close()
        if self._thread is None:
            self.start()
        self._intake.submit(Command(_nothing))
        assert self._thread is not None
        self._thread.join(timeout_s)
        self._give_up.set()
        self._thread.join(LAST_TRY_S)
        self._intake.abandon()
        recorded, settled = self._published
        lost = self._debts.owed(settled)
        self._drops.at_stop(recorded.dropped, lost, self._debts.owed_records)
        return Drop.STOPPED not in lost

    async def _ask(self, action: Callable[[JournalFile], T]) -> T:
        return await asyncio.wrap_future(self._order(action))

    def _order(self, action: Callable[[JournalFile], T]) -> Future[T]:
        if self._intake.is_closed:
            raise JournalUnavailable
        command = Command(action)
        self._intake.submit(command)
        return command.future

    def _run(self) -> None:
        while self._intake.rows or not self._intake.is_closed:
            try:
                self._turn()
            except Exception as error:  # noqa: BLE001 - a dead writer would lose everything that follows
                _log.error("the journal's writer stumbled", extra={"error": type(error).__name__})
                self._give_up.wait(BUSY_PAUSE_S)
        self._backing.finish()

    def _turn(self) -> None:
        patience_s = max(0.0, self._next_tick_s - time.monotonic())
        group = self._intake.gather(patience_s, self._settings.commit_ms / 1000)
        if group:
            self._commit(group)
            self._intake.done()
        if time.monotonic() >= self._next_tick_s and not self._intake.is_closed:
            self._next_tick_s = time.monotonic() + TICK_S
            self._housekeep()

    def _commit(self, group: Sequence[Row | Note | Command]) -> None:
        """Write a group; what cannot be written is counted with the next that can."""
        try:
            is_written = self._transact(group)
        except Exception as error:  # noqa: BLE001 - one row that no table takes must not cost its neighbours
            if len(group) > 1:
                for item in group:
                    self._commit([item])
                return
            _log.error("a row that no table takes was dropped", extra={"error": type(error).__name__})
            is_written = False
        for item in group:
            if isinstance(item, Command):
                item.succeed() if is_written else item.fail(JournalUnavailable())
            elif not is_written and not isinstance(item, Note):
                self._debts.lose(item, Drop.STOPPED if self._give_up.is_set() else Drop.STORE_FAILED)

    def _transact(self, group: Sequence[Row | Note | Command]) -> bool:
        """Write a group in one transaction, as long as another process may lock us out; False when there is no way.

        Raises what a row that does not fit the tables gives rise to.
        """

        def work(file: JournalFile, accepts_rows: bool) -> None:
            self._debts.record(file)
            _apply(group, file, accepts_rows)

        is_starting = self._thread is None
        began_s = time.monotonic()
        while True:
            try:
                self._backing.write(work)
                break
            except (apsw.BusyError, apsw.LockedError):
                is_hopeless = is_starting and time.monotonic() - began_s > START_PATIENCE_S
                if self._give_up.wait(BUSY_PAUSE_S) or is_hopeless:
                    return False
            except StoreFailed:
                return False
        duration_s = time.monotonic() - began_s
        self._debts.settle()
        self._publish()
        self._tell(self._backing.file.written, duration_s)
        return True

    def _housekeep(self) -> None:
        """Keep within the bounds, a step at a time, and look after the file."""
        for _ in range(MAX_SWEEPS):
            sweep = Command(lambda file: file.sweep())
            self._commit([sweep])
            if sweep.future.exception():
                break
            self._backing.is_soiled |= sweep.future.result() > 0
            if sweep.future.result() < SWEEP_ROWS:
                break
        self._carry_out_requests()
        self._look_after_orphans()
        self._backing.tend()
        self._publish()
        self._drops.look(self.stats().dropped, time.monotonic())

    def _carry_out_requests(self) -> None:
        """What an operator asks for, a few steps at a time; the request stays until it is done."""
        place = self._backing.place
        if place is None or (request := requests.waiting(place.path)) is None:
            return
        for _ in range(MAX_SWEEPS):
            step = Command(lambda file: requests.carry_out(file, request))
            self._commit([step])
            if step.future.exception():
                return
            if not step.future.result():
                if request.verb == "forget":
                    self._backing.file.scrub()
                requests.done(place.path)
                _log.info("carried out a request of the command line", extra={"verb": request.verb})
                return

    def _look_after_orphans(self) -> None:
        """Not while our own outbox is in trouble, or half full."""
        place = self._backing.place
        has_room = 2 * self._published[0].pending_bytes < self._settings.outbox_max_bytes
        if self._orphans is not None and place is not None and has_room and not self._backing.degraded:
            self._orphans.visit(place.path, self._take_over)

    def _take_over(self, rows: list[OutboxRow]) -> bool:
        command = Command(lambda file: file.outbox.take_over(rows))
        self._commit([command])
        return command.future.exception() is None

    def _publish(self) -> None:
        """Let the other threads see the counts of the last commit."""
        file = self._backing.file
        stats = replace(
            file.tally.stats(oldest_pending_unix_us=file.oldest_pending_unix_us),
            quarantined_files=self._backing.quarantined_files,
            degraded=self._backing.degraded,
        )
        self._published = stats, self._debts.settled

    def _tell(self, events: Sequence[JournalEvent], duration_s: float) -> None:
        try:
            if self._on_commit is not None:
                self._on_commit(duration_s)
            if self._on_events is not None and events:
                self._on_events(events)
        except Exception as error:  # noqa: BLE001 - an onlooker must not stop the writer
            _log.warning("the journal's onlooker failed", extra={"error": type(error).__name__})


def _apply(group: Sequence[Row | Note | Command], file: JournalFile, accepts_rows: bool) -> None:
    """Rows first and all at once; a command sees those that were put before it, and may see some put after it."""
    rows = [item for item in group if not isinstance(item, _NOT_ROWS)]
    if accepts_rows:
        file.write(rows)
    else:
        for row in rows:
            file.refuse(row, Drop.DISK_FULL)
    if len(rows) == len(group):
        return
    file.forget([item.exchange_id for item in group if isinstance(item, Note)])
    for item in group:
        if isinstance(item, Command):
            item.apply(file)


def _nothing(_: JournalFile) -> None:
    """To be told when all that was put before is durable."""


def _body_bytes(events: Sequence[JournalEvent]) -> int:
    size_bytes = 0
    for event in events:
        size_bytes += len(event.body)
    return size_bytes
