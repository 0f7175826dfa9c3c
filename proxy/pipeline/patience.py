"""How long one attempt is waited for: the three limits of a provider, as points in the event loop's time.

`first_byte_s` runs from the last byte of the request that went on until the body of the reply begins, `idle_s` between
the pieces of the reply, `total_s` over the whole attempt. While the client is asked for more of its request, only
`total_s` runs: its silence is not the provider's.
"""

import asyncio
import math

from proxy.domain.errors import UpstreamError, UpstreamIdleTimeout, UpstreamTimeout, UpstreamTotalTimeout
from proxy.domain.routing import Timeouts

_MESSAGES: dict[type[UpstreamError], str] = {
    UpstreamTimeout: "The provider sent no byte of a reply in time.",
    UpstreamIdleTimeout: "The provider fell silent in the middle of its reply.",
    UpstreamTotalTimeout: "The provider's reply took longer than the total limit.",
}


class Patience:
    """Begins with the attempt. `until_s` tells the limit that holds now, `error` what it means that it has passed."""

    def __init__(self, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        self._total_at_s = math.inf if timeouts.total_s is None else _now_s() + timeouts.total_s
        self._nearest: type[UpstreamError] = UpstreamTotalTimeout
        self.on_turn(False)

    def on_turn(self, is_clients: bool) -> None:
        """More of the request is asked of the client, or was handed to the provider."""
        self._first_byte_at_s = math.inf if is_clients else _now_s() + self._timeouts.first_byte_s

    def until_s(self, *, is_begun: bool) -> float | None:
        """Until when to wait for the next byte of a reply, of which the first has come or not; None: for ever."""
        at_s = _now_s() + self._timeouts.idle_s if is_begun else self._first_byte_at_s
        self._nearest = UpstreamIdleTimeout if is_begun else UpstreamTimeout
        if self._total_at_s <= at_s:
            at_s, self._nearest = self._total_at_s, UpstreamTotalTimeout
        return None if at_s == math.inf else at_s

    def error(self) -> UpstreamError:
        """For the limit that `until_s` told last."""
        return self._nearest(_MESSAGES[self._nearest])


def _now_s() -> float:
    return asyncio.get_running_loop().time()
