"""What has time until the clients are served, done in batches on the event loop."""

import asyncio
from collections import deque
from collections.abc import Callable

PAUSE_S = 0.01
"""From the first action that waits until they are done: short beside the 100 ms within which an end is durable."""
MOST_AT_ONCE = 16
"""Then traffic has its turn: so many settlements take a millisecond or two."""

Action = Callable[[], None]


class Later:
    """`later(action)` has it done soon, after those given before. Actions do not raise."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[Action] = deque()

    def __call__(self, action: Action) -> None:
        """Returns at once."""
        if not self._waiting:
            self._loop.call_later(PAUSE_S, self._turn)
        self._waiting.append(action)

    def finish(self) -> None:
        """Do now all that waits."""
        while self._waiting:
            self._waiting.popleft()()

    def _turn(self) -> None:
        for _ in range(min(MOST_AT_ONCE, len(self._waiting))):
            self._waiting.popleft()()
        if self._waiting:
            self._loop.call_soon(self._turn)
