"""Looks at the guardrails of experiments now and then, by `promptlane experiment guard` in a child process.

What it stops it writes into the data folder, where every worker sees it; so nothing that it says is read here.
"""

import asyncio
import logging
from collections.abc import Callable

from proxy.app.child_verbs import succeeds, verb
from proxy.config import Places
from proxy.domain.experiments import OnBreach
from proxy.domain.prompts import PromptBook

IDLE_S = 10.0
"""Between two looks at whether any experiment wants its guardrails watched."""

log = logging.getLogger(__name__)


class GuardrailWatch:
    """`run` until it is cancelled, in one worker of a data folder."""

    def __init__(self, places: Places, book: Callable[[], PromptBook]) -> None:
        self._places = places
        self._book = book

    async def run(self) -> None:
        """Look whenever it is time. Never ends by itself."""
        while True:
            pause_s = shortest_pause_s(self._book())
            await asyncio.sleep(IDLE_S if pause_s is None else pause_s)
            if pause_s is not None:
                await self._look()

    async def _look(self) -> None:
        if not await succeeds(verb(self._places, "experiment", "guard")):
            log.warning("the guardrails of experiments could not be looked at")


def shortest_pause_s(book: PromptBook) -> float | None:
    """Between two looks; None where no experiment acts on a breach."""
    return min(
        (
            prompt.experiment.check_every_s
            for prompt in book.prompts.values()
            if prompt.experiment is not None and prompt.experiment.on_breach is OnBreach.STOP
        ),
        default=None,
    )
