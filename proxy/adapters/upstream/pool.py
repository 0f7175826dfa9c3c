"""Connections that wait for their next call.

The one that has rested for the shortest time is taken first: it is the least likely to be closed by now, and a few
connections stay in use where a few are enough. How many are open at once is not limited: a limit would queue streams.
"""

import asyncio
from time import monotonic

from proxy.adapters.upstream.address import Origin
from proxy.adapters.upstream.connection import Connection
from proxy.adapters.upstream.wire import IDLE_CONNECTION_S

MOST_IDLE = 1_024
"""Of one provider. What a burst leaves over beyond that is closed at once."""


class Pool:
    """Holds what rests, for `IDLE_CONNECTION_S` at most."""

    def __init__(self) -> None:
        self._resting: dict[Origin, dict[Connection, float]] = {}
        """With the monotonic time from which on each rests; the longest comes first."""
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._is_closed = False

    def take(self, origin: Origin) -> Connection | None:
        """One that rests, if any is fresh and open."""
        resting = self._resting.get(origin)
        oldest_s = monotonic() - IDLE_CONNECTION_S
        while resting:
            connection, since_s = resting.popitem()
            if since_s > oldest_s and connection.is_open:
                return connection
            connection.abort()
        return None

    def rest(self, connection: Connection) -> None:
        """Keep it for the next call."""
        resting = self._resting.setdefault(connection.origin, {})
        if self._is_closed or len(resting) >= MOST_IDLE:
            connection.abort()
            return
        resting[connection] = monotonic()
        if self._sweep_timer is None:
            self._sweep_timer = asyncio.get_running_loop().call_later(IDLE_CONNECTION_S, self._sweep)

    def forget(self, connection: Connection) -> None:
        """It is gone."""
        self._resting.get(connection.origin, {}).pop(connection, None)

    def close(self) -> None:
        """End all that rest, and what would."""
        self._is_closed = True
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
        for resting in self._resting.values():
            while resting:
                resting.popitem()[0].abort()

    def _sweep(self) -> None:
        """End those that have rested long enough, and come back when the next has."""
        self._sweep_timer = None
        now_s = monotonic()
        oldest_s = now_s - IDLE_CONNECTION_S
        for resting in self._resting.values():
            for connection in [one for one, since_s in resting.items() if since_s <= oldest_s]:
                del resting[connection]
                connection.abort()
        firsts = [next(iter(resting.values())) for resting in self._resting.values() if resting]
        if firsts:
            soonest_s = min(firsts) + IDLE_CONNECTION_S - now_s
            self._sweep_timer = asyncio.get_running_loop().call_later(soonest_s, self._sweep)
