"""Looks at the guardrails of experiments now and then, in a child process: what they need takes time and memory.

The child is `promptlane experiment guard`. What it stops it writes into the data folder, where every worker sees it;
so nothing that it says is read here.
"""

import asyncio
import logging
import os
import subprocess
from collections.abc import Callable
from contextlib import suppress

from proxy.adapters.children import environment, python_module
from proxy.config import Places
from proxy.domain.experiments import OnBreach
from proxy.domain.prompts import PromptBook

IDLE_S = 10.0
"""Between two looks at whether any experiment wants its guardrails watched."""
LONGEST_S = 600.0
"""A look that takes longer is given up."""
NICENESS = 10
"""The child gives way to calls."""

log = logging.getLogger(__name__)


class GuardrailWatch:
    """`run` until it is cancelled, in one worker of a data folder."""

    def __init__(self, places: Places, book: Callable[[], PromptBook]) -> None:
        self._command = _command(places)
        self._book = book

    async def run(self) -> None:
        """Look whenever it is time. Never ends by itself."""
        while True:
            pause_s = shortest_pause_s(self._book())
            await asyncio.sleep(IDLE_S if pause_s is None else pause_s)
            if pause_s is not None:
                await self._look()

    async def _look(self) -> None:
        try:
            child = await asyncio.create_subprocess_exec(
                *self._command,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # a terminal's Ctrl-C is not for it
            )
        except OSError:
            log.warning("the guardrails of experiments could not be looked at")
            return
        try:
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, child.pid, NICENESS)
            async with asyncio.timeout(LONGEST_S):
                if await child.wait() != 0:
                    log.warning("the guardrails of experiments could not be looked at")
        except TimeoutError:
            log.warning("the guardrails of experiments could not be looked at")
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()


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


def _command(places: Places) -> list[str]:
    """Places that do not exist are not named: they are the default ones, and nobody may name such a place."""
    named = [
        *(("--config", str(places.config_dir)) if places.config_dir.is_dir() else ()),
        *(("--pricing", str(places.pricing_file)) if places.pricing_file.is_file() else ()),
        *("--data", str(places.data_dir)),
    ]
    return python_module("proxy.cli", "experiment", "guard", *named)
