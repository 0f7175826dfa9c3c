"""What can be counted of a request when the provider reports no usage: JSON in, texts and fixed token costs out.

Chat overhead and tool costs follow the formulas of OpenAI's cookbook ("How to count tokens with tiktoken");
they are exact for the gpt-4o family to a few tokens and an approximation for everyone else, Anthropic included.
An image costs a flat amount, whatever its size: nothing is fetched and base64 is never read as text. Where a
part of the input cannot be known (a stored conversation, an audio clip, a file), there is no estimate at all:
an invented number is worse than none.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from proxy.domain.gemini_contents import messages_of_contents

MESSAGE_TOKENS = 3
NAME_TOKENS = 1
REPLY_PRIMER_TOKENS = 3
FUNCTION_TOKENS = 7
FUNCTIONS_END_TOKENS = 12
PROPERTIES_TOKENS = 3
PROPERTY_TOKENS = 3
ENUM_TOKENS = -3
ENUM_ITEM_TOKENS = 3
LOW_DETAIL_IMAGE_TOKENS = 85
IMAGE_TOKENS = 765
"""OpenAI's 1024 x 1024 at high detail: 85 + 4 tiles of 170."""
ANTHROPIC_IMAGE_TOKENS = 1_600
"""Anthropic's largest: width x height / 750, capped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextToCount:
    """What an estimate needs: the request body as the client sent it (decoded), and the output text."""

    request_body: bytes = field(repr=False)
    api: str
    output_text: str = field(repr=False)
    output_chars: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Token counts made without the provider; None where there was nothing to count or it cannot be known."""

    input_tokens: int | None
    output_tokens: int | None


@dataclass(frozen=True, slots=True)
class Countable:
    """`texts` are tokenized each by itself; `fixed_tokens` are added to their sum."""

    texts: tuple[str, ...] = field(repr=False)
    fixed_tokens: int


def countable_input(api: str, body: bytes) -> Countable | None:
    """Read one request body; None where it is malformed, of an unknown API, or does not hold all of the input."""
    read = _READERS.get(api)
    if read is None:
        return None
    tally = _Tally()
    try:
        read(orjson.loads(body), tally)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None
    return Countable(tuple(tally.texts), tally.fixed_tokens)


class _UnknownSize(ValueError):
    """A part of the input whose tokens nobody can tell from the request."""


@dataclass(slots=True)
class _Tally:
    """What has been found so far. Its methods read the parts that several APIs share."""

    texts: list[str] = field(default_factory=list)
    fixed_tokens: int = 0

    def text(self, value: object) -> None:
        """Add a text that may be absent; anything else as the JSON it is."""
        if isinstance(value, str):
            self.texts.append(value)
        elif value is not None:
            self.texts.append(orjson.dumps(value).decode())

    def message(self, role: str, content: object) -> None:
        """Add one message with its overhead."""
        self.fixed_tokens += MESSAGE_TOKENS
        self.text(role)
        self.content(content)

    def content(self, content: object) -> None:
        """Add a message's content: null, a string, or a list of typed parts."""
        if isinstance(content, list):
            for part in content:
                self.part(part)
        else:
            self.text(content)

    def part(self, part: Mapping[str, Any]) -> None:
        """Add one content part of any dialect. Raises `_UnknownSize`."""
        kind = part["type"]
        if kind in _TEXT_KEYS:
            self.text(part[_TEXT_KEYS[kind]])
        elif kind in ("image_url", "input_image"):
            image = part["image_url"] if kind == "image_url" else part
            is_low = image.get("detail") == "low"
            self.fixed_tokens += LOW_DETAIL_IMAGE_TOKENS if is_low else IMAGE_TOKENS
        elif kind == "image":
            self.fixed_tokens += ANTHROPIC_IMAGE_TOKENS
        elif kind == "tool_use":
            self.call(part["name"], part["input"])
        elif kind == "tool_result":
            self.content(part.get("content"))
        else:
            raise _UnknownSize

    def call(self, name: str, arguments: object) -> None:
        """Add a tool call that is part of the conversation."""
        self.text(name)
        self.text(arguments)

    def function(self, name: str, description: str | None, schema: Mapping[str, Any] | None) -> None:
        """Add one function's definition."""
        self.fixed_tokens += FUNCTION_TOKENS
        self.text(f"{name}:{(description or '').removesuffix('.')}")
        properties = (schema or {}).get("properties")
        if not properties:
            return
        self.fixed_tokens += PROPERTIES_TOKENS
        for key, definition in properties.items():
            self._property(key, definition)

    def _property(self, key: str, definition: Mapping[str, Any]) -> None:
        self.fixed_tokens += PROPERTY_TOKENS
        description = definition.get("description", "").removesuffix(".")
        self.text(f"{key}:{definition.get('type', '')}:{description}")
        if "enum" in definition:
            self.fixed_tokens += ENUM_TOKENS + ENUM_ITEM_TOKENS * len(definition["enum"])
            for item in definition["enum"]:
                self.text(item)
        self.text(definition.get("properties"))
        self.text(definition.get("items"))


_TEXT_KEYS = {
    "text": "text",
    "input_text": "text",
    "output_text": "text",
    "refusal": "refusal",
    "thinking": "thinking",
}


