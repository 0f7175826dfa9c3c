"""From the bytes of one reply body to a `Reading`: framing here, meaning in the codecs.

The first byte that is not blank decides the framing, with the declared content type where it says nothing:
some servers answer a streamed request with a JSON error under an event-stream type, and the reverse. A JSON
document is held up to `DOCUMENT_BYTES` and parsed at the end. Of anything longer (and of events beyond the
framer's window) only the end is kept, from which the usage can still be told exactly.
"""

from collections.abc import Callable
from dataclasses import fields, replace
from operator import attrgetter
from typing import Protocol

import orjson

from proxy.domain.meter import Reading, StreamEnd
from proxy.domain.usage import Usage, UsageSource
from proxy.providers.draft import Draft
from proxy.providers.likeness import Likeness
from proxy.providers.sse import TAIL_BYTES, WINDOW_BYTES, Event, SseFramer
from proxy.providers.untrusted import Json, objects

DOCUMENT_BYTES = 4 << 20
_BLANK = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"
_SSE_STARTS = b"deir:"
"""First bytes of `data`, `event`, `id`, `retry` and a comment: none starts a JSON document."""
_SALVAGE_ATTEMPTS = 8
_COMPLETE, _PROVIDER = StreamEnd.COMPLETE, UsageSource.PROVIDER
"""To ask the class of an enumeration for a member takes ten times as long."""
_all_of_reading = attrgetter(*[entry.name for entry in fields(Reading)])
"""Of a draft, by the order of the fields: named one by one they take twice the time."""


class Codec(Protocol):
    """Reads the JSON objects of one dialect into the draft it was made with. May be given anything.

    Of an event that said nothing but a text of the answer, what it said before not counted, it may tell the draft's
    `only_text`, and of its dialect once the draft's `text_key`: then events that are alike need not be parsed.
    """

    def on_event(self, name: str, body: Json) -> None:
        """The data of one event; `name` is its `event:` field or empty."""

    def on_document(self, body: Json) -> None:
        """A reply that came whole."""

    def conclude(self) -> None:
        """The reply has ended."""


class BlindDecoder:
    """For bodies that are not looked at. `marks_output`: the body itself is the output, such as audio."""

    def __init__(self, *, is_success: bool, marks_output: bool = False) -> None:
        self._is_success = is_success
        self._marks_output = marks_output
        self._first_ns: int | None = None

    @property
    def needs_times(self) -> bool:
        """Until an output that is timed has begun."""
        return self._marks_output and self._first_ns is None

    def feed(self, chunk: bytes, at_ns: int) -> None:
        """Note when the body began."""
        if self._first_ns is None and self._marks_output and chunk:
            self._first_ns = at_ns

    def finish(self, *, broken: bool = False) -> Reading:
        """Only the transport can tell whether it was whole."""
        end = StreamEnd.TRUNCATED if broken else StreamEnd.COMPLETE
        return Reading(
            stream_end=end if self._is_success else StreamEnd.ERROR,
            first_token_ns=self._first_ns,
            has_media=self._first_ns is not None,
        )


