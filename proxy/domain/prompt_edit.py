"""What a version of a prompt makes of a request body: instructions and parameters, each put where the dialect has them.

Only the members that are meant change; every other byte passes as it came (`domain.json_members`). A mode says what
becomes of what the request says itself: `replace` puts the version's text in the place of the system and developer
text with which the request begins, `prepend` before it, `fill` only where there is none at all. Messages of these
roles further down belong to the conversation and always stay.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from proxy.domain.json_members import Edit, Member, array_items, changed_members, spliced, top_level_members
from proxy.domain.prompts import Mode, Role

_SYSTEM_ROLES = ("system", "developer")
_GAP = "\n\n"
"""Between a version's text and the request's own, where both are one text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptEdit:
    """One edit, for any body. `drop` are members that are the proxy's own and go in every mode."""

    mode: Mode
    text: str | None = field(default=None, repr=False)
    """Rendered; None leaves the instructions as they are."""
    template: str | None = field(default=None, repr=False)
    """The same as it is written, for what is told of it."""
    role: Role = "system"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    drop: tuple[str, ...] = ()


class NoPlaceError(Exception):
    """The body has nowhere to put instructions: the provider would refuse it anyway, or the endpoint takes none."""


@dataclass(frozen=True, slots=True)
class _Body:
    raw: bytes
    members: Sequence[Member]
    mode: Mode

    def each(self, name: str) -> Iterator[Member]:
        return (member for member in self.members if member.name == name)

    def has(self, name: str) -> bool:
        return any(True for _ in self.each(name))

    def bytes_of(self, member: Member) -> bytes:
        return self.raw[member.value_start : member.value_end]

    def last(self, name: str) -> bytes:
        """The value that counts, as most parsers read it."""
        return self.bytes_of(list(self.each(name))[-1])

    def value(self, name: str) -> Any:  # noqa: ANN401
        return orjson.loads(self.last(name)) if self.has(name) else None

    def spelt(self, *names: str) -> str:
        """The spelling that the request uses; the first where it uses none."""
        return next(filter(self.has, names), names[0])


Edited = tuple[dict[str, bytes], list[Edit]]
"""Whole values of members, and edits within others."""


def edited(body: bytes, endpoint: str, edit: PromptEdit) -> bytes:
    """The body after the edit. `endpoint` is a name of `domain.endpoints`.

    Raises NoPlaceError where there is text and no place for it, and ValueError as `top_level_members` does.
    """
    request = _Body(body, top_level_members(body), edit.mode)
    put: dict[str, bytes] = {}
    edits: list[Edit] = []
    if edit.mode != "label":
        put = _parameters(request, endpoint, edit.parameters)
        if edit.text is not None:
            if endpoint not in _INSTRUCTIONS:
                raise NoPlaceError
            whole, edits = _INSTRUCTIONS[endpoint](request, edit.text, edit.role)
            put |= whole
    return spliced(body, [*edits, *changed_members(body, request.members, put, edit.drop)])


def takes_instructions(endpoint: str) -> bool:
    """True for an endpoint whose bodies have a place for system text."""
    return endpoint in _INSTRUCTIONS


def _chat(request: _Body, text: str, role: Role) -> Edited:
    message = orjson.dumps({"role": role, "content": text})
    arrays = [member for member in request.each("messages") if request.bytes_of(member).startswith(b"[")]
    if not arrays:
        raise NoPlaceError
    if request.mode == "fill" and any(_has_system_message(request.bytes_of(array)) for array in arrays):
        return {}, []
    return {}, [_first_message(request, array, message) for array in arrays]


def _first_message(request: _Body, array: Member, message: bytes) -> Edit:
    """Puts the message first: in the place of the system messages that are there, or before them."""
    start, end, has_more = _head(request.bytes_of(array))
    if request.mode != "replace":
        has_more, end = has_more or end > start, start
    offset = array.value_start
    return Edit(offset + start, offset + end, message + (b"," if has_more else b""))


def _head(array: bytes) -> tuple[int, int, bool]:
    """From where to where the leading system and developer messages stand, with the comma that follows them, and
    whether another message does."""
    start = end = None
    for item_start, item_end in array_items(array):
        start = item_start if start is None else start
        if _role(orjson.loads(array[item_start:item_end])) not in _SYSTEM_ROLES:
            return start, item_start, True
        end = item_end
    if start is None or end is None:
        return len(array) - 1, len(array) - 1, False
    return start, end, False


