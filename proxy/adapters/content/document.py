"""What is kept of a call's bytes: one JSON object, redacted, and within its bound.

`request` is what the client sent and `reply` what the provider's answer came to (`providers.transcript`). With the
level `tools`, both hold what tools were asked and answered and nothing else. A part that is too long is kept as the
beginning of its JSON text, and `cut` names it; `left_out` names one that could not be kept at all.
"""

from collections.abc import Iterator
from typing import Any

import orjson

from proxy.domain.capture import Level
from proxy.domain.redaction import Redaction
from proxy.providers.transcript import transcript

LONG_CHARS = 4_096
"""A text of so many characters without a space is no text: images and files are left out."""
_TOOL_TYPES = (
    "tool_use", "tool_result", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output",
)  # fmt: skip
"""A tuple, since a schema's `type` may be a list, which has no hash."""
_TOOL_MEMBERS = ("tool_calls", "functionCall", "functionResponse")
_MAX_VISITED = 100_000


def document(
    level: Level, request: bytes | None, reply: bytes, redaction: Redaction, max_bytes: int
) -> dict[str, object]:
    """The object that is kept. Never raises for what a client or a provider sent."""
    made: dict[str, object] = {"level": str(level)}
    cut, left_out = [], []
    for name, part in (("request", _request(level, request)), ("reply", _reply(level, reply))):
        redacted, encoded = _redacted(part, redaction)
        if redacted is None:
            left_out.append(name)
        elif len(encoded) > max_bytes:
            cut.append(name)
            made[name] = encoded[:max_bytes].decode(errors="ignore")
        else:
            made[name] = redacted
    return made | {name: names for name, names in (("cut", cut), ("left_out", left_out)) if names}


def _redacted(part: object, redaction: Redaction) -> tuple[object, bytes]:
    """The part and its JSON; None where there is none, or it is nested beyond all reason."""
    try:
        redacted = redaction.of(_without_blobs(part))
        return redacted, orjson.dumps(redacted)
    except (RecursionError, orjson.JSONEncodeError):
        return None, b""


def _request(level: Level, body: bytes | None) -> object:
    try:
        told = orjson.loads(body) if body is not None else None
    except orjson.JSONDecodeError:
        return None
    return told if level is Level.FULL or told is None else list(_tool_parts(told))


def _reply(level: Level, body: bytes) -> object:
    told = transcript(body)
    if level is Level.FULL:
        return told
    return {"tool_calls": told["tool_calls"]} if "tool_calls" in told else {}


def _tool_parts(body: object) -> Iterator[object]:
    """Objects of the request that are a tool's call or answer, wherever they stand, in order."""
    waiting: list[object] = [body]
    for _ in range(_MAX_VISITED):
        if not waiting:
            return
        found = waiting.pop()
        if isinstance(found, list):
            waiting.extend(reversed(found))
        elif isinstance(found, dict):
            if found.get("type") in _TOOL_TYPES or found.get("role") == "tool":
                yield found
            elif told := {name: found[name] for name in _TOOL_MEMBERS if name in found}:
                yield told
            else:
                waiting.extend(reversed([inner for name, inner in found.items() if name != "tools"]))


def _without_blobs(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, str):
        return f"[{len(value)} characters left out]" if _is_blob(value) else value
    if isinstance(value, list):
        return [_without_blobs(item) for item in value]
    if isinstance(value, dict):
        return {name: _without_blobs(inner) for name, inner in value.items()}
    return value


def _is_blob(text: str) -> bool:
    return len(text) > LONG_CHARS and text[:LONG_CHARS].isascii() and not any(c.isspace() for c in text[:LONG_CHARS])
