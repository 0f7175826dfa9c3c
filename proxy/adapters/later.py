"""What has time until the clients are served, done in batches on the event loop.

A batch is done when nothing has been given for a moment. Each call gives something when it goes out and when it ends,
so no call is at work then, and none is held up; a pause of fixed length would meet the next call wherever calls come
at the same pace. Where they leave no such moment, it is done all the same.
"""

import asyncio
from collections import deque
from collections.abc import Callable

QUIET_S = 0.002
"""How long nothing was given when a batch is done."""
PAUSE_S = 0.01
"""From the first action that waits until they are done, at most: short beside the 100 ms within which an end is
durable."""
MOST_AT_ONCE = 16
"""Then traffic has its turn: so many settlements take a millisecond or two."""
_TICK_S = 0.001
"""The resolution of the event loop's clock and timers."""

Action = Callable[[], None]


class Later:
    """`later(action)` has it done soon, after those given before. Actions do not raise."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[Action] = deque()
        self._given_at_s = self._due_at_s = 0.0

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
            self._turn()
        else:
            self._loop.call_later(left_s, self._look)

    def _turn(self) -> None:
        for _ in range(min(MOST_AT_ONCE, len(self._waiting))):
            self._waiting.popleft()()
        if self._waiting:
            self._loop.call_soon(self._turn)