def _role(item: object) -> object:
    return item.get("role") if isinstance(item, dict) else None


def _has_system_message(array: bytes) -> bool:
    return any(_role(item) in _SYSTEM_ROLES for item in orjson.loads(array))


def _responses(request: _Body, text: str, _: Role) -> Edited:
    """`instructions`; what the request says in the same place by messages at the head of its input gives way too."""
    arrays = [member for member in request.each("input") if request.bytes_of(member).startswith(b"[")]
    if request.mode == "fill" and any(_has_system_message(request.bytes_of(array)) for array in arrays):
        return {}, []
    edits = []
    for array in arrays if request.mode == "replace" else ():
        start, end, has_more = _head(request.bytes_of(array))
        if has_more:
            edits.append(Edit(array.value_start + start, array.value_start + end, b""))
    return _text_member(request, "instructions", text), edits


def _messages(request: _Body, text: str, _: Role) -> Edited:
    """`system`; where the request has its own cached there, the version's text is cached in the same way."""
    present = request.value("system")
    marks = [block["cache_control"] for block in _objects(present) if block.get("cache_control") is not None]
    if request.mode == "replace" and marks:
        return {"system": orjson.dumps([{"type": "text", "text": text, "cache_control": marks[-1]}])}, []
    return _text_member(request, "system", text), []


def _objects(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text_member(request: _Body, name: str, text: str) -> dict[str, bytes]:
    """A member that is one text, or a list of text blocks."""
    present = request.value(name)
    if request.mode == "replace" or not present:
        return {name: orjson.dumps(text)}
    if request.mode == "fill":
        return {}
    own = request.last(name)
    if isinstance(present, str):
        return {name: orjson.dumps(text + _GAP)[:-1] + own[1:]}
    if not isinstance(present, list):
        raise NoPlaceError
    return {name: b"[" + orjson.dumps({"type": "text", "text": text}) + b"," + own[1:]}


def _gemini(request: _Body, text: str, _: Role) -> Edited:
    name = request.spelt("systemInstruction", "system_instruction")
    present = request.value(name)
    parts: list[Any] = [{"text": text}]
    if present and request.mode == "fill":
        return {}, []
    if present and request.mode == "prepend":
        own = present.get("parts") if isinstance(present, dict) else present
        parts += own if isinstance(own, list) else [{"text": own} if isinstance(own, str) else own]
    return {name: orjson.dumps({"parts": parts})}, []


_INSTRUCTIONS: Mapping[str, Callable[[_Body, str, Role], Edited]] = {
    "chat": _chat,
    "responses": _responses,
    "messages": _messages,
    "generate_content": _gemini,
}
"""By the name of the endpoint."""
_MAX_TOKENS = {"chat": ("max_completion_tokens", "max_tokens"), "responses": ("max_output_tokens",)}
"""What `max_tokens` is called elsewhere; hosts other than OpenAI may know the older of two names alone."""
_IN_GEMINI = {"max_tokens": ("maxOutputTokens", "max_output_tokens"), "top_p": ("topP", "top_p")}


def _parameters(request: _Body, endpoint: str, parameters: Mapping[str, Any]) -> dict[str, bytes]:
    if not parameters:
        return {}
    if endpoint == "generate_content":
        return _generation_config(request, parameters)
    return _set(request, {"max_tokens": _MAX_TOKENS.get(endpoint, ("max_tokens",))}, parameters)


def _generation_config(request: _Body, parameters: Mapping[str, Any]) -> dict[str, bytes]:
    """Gemini's parameters stand in an object of their own."""
    name = request.spelt("generationConfig", "generation_config")
    raw = request.last(name) if isinstance(request.value(name), dict) else b"{}"
    inner = _Body(raw, top_level_members(raw), request.mode)
    return {name: spliced(raw, changed_members(raw, inner.members, _set(inner, _IN_GEMINI, parameters)))}


def _set(holder: _Body, names: Mapping[str, tuple[str, ...]], parameters: Mapping[str, Any]) -> dict[str, bytes]:
    spelt = {holder.spelt(*names.get(name, (name,))): value for name, value in parameters.items()}
    return {name: orjson.dumps(value) for name, value in spelt.items() if holder.mode != "fill" or not holder.has(name)}
