"""What the meter makes of a reply: the contract between the wire decoders and everything after them.

A decoder is sans-io. It is fed the bytes of a reply body in any split, with the monotonic time at which each
piece arrived, and is asked once, at the end, for a `Reading`. It never raises and never changes what the
client gets: a malformed event is counted in `malformed_events` and skipped.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from proxy.domain.usage import Usage, UsageSource

OUTPUT_TEXT_LIMIT_CHARS = 32_768
"""How much output text a decoder keeps in memory, to estimate tokens when the provider reports none."""


class StreamEnd(StrEnum):
    """How a reply ended on the wire."""

    COMPLETE = "complete"
    ERROR = "error"
    TRUNCATED = "truncated"
    PENDING = "pending"


class OutputCategory(StrEnum):
    """What kind of thing the model produced; derived here so that the text can be thrown away."""

    ANSWER = "answer"
    ANSWER_WITH_CITATION = "answer_with_citation"
    REFUSAL = "refusal"
    TOOL_CALL = "tool_call"
    JSON = "json"
    CODE = "code"
    EMPTY = "empty"
    TRUNCATED = "truncated"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """All that is known of one reply. Text lives here only until settlement; it is never emitted."""

    usage: Usage = field(default_factory=Usage)
    usage_source: UsageSource = UsageSource.NONE
    finish_reason: str | None = None
    model: str | None = None
    response_id: str | None = None
    tool_names: tuple[str, ...] = ()
    tool_call_count: int = 0
    stream_end: StreamEnd = StreamEnd.TRUNCATED
    first_token_ns: int | None = None
    error_code: str | None = None
    """The provider's own error code or type, verbatim; map it before it leaves."""
    has_refusal: bool = False
    has_citation: bool = False
    output_text: str = field(default="", repr=False)
    """The first `OUTPUT_TEXT_LIMIT_CHARS` of visible output, tool arguments and reasoning, in order."""
    output_chars: int = 0
    """Length of all output text, also of what was not kept."""
    answer_head: str = field(default="", repr=False)
    """The first 256 characters of the visible answer alone (no reasoning, no tool arguments)."""
    malformed_events: int = 0


class Decoder(Protocol):
    """Reads one reply body."""

    def feed(self, chunk: bytes, at_ns: int) -> None:
        """Take the next bytes; `at_ns` is when they arrived on the monotonic clock. Never raises."""

    def finish(self) -> Reading:
        """The body has ended, or broke. Call once; never raises."""