class ReplyDecoder:
    """For JSON and event streams; `draft` is the one that `codec` writes to."""

    __slots__ = (
        "_codec", "_document", "_draft", "_framer", "_is_cut", "_is_declared_sse", "_is_success", "_likeness",
    )  # fmt: skip

    def __init__(self, codec: Codec, draft: Draft, *, is_success: bool, is_declared_sse: bool) -> None:
        self._codec = codec
        self._draft = draft
        self._is_success = is_success
        self._is_declared_sse = is_declared_sse
        self._framer: SseFramer | None = None
        self._document: bytes | bytearray = b""
        """What came of a JSON document; the piece itself, where it is the only one."""
        self._is_cut = False
        self._likeness: Likeness | None = None
        """Of events; a document has none."""

    @property
    def needs_times(self) -> bool:
        """Until the first output."""
        return self._draft.first_token_ns is None

    def feed(self, chunk: bytes, at_ns: int) -> None:
        """Take the next bytes."""
        if self._framer is None:
            if self._document:
                self._hold(chunk)
            elif body := chunk.lstrip(_BLANK):
                self._begin(body, at_ns)
            return
        self._draft.at_ns = at_ns
        self._read_events(chunk, self._framer)

    def finish(self, *, broken: bool = False) -> Reading:
        """Read what is left and say what the reply was."""
        if self._framer is not None:
            if (event := self._framer.flush()) is not None:
                self._take(event)
        elif self._document:
            self._read_document(broken=broken)
        self._tell(self._codec.conclude)
        return self._reading()

    def _begin(self, body: bytes, at_ns: int) -> None:
        is_sse = body[0] in _SSE_STARTS or (self._is_declared_sse and body[0] not in b"{[")
        if is_sse:
            self._framer, self._likeness = SseFramer(), Likeness(self._draft.text_key)
            self.feed(body, at_ns)
        elif len(body) > DOCUMENT_BYTES:
            self._hold(body)
        else:
            self._document = body

    def _hold(self, chunk: bytes) -> None:
        document = bytearray(self._document) if isinstance(self._document, bytes) else self._document
        document += chunk
        if self._is_cut or len(document) > DOCUMENT_BYTES:
            self._is_cut = True
            del document[:-TAIL_BYTES]
        self._document = document

    def _read_events(self, chunk: bytes, framer: SseFramer) -> None:
        """Take events that are alike by the run, and any other by itself, as those that follow may be like it."""
        draft, likeness, start = self._draft, self._likeness, 0
        assert likeness is not None
        while start < len(chunk):
            is_alone = framer.is_between and len(chunk) <= WINDOW_BYTES
            if is_alone:
                text, end = likeness.run(chunk, start)
                if end > start:
                    draft.add_answer(text)
                    start = end
                    continue
            end = chunk.find(b"\n\n", start) + 2
            part = chunk[start:end] if end >= 2 else chunk[start:]
            start += len(part)
            events = framer.feed(part)
            for event in events:
                self._take(event)
            if len(events) == 1 and draft.only_text and is_alone and framer.is_between:
                likeness.learn(part, draft.only_text)

    def _take(self, event: Event) -> None:
        self._draft.only_text = ""
        if event.data.startswith(b"[DONE]"):
            self._draft.saw_done = True
            return
        name = event.name.decode("utf-8", "replace") if event.name else ""
        body = salvage(event.data) if event.is_cut else _parse(event.data)
        if body is None or event.is_cut:
            self._draft.malformed_events += 1
        if name == "error" or _is_error(body):
            self._draft.fail(body or {})
        if body is not None or event.is_cut:
            self._tell(self._codec.on_event, name, body or {})

    def _read_document(self, *, broken: bool) -> None:
        if self._is_cut:
            self._draft.malformed_events += 1
            self._tell(self._codec.on_document, salvage(bytes(self._document)) or {})
            self._draft.is_terminal = not broken
            return
        bodies = _parsed(self._document)
        if not bodies:
            self._draft.malformed_events += 1
        for body in bodies:
            if not self._is_success or _is_error(body):
                self._draft.fail(body)
            if self._is_success:
                self._tell(self._codec.on_document, body)

    def _tell(self, codec_method: Callable[..., None], *args: object) -> None:
        """Codecs take anything; should one fail all the same, it costs the numbers and not the client's stream."""
        try:
            codec_method(*args)
        except Exception:  # noqa: BLE001 - metering fails open
            self._draft.malformed_events += 1

    def _reading(self) -> Reading:
        draft = self._draft
        if draft.service_tier and not draft.usage.service_tier:
            draft.usage = replace(draft.usage, service_tier=draft.service_tier)
        draft.usage_source, draft.stream_end = _source(draft.usage), self._end()
        return Reading(*_all_of_reading(draft))

    def _end(self) -> StreamEnd:
        if self._draft.has_error or not self._is_success:
            return StreamEnd.ERROR
        if self._draft.is_pending:
            return StreamEnd.PENDING
        return _COMPLETE if self._draft.is_terminal else StreamEnd.TRUNCATED


def salvage(tail: bytes) -> Json | None:
    """The usage of a JSON object of which only the end is known, with the members after it.

    Exact, not a guess: text that begins at a member of the outermost object (or of its `response`) is closed by
    the brackets that follow it. Had the member stood deeper, or in a string, the rest would not parse.
    """
    start = 0
    for _ in range(_SALVAGE_ATTEMPTS):
        start = tail.find(b'"usage', start)  # Gemini's is called `usageMetadata`
        if start < 0:
            return None
        for opening in (b"{", b'{"response":{'):
            if (body := _parse(opening + tail[start:])) is not None:
                return body
        start += 1
    return None


def _parsed(data: bytes | bytearray) -> list[Json]:
    """The object, or those of an array: some gateways wrap an error in one, and Gemini a stream that is no SSE."""
    try:
        body = orjson.loads(data[len(_BOM) :] if data[: len(_BOM)] == _BOM else data)
    except orjson.JSONDecodeError:
        return []
    if type(body) is list and body and type(body[0]) is dict:
        return objects(body)
    return [body] if type(body) is dict else []


def _parse(data: bytes | bytearray) -> Json | None:
    bodies = _parsed(data)
    return bodies[0] if bodies else None


def _is_error(body: Json | None) -> bool:
    return body is not None and bool(body.get("error") or body.get("type") == "error" or body.get("object") == "error")


def _source(usage: Usage) -> UsageSource:
    has_input, has_output = usage.input_tokens is not None, usage.output_tokens is not None
    if (has_input and has_output) or usage.audio_seconds is not None:
        return _PROVIDER
    return UsageSource.PARTIAL if has_input or has_output else UsageSource.NONE
