"""Gemini's `contents` as the messages that the other dialects have, for whoever reads a request and changes nothing."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

Message = dict[str, Any]


def messages_of_contents(contents: object) -> list[Message]:
    """Each content as a message with typed parts; what is none is left out. A part of no known form stays as it is.

    Results of tools come in a user's message, as in Anthropic's dialect. Only some models give calls ids.
    """
    listed = contents if isinstance(contents, list) else [contents]
    return [
        {"role": "assistant" if content.get("role") == "model" else "user", "content": [*_parts(content.get("parts"))]}
        for content in listed
        if isinstance(content, dict)
    ]


def _parts(parts: object) -> Iterator[object]:
    for part in parts if isinstance(parts, list) else ():
        yield _part(part) if isinstance(part, dict) else part


def _part(part: Mapping[str, Any]) -> Mapping[str, Any]:
    call, result = (part.get(name) for name in ("functionCall", "functionResponse"))
    if isinstance(call, dict):
        return {"type": "tool_use", "id": call.get("id"), "name": call.get("name"), "input": call.get("args")}
    if isinstance(result, dict):
        return {"type": "tool_result", "tool_use_id": result.get("id"), "content": _written(result.get("response"))}
    if "text" not in part:
        return part
    return {
        "type": "thinking" if part.get("thought") is True else "text",
        "text": part["text"],
        "thinking": part["text"],
    }


def _written(response: object) -> str:
    try:
        return orjson.dumps(response).decode()
    except orjson.JSONEncodeError:  # deeper than any tool answers
        return ""
