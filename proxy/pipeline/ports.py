"""The few outside things that the pipeline needs, as Protocols, and the values it hands to the edge.

A Protocol stands here only where a real and a test implementation both exist.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from proxy.domain.estimate import Estimate, TextToCount
from proxy.domain.journal_rows import Closing as Closing
from proxy.domain.journal_rows import JournalEvent as JournalEvent
from proxy.domain.journal_rows import Opening as Opening
from proxy.domain.routing import Timeouts

Headers = Sequence[tuple[str, str]]
"""Field names as they came (any case), in order, duplicates kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamRequest:
    """One attempt on the wire. `url` is absolute and already encoded; it is used byte for byte."""

    method: str
    url: str
    headers: Headers = field(repr=False)
    body: bytes | AsyncIterator[bytes] | None = field(repr=False)
    timeouts: Timeouts
    on_sent: Callable[[], None] = field(repr=False)
    """Called once the head is on its way to the provider: from here on the call may run there."""


class UpstreamReply(Protocol):
    """A reply whose head has arrived. `chunks` yields body bytes as they come, undecoded."""

    status: int
    reason: str
    headers: Headers

    def chunks(self) -> AsyncIterator[bytes]:
        """The body, once. Raises `UpstreamError` when it breaks; ends cleanly only when it was whole."""


class Upstream(Protocol):
    """The HTTP client. Every network error leaves it as an `UpstreamError`."""

    def send(self, request: UpstreamRequest) -> AbstractAsyncContextManager[UpstreamReply]:
        """Send one request; leaving the context before the body ended aborts the connection."""


class Journal(Protocol):
    """The durable store. Both calls return at once, never raise, and count what they must drop."""

    def open(self, opening: Opening) -> None:
        """Note a running call."""

    def close(self, closing: Closing) -> None:
        """Note its end; a second end for the same exchange is ignored."""


class Estimator(Protocol):
    """Counts tokens where the provider reported none, off the event loop."""

    def submit(self, job: TextToCount, done: Callable[[Estimate], None]) -> bool:
        """Queue one count; False, at once, when the queue is full: `done` is then never called.

        Else `done` is called exactly once, later; `app` sees to it that this is on the event loop.
        """


class Clock(Protocol):
    """Time, so that tests can hold it."""

    def monotonic_ns(self) -> int:
        """Nanoseconds that never go back."""

    def unix_us(self) -> int:
        """Microseconds since 1970 UTC."""
