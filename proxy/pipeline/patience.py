"""How long one attempt is waited for: the three limits of a provider, kept by one timer.

`first_byte_s` runs from the last byte of the request that went on until the body of the reply begins, `idle_s` between
the pieces of the reply, `total_s` over the whole attempt. While the client is asked for more of its request, or has no
room for more of the reply, only `total_s` runs: its slowness is not the provider's.

A piece that arrives costs a look at the loop's clock and nothing else. The timer is set for the limit that held when it
was set; when it rings too early, because more has arrived since, it is set again.
"""

import asyncio
import math
from types import TracebackType
from typing import Self

from proxy.domain.errors import UpstreamError, UpstreamIdleTimeout, UpstreamTimeout, UpstreamTotalTimeout
from proxy.domain.routing import Timeouts

_MESSAGES: dict[type[UpstreamError], str] = {
    UpstreamTimeout: "The provider sent no byte of a reply in time.",
    UpstreamIdleTimeout: "The provider fell silent in the middle of its reply.",
    UpstreamTotalTimeout: "The provider's reply took longer than the total limit.",
}
_SHORTEST_S = 0.001
"""The resolution of the event loop's timers."""


class Patience:
    """Begins with the attempt; `close` ends it. `with patience:` stands around each wait for the provider.

    When a limit passes, that wait is cancelled and the `with` raises the UpstreamError that says which limit it was.
    """

    __slots__ = (
        "_cancels_before", "_first_byte_at_s", "_is_held", "_is_waiting", "_loop", "_passed", "_rings_at_s", "_task",
        "_timeouts", "_timer", "_total_at_s", "heard_at_s", "now_s",
    )  # fmt: skip

    def __init__(self, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        self._loop = loop = asyncio.get_running_loop()
        self.now_s = loop.time
        now_s = loop.time()
        self._total_at_s = math.inf if timeouts.total_s is None else now_s + timeouts.total_s
        self._first_byte_at_s = now_s + timeouts.first_byte_s
        self.heard_at_s: float | None = None
        """When the last piece of the reply came, on `now_s`; set by whoever takes the pieces."""
        self._is_held = False
        self._passed: UpstreamError | None = None
        self._task: asyncio.Task[object] | None = None
        """Who waits, known once somebody has."""
        self._is_waiting = False
        self._cancels_before = 0
        self._rings_at_s = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._see_to(min(self._first_byte_at_s, self._total_at_s))

    def on_turn(self, is_clients: bool) -> None:
        """More of the request is asked of the client, or was handed to the provider."""
        self._first_byte_at_s = math.inf if is_clients else self.now_s() + self._timeouts.first_byte_s
        self._see_to(self._limit()[0])

    def begin(self) -> None:
        """The body of the reply has begun."""
        self.heard_at_s = now_s = self.now_s()
        if now_s + self._timeouts.idle_s < self._rings_at_s:
            self._see_to(now_s + self._timeouts.idle_s)

    def hold(self) -> None:
        """The client has no room; nothing is asked of the provider."""
        self._is_held = True

    def release(self) -> None:
        """The provider is waited for again."""
        self._is_held = False
        self.begin()

    def close(self) -> None:
        """The attempt is over."""
        self._stop()
        self._passed = None  # it knows the frames that it has passed, and those know this

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._rings_at_s = math.inf

    def __enter__(self) -> Self:
        if self._passed is not None:
            raise self._passed
        if self._task is None:
            self._task = asyncio.current_task(self._loop)
            assert self._task is not None
            self._cancels_before = self._task.cancelling()
        self._is_waiting = True
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        self._is_waiting = False
        if self._passed is None or self._task is None:
            return
        is_ours_alone = self._task.uncancel() <= self._cancels_before
        if is_ours_alone and kind is asyncio.CancelledError:
            raise self._passed from None

    def _limit(self) -> tuple[float, type[UpstreamError]]:
        """Until when the provider has time now, and what it means when that has passed."""
        at_s: float
        meaning: type[UpstreamError]
        if self._is_held:
            at_s, meaning = math.inf, UpstreamIdleTimeout
        elif self.heard_at_s is not None:
            at_s, meaning = self.heard_at_s + self._timeouts.idle_s, UpstreamIdleTimeout
        else:
            at_s, meaning = self._first_byte_at_s, UpstreamTimeout
        return (at_s, meaning) if at_s < self._total_at_s else (self._total_at_s, UpstreamTotalTimeout)

    def _see_to(self, at_s: float) -> None:
        """See to it that the timer rings no later than this."""
        if at_s < self._rings_at_s:
            self._stop()
            self._rings_at_s = at_s
            self._timer = self._loop.call_at(at_s, self._ring)

    def _ring(self) -> None:
        self._timer, self._rings_at_s = None, math.inf
        at_s, meaning = self._limit()
        if at_s > (now_s := self.now_s()):
            self._see_to(max(at_s, now_s + _SHORTEST_S))
            return
        self._passed = meaning(_MESSAGES[meaning])
        if self._is_waiting and self._task is not None:
            self._task.cancel()
