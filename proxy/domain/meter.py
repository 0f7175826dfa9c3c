"""What the meter makes of a reply: the contract between the wire decoders and everything after them.

A decoder is sans-io. It is fed the bytes of a reply body in any split, with the monotonic time at which each
piece arrived, and is asked once, at the end, for a `Reading`. It never raises and never changes what the
client gets: a malformed event is counted in `malformed_events` and skipped.
"""

from dataclasses import field
from enum import StrEnum
from typing import Protocol

import orjson

from proxy.domain.provider_errors import is_content_filter
from proxy.domain.tool_calls import ToolCall
from proxy.domain.usage import Usage, UsageSource
from proxy.domain.values import value_class

OUTPUT_TEXT_LIMIT_CHARS = 32_768
"""How much output text a decoder keeps in memory, to estimate tokens when the provider reports none."""

ANSWER_HEAD_LIMIT_CHARS = 256
"""How much of the visible answer is kept, to tell what kind of output it is."""


class StreamEnd(StrEnum):
    """How a reply ended on the wire.

    `COMPLETE`: the dialect's terminal marker was seen. `ERROR`: not a 2xx, or the body says so itself.
    `TRUNCATED`: it stopped before the marker. `PENDING`: the provider goes on working and was not waited for.
    """

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


@value_class
class Reading:
    """All that is known of one reply. Text lives here only until settlement; it is never emitted."""

    usage: Usage = field(default_factory=Usage)
    usage_source: UsageSource = UsageSource.NONE
    finish_reason: str | None = None
    """The provider's own word, verbatim; of several choices, that of the first."""
    incomplete_reason: str | None = None
    """Why a Responses reply is `incomplete`: max_output_tokens, content_filter, …"""
    model: str | None = None
    response_id: str | None = None
    tool_names: tuple[str, ...] = ()
    """Distinct names of the client's tools that were called, in order; at most 100 of at most 200 characters."""
    tool_call_count: int = 0
    """Calls of the client's tools; what a provider runs by itself is not among them."""
    tool_calls: tuple[ToolCall, ...] = field(default=(), repr=False)
    """The first 64 of them, in order; see `domain.agent_steps`."""
    stream_end: StreamEnd = StreamEnd.TRUNCATED
    first_token_ns: int | None = None
    """Arrival of the first output of a streamed reply; None for a reply that came as one document."""
    error_code: str | None = None
    """The provider's own error code or type, verbatim; map it before it leaves."""
    has_refusal: bool = False
    has_citation: bool = False
    has_media: bool = False
    """Audio or images were produced; their bytes are never kept."""
    output_text: str = field(default="", repr=False)
    """The first `OUTPUT_TEXT_LIMIT_CHARS` of visible output, tool arguments and reasoning, in order."""
    output_chars: int = 0
    """Length of all output text, also of what was not kept."""
    answer_head: str = field(default="", repr=False)
    """The first 256 characters of the visible answer alone (no reasoning, no tool arguments)."""
    answer_text: str = field(default="", repr=False)
    """The first `OUTPUT_TEXT_LIMIT_CHARS` of it; of several choices, all of them mixed."""
    answer_chars: int = 0
    """Length of all of it, also of what was not kept."""
    choice_count: int = 1
    """How many answers the reply holds."""
    malformed_events: int = 0


class Decoder(Protocol):
    """Reads one reply body."""

    @property
    def needs_times(self) -> bool:
        """Whether it still matters when something arrives; once it does not, it never does again."""

    def feed(self, chunk: bytes, at_ns: int) -> None:
        """Take the next bytes; `at_ns` is when they arrived on the monotonic clock. Never raises."""

    def finish(self, *, broken: bool = False) -> Reading:
        """The body has ended. Call once; never raises.

        `broken`: it ended by a transport error or by our own leaving, not by its framing. A broken reply is
        complete only if the dialect's terminal marker had been seen before.
        """


_UNFINISHED = (StreamEnd.TRUNCATED, StreamEnd.ERROR)
_ANSWER = OutputCategory.ANSWER
"""To ask the class of an enumeration for a member takes ten times as long."""
_CUT_SHORT = frozenset({"length", "max_tokens", "MAX_TOKENS", "incomplete", "model_context_window_exceeded"})


def output_category(reading: Reading, *, wants_json: bool) -> OutputCategory:
    """Name the kind of output. The first that applies, in this order.

    blocked (a content filter ended it) · refusal · truncated (a limit, an error or a broken transport ended
    it; a tool call or JSON that was cut is of no use as such) · tool_call · empty (nothing visible) · json
    (starts like it where it was asked for, or the whole of a short answer parses) · code (starts with a
    fence) · answer_with_citation · answer.
    """
    if any(map(is_content_filter, (reading.finish_reason, reading.incomplete_reason, reading.error_code))):
        return OutputCategory.BLOCKED
    if reading.has_refusal:
        return OutputCategory.REFUSAL
    if _was_cut(reading):
        return OutputCategory.TRUNCATED
    if reading.tool_call_count:
        return OutputCategory.TOOL_CALL
    return _answer_category(reading, wants_json=wants_json)


def _was_cut(reading: Reading) -> bool:
    if reading.finish_reason in _CUT_SHORT:
        return True
    has_output = reading.output_chars > 0 or reading.tool_call_count > 0 or reading.has_media
    return has_output and reading.stream_end in _UNFINISHED


def _answer_category(reading: Reading, *, wants_json: bool) -> OutputCategory:
    head = reading.answer_head.strip()
    if not head and not reading.has_media:
        return OutputCategory.EMPTY
    if head.startswith(("{", "[")) and (wants_json or _parses(head)):
        return OutputCategory.JSON
    if head.startswith("```"):
        return OutputCategory.CODE
    return OutputCategory.ANSWER_WITH_CITATION if reading.has_citation else _ANSWER


def _parses(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
