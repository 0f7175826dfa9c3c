"""Asking a chat stream for its usage on the client's behalf, and hiding from the client that it was asked.

`stream_options.include_usage` does two things to a stream: every chunk gets a top-level `"usage":null`, and one
more chunk with empty `choices` and the usage comes last. `injection` sets the option in the raw request body;
`UsageStripper` takes both effects out of the reply again. All other bytes stay as they are.

The stripper works on whole events, since an event may have to go: it holds an event until the blank line that
ends it, which servers send with it. An event without `"usage"` in it is never looked into. One that outgrows
`HOLD_BYTES` before its end is passed on as it comes.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from proxy.domain.json_members import Edit, Member, appended, top_level_members

HOLD_BYTES = 1 << 20
_OPTIONS = "stream_options"
_FLAG = "include_usage"
_ASKING = b'{"include_usage":true}'
_EVENT_END = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_LINE = re.compile(rb"([^\r\n]*+)(?>\r\n|\n|\r|\Z)")
_DATA_PREFIX = re.compile(rb"(?:\xef\xbb\xbf)?data: ?")
_NULL_USAGE = b',"usage":null'
_SPACED_NULL_USAGE = b', "usage": null'
_EMPTY_ARRAY = re.compile(rb"\[\s*\]")
_LOOKBACK_BYTES = 3


def injection(body: bytes, members: Callable[[], Sequence[Member]], options: Mapping[str, Any]) -> list[Edit]:
    """What sets `stream_options.include_usage` to true in `body`, whose `members` they are.

    `options` is what a JSON parser made of its `stream_options`, under that name, where there are any. Nothing where
    it is set already, or `stream_options` is nothing that could hold it.
    """
    if _OPTIONS not in options:
        return [appended(body, _OPTIONS, _ASKING)]
    asked, member = options[_OPTIONS], _last(members(), _OPTIONS)
    assert member is not None
    if asked is None:
        return [Edit(member.value_start, member.value_end, _ASKING)]
    if not isinstance(asked, dict) or asked.get(_FLAG) is True:
        return []
    inner = body[member.value_start : member.value_end]
    flag = _last(top_level_members(inner), _FLAG)
    edit = appended(inner, _FLAG, b"true") if flag is None else Edit(flag.value_start, flag.value_end, b"true")
    return [edit._replace(start=edit.start + member.value_start, end=edit.end + member.value_start)]


class UsageStripper:
    """Feed it the bytes of an event stream; what it gives, joined, is the stream without the injection."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._is_passing = False
        """The event now coming is too long to hold; `_held` is then only its end, already passed on."""
        self._ended_in_cr = False
        """Nothing is held, and a line feed that comes next still belongs to the last event."""
        self._last_went = False
        self._has_cr = False

    def feed(self, chunk: bytes) -> bytes:
        """Take the next bytes; what may go to the client now."""
        if not chunk:
            return b""
        if not self._held and not self._ended_in_cr and chunk.endswith(b"\n\n"):  # whole events, as nearly all come
            edited = chunk if b'"usage"' not in chunk else _without_last_null(chunk)
            if edited is not None:
                return edited
        self._has_cr = self._has_cr or b"\r" in chunk
        if self._ended_in_cr:
            self._ended_in_cr = False
            if chunk.startswith(b"\n"):
                return (b"" if self._last_went else b"\n") + self.feed(chunk[1:])
        if self._is_passing:
            return self._pass_on(chunk)
        search_from = max(0, len(self._held) - _LOOKBACK_BYTES)
        self._held += chunk
        released = self._release(search_from)
        if len(self._held) > HOLD_BYTES:
            self._is_passing = True
            released += bytes(self._held)
            del self._held[:-_LOOKBACK_BYTES]
        return released

    def flush(self) -> bytes:
        """The stream has ended: what is still held, edited if it is an event after all."""
        held = b"" if self._is_passing else bytes(self._held)
        self._held.clear()
        return strip_event(held)

    def _release(self, search_from: int) -> bytes:
        released: list[bytes] = []
        position = 0
        while (end := _end_of_event(self._held, search_from, has_cr=self._has_cr)) > 0:
            edited = strip_event(bytes(self._held[position:end]))
            released.append(edited)
            position = search_from = end
            self._last_went = not edited
        self._ended_in_cr = 0 < position == len(self._held) and self._held.endswith(b"\r")
        del self._held[:position]
        return b"".join(released)

    def _pass_on(self, chunk: bytes) -> bytes:
        seen = len(self._held)
        self._held += chunk
        end = _EVENT_END.search(self._held)
        if end is None or end.end() <= seen:
            del self._held[:-_LOOKBACK_BYTES]
            return chunk
        rest = chunk[end.end() - seen :]
        self._ended_in_cr = not rest and chunk.endswith(b"\r")
        self._last_went = self._is_passing = False
        self._held.clear()
        return chunk[: end.end() - seen] + self.feed(rest)