def _read_chat(request: dict[str, Any], tally: _Tally) -> None:
    for message in request["messages"]:
        tally.message(message["role"], message.get("content"))
        if (name := message.get("name")) is not None:
            tally.fixed_tokens += NAME_TOKENS
            tally.text(name)
        for call in message.get("tool_calls") or ():
            function = call.get("function") or call["custom"]
            tally.call(function["name"], function.get("arguments", function.get("input")))
    functions = [tool["function"] for tool in request.get("tools") or () if "function" in tool]
    for function in functions:
        tally.function(function["name"], function.get("description"), function.get("parameters"))
    tally.fixed_tokens += FUNCTIONS_END_TOKENS * bool(functions)
    tally.text((request.get("response_format") or {}).get("json_schema"))
    tally.fixed_tokens += REPLY_PRIMER_TOKENS


def _read_responses(request: dict[str, Any], tally: _Tally) -> None:
    if any(request.get(stored) for stored in ("previous_response_id", "conversation", "prompt")):
        raise _UnknownSize
    if (instructions := request.get("instructions")) is not None:
        tally.message("system", instructions)
    given = request["input"]
    for item in [{"role": "user", "content": given}] if isinstance(given, str) else given:
        _read_responses_item(item, tally)
    functions = [tool for tool in request.get("tools") or () if tool["type"] == "function"]
    for function in functions:
        tally.function(function["name"], function.get("description"), function.get("parameters"))
    tally.fixed_tokens += FUNCTIONS_END_TOKENS * bool(functions)
    tally.text(((request.get("text") or {}).get("format") or {}).get("schema"))
    tally.fixed_tokens += REPLY_PRIMER_TOKENS


def _read_responses_item(item: dict[str, Any], tally: _Tally) -> None:
    kind = item.get("type", "message")
    if kind == "message":
        tally.message(item["role"], item["content"])
    elif kind == "function_call":
        tally.fixed_tokens += MESSAGE_TOKENS
        tally.call(item["name"], item["arguments"])
    elif kind == "function_call_output":
        tally.message("tool", item["output"])
    elif kind != "reasoning":  # earlier reasoning is not part of the next prompt
        raise _UnknownSize


def _read_anthropic(request: dict[str, Any], tally: _Tally) -> None:
    if (system := request.get("system")) is not None:
        tally.message("system", system)
    for message in request["messages"]:
        tally.message(message["role"], message["content"])
    functions = [tool for tool in request.get("tools") or () if "input_schema" in tool]
    for function in functions:
        tally.function(function["name"], function.get("description"), function["input_schema"])
    tally.fixed_tokens += FUNCTIONS_END_TOKENS * bool(functions)
    tally.fixed_tokens += REPLY_PRIMER_TOKENS


def _read_gemini(request: dict[str, Any], tally: _Tally) -> None:
    if request.get("cachedContent"):
        raise _UnknownSize
    _read_contents(request["contents"], tally)
    if (instructions := request.get("systemInstruction", request.get("system_instruction"))) is not None:
        _read_contents(instructions, tally)
    for tool in request.get("tools") or ():
        for function in tool.get("functionDeclarations") or ():
            tally.function(function["name"], function.get("description"), function.get("parameters"))


def _read_gemini_embedding(request: dict[str, Any], tally: _Tally) -> None:
    for one in request.get("requests") or [request]:
        _read_contents(one["content"], tally)


def _read_contents(contents: object, tally: _Tally) -> None:
    messages = messages_of_contents(contents)
    if not messages:
        raise _UnknownSize
    for message in messages:
        tally.content(message["content"])


def _read_completion(request: dict[str, Any], tally: _Tally) -> None:
    _read_prompt(request["prompt"], tally)
    tally.text(request.get("suffix"))


def _read_embedding(request: dict[str, Any], tally: _Tally) -> None:
    _read_prompt(request["input"], tally)


def _read_prompt(prompt: str | list[Any], tally: _Tally) -> None:
    """Add a string, a list of strings, a list of token ids, or a list of such lists."""
    if isinstance(prompt, str):
        tally.text(prompt)
    elif prompt and isinstance(prompt[0], int):
        tally.fixed_tokens += len(prompt)
    else:
        for item in prompt:
            _read_prompt(item, tally)


_READERS: dict[str, Callable[[dict[str, Any], _Tally], None]] = {
    "chat": _read_chat,
    "completions": _read_completion,
    "embeddings": _read_embedding,
    "responses": _read_responses,
    "messages": _read_anthropic,
    "gemini": _read_gemini,
    "gemini_embeddings": _read_gemini_embedding,
}


_WIDE = re.compile("[\u2e80-\ud7ff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]")
"""Scripts of which a character is about one token: Chinese, Japanese, Korean."""


def heuristic_tokens(text: str) -> int:
    """A guess without a vocabulary: one per CJK character, one per four UTF-8 bytes of the rest."""
    rest = _WIDE.sub("", text)
    rest_bytes = len(rest.encode("utf-8", "surrogatepass"))
    return len(text) - len(rest) + (rest_bytes + 3) // 4
