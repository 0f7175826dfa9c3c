"""What the fake provider says: invented answers to any question, the same ones for the same seed.

A token here is a word or a sign with the space before it; usage is counted in these, so that it always agrees with the
text on the wire.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

MESSAGE_TOKENS = 4
_TOKEN = re.compile(r"\s*(?:\w+|[^\w\s])")
_SENTENCES = (
    "Thanks for writing in, and sorry for the trouble.",
    "Your last invoice was issued on the first of the month and is still open.",
    "You can change the plan under Settings, Billing; it takes effect at once.",
    "The export failed because the file passed the limit of fifty megabytes.",
    "I have restarted the import, and it should finish within ten minutes.",
    "Two seats were added on Tuesday, which explains the difference of 18 dollars.",
    "The password link is valid for an hour and works once.",
    "If it happens again, send us the time and the page, and we will look at the logs.",
    "Refunds go back to the card that paid and take three to five days.",
    "Your data stays in the region that you chose when the account was made.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What the fake model reads of a request of any dialect."""

    text: str
    messages: int = 1
    tool_name: str | None = None
    """The tool to call; None where none is offered or its result is already there."""
    tool_schema: Mapping[str, Any] | None = None
    wants_json: bool = False
    max_tokens: int | None = None
    wants_usage: bool = False
    """`stream_options.include_usage`, where a stream tells usage only if asked."""

    @property
    def input_tokens(self) -> int:
        """Tokens of the text and of the messages around it."""
        return len(tokens_of(self.text)) + MESSAGE_TOKENS * self.messages


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Either words or one tool call with its arguments as JSON; `tokens` joined are the one or the other."""

    tokens: Sequence[str]
    input_tokens: int
    tool_name: str | None = None
    is_cut: bool = False
    """`max_tokens` ended it."""
    with_usage: bool = False
    """The stream ends with a usage chunk."""

    @property
    def text(self) -> str:
        """The words, or the arguments."""
        return "".join(self.tokens)

    @property
    def output_tokens(self) -> int:
        """What the provider charges for; a call's name is one more."""
        return len(self.tokens) + (self.tool_name is not None)


def answer(question: Question, rng: Random) -> Answer:
    """Invent an answer. `max_tokens` cuts words, never a tool's arguments."""
    if question.tool_name is not None:
        tokens = tokens_of(json.dumps(_example(question.tool_schema or {})))
        limit = len(tokens)
    else:
        text = " ".join(rng.sample(_SENTENCES, rng.randint(2, 5)))
        tokens = tokens_of(json.dumps({"answer": text}) if question.wants_json else text)
        limit = question.max_tokens or len(tokens)
    return Answer(
        tokens=tokens[:limit],
        input_tokens=question.input_tokens,
        tool_name=question.tool_name,
        is_cut=len(tokens) > limit,
        with_usage=question.wants_usage,
    )


def tokens_of(text: str) -> list[str]:
    """Split into tokens; joined again they are the text but for white space at its end."""
    return _TOKEN.findall(text)


def question_of_chat(body: Mapping[str, Any]) -> Question:
    """Read a chat completion request."""
    messages = body.get("messages") or []
    tool = _offered(body, [tool.get("function") for tool in body.get("tools") or ()])
    has_result = bool(messages) and messages[-1].get("role") == "tool"
    return Question(
        text=plain_text(messages),
        messages=len(messages),
        tool_name=None if has_result or not tool else tool.get("name"),
        tool_schema=tool.get("parameters") if tool else None,
        wants_json=(body.get("response_format") or {}).get("type", "text") != "text",
        max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
        wants_usage=_wants_usage(body),
    )


def question_of_completion(body: Mapping[str, Any]) -> Question:
    """Read a legacy completion request."""
    return Question(
        text=plain_text(body.get("prompt")),
        messages=0,
        max_tokens=body.get("max_tokens"),
        wants_usage=_wants_usage(body),
    )


def question_of_responses(body: Mapping[str, Any]) -> Question:
    """Read a request of the Responses API."""
    given = body.get("input") or ""
    items = [given] if isinstance(given, str) else given
    tool = _offered(body, [tool for tool in body.get("tools") or () if tool.get("type") == "function"])
    has_result = bool(items) and isinstance(items[-1], dict) and items[-1].get("type") == "function_call_output"
    return Question(
        text=f"{body.get('instructions') or ''} {plain_text(items)}",
        messages=len(items) + ("instructions" in body),
        tool_name=None if has_result or not tool else tool.get("name"),
        tool_schema=tool.get("parameters") if tool else None,
        wants_json=((body.get("text") or {}).get("format") or {}).get("type", "text") != "text",
        max_tokens=body.get("max_output_tokens"),
    )


def question_of_messages(body: Mapping[str, Any]) -> Question:
    """Read a request of Anthropic's Messages API."""
    messages = body.get("messages") or []
    tool = _offered(body, [tool for tool in body.get("tools") or () if "input_schema" in tool])
    last = messages[-1].get("content") if messages else None
    has_result = isinstance(last, list) and any(part.get("type") == "tool_result" for part in last)
    return Question(
        text=f"{plain_text(body.get('system'))} {plain_text(messages)}",
        messages=len(messages) + ("system" in body),
        tool_name=None if has_result or not tool else tool.get("name"),
        tool_schema=tool.get("input_schema") if tool else None,
        max_tokens=body.get("max_tokens"),
    )


def plain_text(value: object) -> str:
    """All text in a message, a part, or a list of them, whatever the dialect calls it."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return " ".join(map(plain_text, value))
    if isinstance(value, dict):
        return " ".join(plain_text(value[key]) for key in ("text", "content", "output", "arguments") if key in value)
    return ""


def _wants_usage(body: Mapping[str, Any]) -> bool:
    return bool((body.get("stream_options") or {}).get("include_usage"))


def _offered(body: Mapping[str, Any], tools: list[Any]) -> Mapping[str, Any] | None:
    """The first tool that may be called."""
    return tools[0] if tools and body.get("tool_choice") != "none" else None


def _example(schema: Mapping[str, Any]) -> dict[str, object]:
    """Arguments that fit a flat schema."""
    samples: dict[str, object] = {"integer": 3, "number": 1.5, "boolean": True, "array": [], "object": {}}
    properties: Mapping[str, Any] = schema.get("properties") or {}
    return {
        name: definition["enum"][0] if definition.get("enum") else samples.get(definition.get("type"), f"some {name}")
        for name, definition in properties.items()
    }
