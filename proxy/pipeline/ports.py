"""The few outside things that the pipeline needs, as Protocols, and the values it hands to the edge.

A Protocol stands here only where a real and a test implementation both exist.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import field
from typing import Protocol

from proxy.domain.capture import Captured
from proxy.domain.checks import Finding, HeavyRule
from proxy.domain.estimate import Estimate, TextToCount
from proxy.domain.fields import Fields
from proxy.domain.identity import Caller
from proxy.domain.journal_rows import Closing as Closing
from proxy.domain.journal_rows import JournalEvent as JournalEvent
from proxy.domain.journal_rows import Opening as Opening
from proxy.domain.journal_rows import Outcome as Outcome
from proxy.domain.outcome_context import Found, Sees
from proxy.domain.outcomes import Reference
from proxy.domain.rollout import Decision, Rollout
from proxy.domain.routing import Timeouts
from proxy.domain.values import value_class


@value_class
class UpstreamRequest:
    """One attempt on the wire. `url` is absolute and already encoded; it is used byte for byte."""

    method: str
    url: str
    headers: Fields = field(repr=False)
    body: bytes | AsyncIterator[bytes] | None = field(repr=False)
    timeouts: Timeouts
    on_sent: Callable[[], None] = field(repr=False)
    """Called once the head is on its way to the provider, with the body where it is small: from here on the call may
    run there, and what is done in here delays neither."""
    on_begun: Callable[[], None] = field(repr=False)
    """Called when the first byte of the reply's body arrives; never where the body is empty."""


Sink = Callable[[bytes], None]
"""Takes the next piece of a body, never an empty one, and returns at once. What it raises ends the pouring."""
ChunkSink = Callable[[bytes, bytes], None]
"""As `Sink`, for a piece that is the whole of one HTTP chunk: the piece, and the chunk as it came, framing included."""


class UpstreamReply(Protocol):
    """A reply of which the head and the first byte of the body, or its end, have arrived.

    The body is given undecoded and once: whole by `read`, or piece by piece by `pour`. Both raise `UpstreamError`
    when it breaks, and what the request's body raises; they return only when the reply was whole.
    """

    @property
    def status(self) -> int:
        """Of the final reply: 200 to 999."""

    @property
    def reason(self) -> str:
        """The words beside it, which may be none."""

    @property
    def headers(self) -> Fields:
        """As they came; none once the body pours."""

    def peek(self) -> bytes:
        """What has arrived of the body and was not given yet; none only where the body is empty."""

    async def read(self, limit_bytes: int) -> bytes | None:
        """The whole body if it is at most so long; else None, with nothing lost: `pour` gives all of it."""

    def pour(self, sink: Sink, chunk_sink: ChunkSink | None = None) -> Awaitable[None]:
        """Give each piece to the sink as it arrives, and what came before that first.

        What arrives as one whole chunk may go to `chunk_sink` instead.
        """

    def pause(self) -> None:
        """Take no more from the provider: the sink has no room. A piece that is on its way may still come."""

    def resume(self) -> None:
        """Go on."""

    def close(self) -> None:
        """Leave the reply, once. Before the end of its body this aborts the connection, so that the provider stops."""


class Upstream(Protocol):
    """The HTTP client. Every network error leaves it as an `UpstreamError`; what a request's body raises, as it is."""

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        """Send one request and wait for its reply, which the caller closes. Cancelling aborts the connection."""


class SideDecompressor(Protocol):
    """Decodes a compressed reply for the meter alone; gives b"" once it cannot."""

    def feed(self, chunk: bytes) -> bytes:
        """The decoded bytes, if any. Never raises."""


class Journal(Protocol):
    """The durable store. It never raises, and counts what it must drop. All calls but `keep` return at once."""

    def open(self, opening: Opening) -> None:
        """Note a running call."""

    def close(self, closing: Closing) -> None:
        """Note its end; a second end for the same exchange is ignored."""

    def note(self, outcome: Outcome) -> None:
        """Keep and send what came of calls; an event that is kept already is ignored."""

    async def keep(self, outcomes: Sequence[Outcome]) -> bool:
        """As `note`, all of them; True once they are durable, False where one of them could not be kept."""


class Estimator(Protocol):
    """Counts tokens where the provider reported none, off the event loop."""

    def submit(self, job: TextToCount, done: Callable[[Estimate], None]) -> bool:
        """Queue one count; False, at once, when the queue is full: `done` is then never called.

        Else `done` is called exactly once, later; `app` sees to it that this is on the event loop.
        """


class ContentKeeper(Protocol):
    """Keeps the content of calls where configuration asks for it: redacted and encrypted, in another process."""

    def keep(self, captured: Captured) -> None:
        """Take it over. Returns at once, never raises; what cannot be kept is counted."""


class Flags(Protocol):
    """PostHog's feature flags, evaluated here by definitions that were fetched before."""

    def decide(self, rollout: Rollout, caller: Caller) -> Decision:
        """The variant of the rollout's flag for this caller, or its default and why. At once: no network, no disk.

        Never raises.
        """


class SharedMemory(Protocol):
    """Small facts that all workers of a data folder know, for a while; across restarts, too.

    It is forgetful: what is old goes when room is needed, and all of it may be gone at any time. Both calls take a
    microsecond or two, hold no lock, and never raise.
    """

    def recall(self, key: bytes) -> bytes | None:
        """What was remembered last under a key of 16 bytes, which is a hash; None where nothing is known any more."""

    def remember(self, key: bytes, value: bytes) -> bool:
        """Keep up to 96 bytes under the key, in place of what was known; True when nothing was.

        Two workers that do so at the same moment may both be told True.
        """

    def revise(self, key: bytes, change: Callable[[bytes | None], bytes]) -> bytes | None:
        """Remember what `change` makes of what was known, which is given back. Calls it once, whatever becomes of it.

        Two workers that do so at the same moment may both be given the same.
        """


class CallFinder(Protocol):
    """Finds calls in what is kept of them, by all workers."""

    async def find(self, abouts: Sequence[Reference], sees: Sees) -> Sequence[Found]:
        """Look once for each, as of now, off the event loop. Raises Overloaded."""


class Checker(Protocol):
    """Looks at answers by rules that take time, off the event loop."""

    def submit(
        self, rules: tuple[HeavyRule, ...], text: str, done: Callable[[Mapping[HeavyRule, Finding]], None]
    ) -> bool:
        """Queue one answer; False, at once, when there is no room: `done` is then never called.

        Else `done` is called exactly once, within a second and on the event loop, with the findings that were made.
        """


class Clock(Protocol):
    """Time, so that tests can hold it."""

    def monotonic_ns(self) -> int:
        """Nanoseconds that never go back."""

    def unix_us(self) -> int:
        """Microseconds since 1970 UTC."""
