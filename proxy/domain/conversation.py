"""Where a request stands in a conversation: what it follows, and which tool calls it brings the results of.

A conversation is sent again with every turn. So the digest of a request's messages, with what the reply to it says, is
found again in the next request of the same conversation, as the part up to the last thing that the assistant said.
Instructions are left out, since apps put the time of day into them; so are the results of tools, which apps shorten,
and thoughts, which they drop. Of a long text the length, the beginning and the end stand for the whole.

Digests are keyed and short; what was said is not kept.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from proxy.domain import tool_results
from proxy.domain.gemini_contents import messages_of_contents
from proxy.domain.privacy import purpose_key
from proxy.domain.tool_calls import CLIENT_TOOL_ITEMS, DIGEST_BYTES, ID_LIMIT_CHARS, MOST_CALLS
from proxy.domain.values import value_class

HEAD_CHARS = 160
"""Of an answer, in which is looked; the meter keeps as much and more (`domain.meter`)."""
_COMPARED_CHARS = 96
"""Of these, without white space, that are compared: apps trim what they keep."""
_ASCII_SPACE = bytes(code for code in range(128) if chr(code).isspace())
_EDGE_CHARS = 2_000
_APIS = {"chat": "messages", "messages": "messages", "responses": "input", "gemini": "contents"}
"""Where the messages of an API stand."""
_HIDDEN = ("thinking", "redacted_thinking", "reasoning", "reasoning_text")
_NOT_SAID = (*_HIDDEN, "tool_result", "tool_use")
"""Tuples, since a client may send what has no hash."""
_LOOKED_BACK = 32


@dataclass(frozen=True, slots=True)
class ToolResult:
    """A result that came back. `source` is None where the status is unknown."""

    call_id: str
    status: tool_results.StepStatus
    source: tool_results.StatusSource | None


@value_class
class Conversation:
    """What one request says of it, without content. Ids are the provider's, at most 200 characters."""

    asked: bytes = field(repr=False)
    """Digest of all that the reply will follow."""
    followed: bytes | None = field(default=None, repr=False)
    """`said` of the reply that this request goes on from; None where a user's words and a reply do not precede it."""
    response_id: str | None = None
    """`previous_response_id`."""
    conversation_id: str | None = None
    """`conversation` of the Responses API: one that OpenAI keeps."""
    results: tuple[ToolResult, ...] = ()
    """Of the calls of the last reply; at most 64."""
    earlier_call: str | None = None
    """Where there are none: the last call before whose result is not far back."""


_USER, _ASSISTANT, _TOOL, _NOBODY = "\0user\0", "\0assistant\0", "\0tool\0", ""
"""Whose turn an item is, as it stands in what is hashed."""
_SIDES = {"user": _USER, "assistant": _ASSISTANT, "tool": _TOOL, "function": _TOOL}

Item = Mapping[str, Any]
Turns = Sequence[tuple[Item, str]]


def read_conversation(parsed: Mapping[str, Any], api: str, secret: bytes) -> Conversation | None:
    """Read a parsed body; None where it holds no conversation. No recursion."""
    slot = _APIS.get(api)
    given = parsed.get(slot) if slot else None
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    if slot == "contents":
        items = messages_of_contents(given)
    if not isinstance(items, list) or not items:
        return None
    key = purpose_key(secret, "conversation")
    response_id = _id(parsed.get("previous_response_id")) if slot == "input" else None
    turns = [(item, side) for item in items if isinstance(item, dict) and (side := _side(item))]
    begin, end = _last_run(turns)
    is_open = end == len(turns)  # the app has begun the reply itself
    has_user = response_id is not None or (begin > 0 and _USER in [side for _, side in turns[:begin]])
    hashed = _begun(key).copy()
    if response_id is not None:
        hashed.update(response_id.encode())
    followed = None
    if begin:
        hashed.update(_words(turns[:begin]))
    if has_user and not is_open:
        followed = _followed(hashed.digest(), turns[begin:end], key)
    hashed.update(_words(turns[begin:]))
    found = [] if is_open else _results_of(turns[end:])
    return Conversation(
        asked=hashed.digest(),
        followed=followed,
        response_id=response_id,
        conversation_id=_conversation_id(parsed["conversation"]) if "conversation" in parsed else None,
        results=tuple([_judged(*result) for result in found[:MOST_CALLS]]) if found else (),
        earlier_call=None if found or not begin else _earlier_call(turns[:begin]),
    )


def said(asked: bytes, answer_head: str, tool_names: Iterable[str], secret: bytes) -> bytes | None:
    """The digest of a conversation up to a reply; None where the reply says nothing by which to know it again."""
    return _said(asked, answer_head, tool_names, purpose_key(secret, "conversation"))


def _said(asked: bytes, answer_head: str, tool_names: Iterable[str], key: bytes) -> bytes | None:
    words = _unspaced(answer_head[:HEAD_CHARS])
    names = ",".join(dict.fromkeys(tool_names)).encode("utf-8", "replace") if tool_names else b""
    if not words and not names:
        return None
    hashed = _begun(key).copy()
    hashed.update(b"%b\0%b%b" % (words, names, asked))
    return hashed.digest()


