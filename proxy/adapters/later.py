"""What has time until the clients are served, done in batches on the event loop.

A batch is done when nothing has been given for a moment. Each call gives something when it goes out and when it ends,
so no call is at work then, and none is held up; a pause of fixed length would meet the next call wherever calls come
at the same pace. Where they leave no such moment, it is done all the same: traffic and what it left behind then take
turns of the same length, so that what waits does not pile up under the heaviest load.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable

QUIET_S = 0.002
"""How long nothing was given when a batch is done."""
PAUSE_S = 0.01
"""From the first action that waits until they are done, at most: short beside the 100 ms within which an end is
durable."""
LEAST_AT_ONCE = 16
"""However short traffic's turn was: so many settlements take a millisecond or two."""
MOST_WAITING = 4_096
"""What is over is done at once: what waits is in memory alone, and must not outgrow it."""
_TICK_S = 0.001
"""The resolution of the event loop's clock and timers."""

Action = Callable[[], None]


class Later:
    """`later(action)` has it done soon, after those given before. Actions do not raise."""

    def __init__(self, loop: asyncio.AbstractEventLoop, now_s: Callable[[], float] = time.monotonic) -> None:
        """`now_s` goes on while a callback runs, which the loop's clock does not."""
        self._loop = loop
        self._now_s = now_s
        self._waiting: deque[Action] = deque()
        self._given_at_s = self._due_at_s = self._turned_at_s = 0.0

    def __call__(self, action: Action) -> None:
        """Returns at once."""
        self._given_at_s = self._loop.time()
        if not self._waiting:
            self._due_at_s = self._given_at_s + PAUSE_S
            self._loop.call_later(QUIET_S, self._look)
        self._waiting.append(action)

    def finish(self) -> None:
        """Do now all that waits."""
        while self._waiting:
            self._waiting.popleft()()

    def _look(self) -> None:
        """Is it quiet? Else look again when it could be."""
        left_s = min(self._given_at_s + QUIET_S, self._due_at_s) - self._loop.time()
        if left_s < _TICK_S:
            late_s = max(0.0, self._loop.time() - self._due_at_s)
            self._turned_at_s = self._now_s() - late_s  # as long, traffic has had its turn
            self._turn()
        else:
            self._loop.call_later(left_s, self._look)

    def _turn(self) -> None:
        """Take as long as traffic has since the last turn."""
        waiting = self._waiting
        began_s = self._now_s()
        ends_s = began_s + (began_s - self._turned_at_s)
        for done in range(len(waiting)):
            if done >= LEAST_AT_ONCE and len(waiting) <= MOST_WAITING and self._now_s() >= ends_s:
                break
            waiting.popleft()()
        if waiting:
            self._turned_at_s = self._now_s()
            self._loop.call_soon(self._turn)