def strip_event(event: bytes) -> bytes:
    """One whole event without what the injection caused: edited, empty, or the same bytes."""
    if b'"usage"' not in event:
        return event
    if (edited := _without_last_null(event)) is not None:
        return edited
    payload, offsets = _payload(event)
    try:
        orjson.loads(payload)
        members = top_level_members(payload)
    except ValueError:
        return event
    usages = [position for position, member in enumerate(members) if member.name == "usage"]
    if len(usages) != 1:
        return event
    usage = members[usages[0]]
    value = payload[usage.value_start : usage.value_end]
    if value == b"null":
        start, end = _span(members, usages[0])
        return event[: _raw(offsets, start)] + event[_raw(offsets, end) :]
    choices = _last(members, "choices")
    is_extra = choices is not None and _EMPTY_ARRAY.fullmatch(payload, choices.value_start, choices.value_end)
    return _comments(event) if is_extra and value.startswith(b"{") else event


def _without_last_null(event: bytes) -> bytes | None:
    """The usual case by a short way: one data line, one `usage`, null, and another member before it.

    It stands at the top level if what follows it closes exactly one object. None: not the usual case.
    """
    head, null, tail = event.rpartition(_NULL_USAGE)
    if not null:
        head, null, tail = event.rpartition(_SPACED_NULL_USAGE)
    if not null or not head.startswith(b"data:") or b'"usage"' in head or b"\n" in head or b"\r" in head:
        return None
    rest = tail.rstrip(b"\r\n")
    if rest != b"}":
        if b'"usage"' in rest or b"\n" in rest or b"\r" in rest:
            return None
        try:
            orjson.loads(b'{"":0' + rest)
        except orjson.JSONDecodeError:
            return None
    return head + tail


def _end_of_event(held: bytearray, start: int, *, has_cr: bool) -> int:
    """Behind the next blank line; 0 if there is none yet."""
    if not has_cr:  # nearly all streams, and many times faster
        found = held.find(b"\n\n", start)
        return found + 2 if found >= 0 else 0
    end = _EVENT_END.search(held, start)
    return end.end() if end else 0


def _last(members: Sequence[Member], name: str) -> Member | None:
    """The one that parsers take where a name stands more than once."""
    return next((member for member in reversed(members) if member.name == name), None)


def _span(members: list[Member], position: int) -> tuple[int, int]:
    """The bytes of a member with the comma that goes with it."""
    if position > 0:
        before = members[position - 1].value_end
        return before, members[position].value_end
    after = members[1].start if len(members) > 1 else members[0].value_end
    return members[0].start, after


def _payload(event: bytes) -> tuple[bytes, list[tuple[int, int]]]:
    """The joined data lines, and for each the offset where it begins in the payload and in the event."""
    parts: list[bytes] = []
    offsets: list[tuple[int, int]] = []
    length = 0
    for line in _LINE.finditer(event):
        prefix = _DATA_PREFIX.match(line[1])
        if prefix is None:
            continue
        offsets.append((length, line.start() + prefix.end()))
        parts.append(line[1][prefix.end() :])
        length += len(parts[-1]) + 1
    return b"\n".join(parts), offsets


def _raw(offsets: list[tuple[int, int]], position: int) -> int:
    """Where a position of the payload stands in the event."""
    begin, raw = next(pair for pair in reversed(offsets) if pair[0] <= position)
    return raw + position - begin


def _comments(event: bytes) -> bytes:
    """What is left of an event that goes: comments that came in its block, with its end."""
    lines = [line[0] for line in _LINE.finditer(event) if line[1].startswith(b":")]
    ending = _EVENT_END.search(event)
    return b"".join([*lines, b"\n"]) if lines and ending else b"".join(lines)
