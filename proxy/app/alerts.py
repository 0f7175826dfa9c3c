"""Looks at the alerts now and then, by `promptlane alerts check` in a child process, and tells PostHog what they say.

The child writes what fires and resolves into the data folder and tells the webhook. An event has the same uuid each
time, so that telling it again after a restart changes nothing.
"""

import asyncio
import logging
from collections.abc import Callable

from proxy.adapters.alert_state import AlertState, Damaged
from proxy.app.child_verbs import succeeds, verb
from proxy.config import Places
from proxy.domain.alert_records import outcome_of
from proxy.domain.alerts import AlertBook, AlertChange, AlertPolicy, State
from proxy.domain.journal_rows import Outcome

IDLE_S = 10.0
"""Between two looks at whether there are rules by now."""
TOLD_WITHIN_US = 7 * 86_400 * 1_000_000
"""An older change is history: whoever was to hear of it has."""

log = logging.getLogger(__name__)


class AlertWatch:
    """`run` until it is cancelled, in one worker of a data folder."""

    def __init__(
        self,
        places: Places,
        address: str,
        policy: Callable[[], AlertPolicy],
        note: Callable[[Outcome], None],
        unix_us: Callable[[], int],
    ) -> None:
        """`address` is where the pages are, as far as this process knows; `note` takes the events."""
        self._places = places
        self._address = address
        self._policy = policy
        self._note = note
        self._unix_us = unix_us
        self._told: set[tuple[str, State]] = set()
        self._unsent: set[tuple[str, State]] = set()
        self._began_us = unix_us()
        self.firing = 0
        """How many alerts fire now."""

    async def run(self) -> None:
        """Look whenever it is time. Never ends by itself."""
        await self._tell()  # of what a look by hand found while no proxy ran
        while True:
            policy = self._policy()
            is_wanted = bool(policy.rules or self.firing)  # what fires resolves, also where its rule is gone
            await asyncio.sleep(policy.every_s if is_wanted else IDLE_S)
            if is_wanted:
                await self._look()

    async def _look(self) -> None:
        if not await succeeds(verb(self._places, "alerts", "check", "--pages", self._address)):
            log.warning("the alerts could not be looked at")
        await self._tell()

    async def _tell(self) -> None:
        try:
            book = await asyncio.to_thread(AlertState(self._places.data_dir).read)
        except (OSError, Damaged):
            log.warning("alerts.json cannot be read: no alert is told; see `promptlane alerts ls`")
            return
        self.firing = len(book.firing)
        oldest_us = self._unix_us() - TOLD_WITHIN_US
        for change in book.changes:
            if _key(change) not in self._told and change.at_unix_us >= oldest_us:
                self._note(outcome_of(change))
                self._log(change)
        self._told = {_key(change) for change in book.changes}
        self._warn(book)

    def _log(self, change: AlertChange) -> None:
        """Not what an earlier process has logged."""
        if change.at_unix_us < self._began_us:
            return
        about = {"alert": change.rule, "metric": change.metric, "value": change.value, "limit": change.limit}
        if change.state is State.FIRED:
            log.warning("an alert fires", extra=about)
        else:
            log.info("an alert is over", extra=about)

    def _warn(self, book: AlertBook) -> None:
        """Once for each message."""
        before, self._unsent = self._unsent, set(map(_key, book.unsent))
        if self._unsent - before:
            log.warning(
                "the webhook did not take the message of an alert; it is sent again",
                extra={"alerts": sorted({change.rule for change in book.unsent})},
            )


def _key(change: AlertChange) -> tuple[str, State]:
    return change.alert_id, change.state