def _unspaced(text: str) -> bytes:
    """What is compared of a text. Unicode has more white space than ASCII, which is taken out without a loop."""
    if text.isascii():
        return text.encode().translate(None, _ASCII_SPACE)[:_COMPARED_CHARS]
    return "".join(text.split())[:_COMPARED_CHARS].encode("utf-8", "replace")


@lru_cache(maxsize=16)
def _begun(key: bytes) -> blake2b:
    """A hash that has seen its key, and nothing of a conversation."""
    return blake2b(digest_size=DIGEST_BYTES, key=key)


def _last_run(turns: Turns) -> tuple[int, int]:
    """Where what the assistant said last, in one go, begins and ends (exclusive); both 0 where it said nothing."""
    end = len(turns)
    while end and turns[end - 1][1] is not _ASSISTANT:
        end -= 1
    begin = end
    while begin and turns[begin - 1][1] is _ASSISTANT:
        begin -= 1
    return begin, end


def _words(turns: Turns) -> bytes:
    """All that is compared of these turns."""
    words: list[str] = []
    for item, side in turns:
        words.append(side)
        if side is _TOOL:
            continue
        content = item.get("content")
        if isinstance(content, str):
            words.append(content if len(content) <= 2 * _EDGE_CHARS else _edges(content))
        elif isinstance(content, list):
            words += map(_edges, _texts(content))
            words += map(_edges, _others(content))
        if side is _ASSISTANT:
            words += _tool_names(item)
    return "".join(words).encode("utf-8", "replace")


def _followed(before: bytes, run: Turns, key: bytes) -> bytes | None:
    head = ""
    for item, _ in run:
        for text in _texts(item.get("content")):
            head += text[: HEAD_CHARS - len(head)]
    return _said(before, head, (name for item, _ in run for name in _tool_names(item)), key)


def _earlier_call(turns: Turns) -> str | None:
    """Only in what is not far back: the rest was looked for when it was new."""
    for turn in turns[: -_LOOKED_BACK - 1 : -1]:
        for _, call_id, _ in _results_of([turn]):
            return call_id
    return None


def _side(item: Item) -> str:
    if "role" in item and isinstance(role := item["role"], str):
        return _SIDES.get(role, _NOBODY)
    kind = item.get("type")
    if not isinstance(kind, str):
        return _NOBODY
    if kind.endswith("_output"):
        return _TOOL
    return _ASSISTANT if kind.endswith("_call") else _NOBODY


def _texts(content: object) -> Iterator[str]:
    """What is said, without thoughts and results; the pieces of one message make one text."""
    if isinstance(content, str):
        yield content
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict) and isinstance(text := part.get("text"), str) and part.get("type") not in _HIDDEN:
            yield text


def _edges(text: str) -> str:
    if len(text) <= 2 * _EDGE_CHARS:
        return text
    return f"{len(text)} {text[:_EDGE_CHARS]}{text[-_EDGE_CHARS:]}"


def _others(content: object) -> Iterator[str]:
    """What stands for a part without a text: of an image or a file, the longest string within two levels."""
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict) and "text" not in part and part.get("type") not in _NOT_SAID:
            yield max((text for value in part.values() for text in _strings(value)), key=len, default="")


def _strings(value: object) -> Iterator[str]:
    for inner in value.values() if isinstance(value, dict) else (value,):
        if isinstance(inner, str):
            yield inner


def _tool_names(item: Item) -> list[str]:
    """The names of the app's tools that an assistant's message or item calls."""
    names: list[object] = []
    if "type" in item and (kind := item["type"]) in CLIENT_TOOL_ITEMS:
        names.append(item.get("name") or str(kind).removesuffix("_call"))
    if "tool_calls" in item and isinstance(calls := item["tool_calls"], list):
        bodies = [call.get("function") or call.get("custom") for call in calls if isinstance(call, dict)]
        names += [body.get("name") for body in bodies if isinstance(body, dict)]
    if "content" in item and isinstance(content := item["content"], list):
        names += [part.get("name") for part in content if isinstance(part, dict) and part.get("type") == "tool_use"]
    return [name[:ID_LIMIT_CHARS] for name in names if isinstance(name, str) and name] if names else []


def _results_of(turns: Turns) -> list[tuple[Item, str, object]]:
    """(where its flags are, id of the call, content) of each result that these turns carry."""
    results: list[tuple[Item, str, object]] = []
    for item, side in turns:
        content = item.get("content")
        if side is _TOOL:
            call_id = _id(item.get("tool_call_id")) or _id(item.get("call_id"))
            if call_id is not None:
                results.append((item, call_id, content if "content" in item else item.get("output")))
        elif isinstance(content, list):
            results += [
                (part, call_id, part.get("content"))
                for part in content
                if isinstance(part, dict) and (call_id := _id(part.get("tool_use_id"))) is not None
            ]
    return results


def _judged(item: Item, call_id: str, content: object) -> ToolResult:
    return ToolResult(call_id, *tool_results.ended(item, content))


def _id(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= ID_LIMIT_CHARS else None


def _conversation_id(given: object) -> str | None:
    return _id(given.get("id") if isinstance(given, dict) else given)
