"""Content that is kept of a call, in the shapes of the GenAI conventions (their JSON schemas of release 0.1.0).

Requests of all dialects become messages with parts: texts, reasoning, calls of tools and their answers. A part that
has no name there, such as an image's address, stays as it was sent, which the conventions allow. Values are JSON
texts, since attributes of spans hold no objects everywhere.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from proxy.adapters.otel.attributes import Attributes
from proxy.providers.untrusted import Json, mapping, objects, text

INSTRUCTIONS = "gen_ai.system_instructions"
INPUT = "gen_ai.input.messages"
OUTPUT = "gen_ai.output.messages"
TOOLS = "gen_ai.tool.definitions"
LEFT_OUT = "promptlane.content_left_out"
"""Which of `request` and `reply` was too long to be kept whole, or could not be kept."""
NAMES = frozenset({INSTRUCTIONS, INPUT, OUTPUT, TOOLS})
"""Attributes that are content."""

_FINISHED = {
    **dict.fromkeys(("tool_calls", "function_call", "tool_use", "tool_call"), "tool_call"),
    **dict.fromkeys(("length", "max_tokens", "MAX_TOKENS", "incomplete", "max_output_tokens"), "length"),
    **dict.fromkeys(("content_filter", "refusal", "SAFETY"), "content_filter"),
    **dict.fromkeys(("stop", "end_turn", "stop_sequence", "STOP", "completed"), "stop"),
}
"""Words of providers for why an answer ended, in those of the conventions; any other word stays as it is."""


def of_content(document: Mapping[str, Any], finish_reason: str | None) -> Attributes:
    """What the span of the call's last attempt says of its content; `document` is as `content.document` made it."""
    request, reply = document.get("request"), document.get("reply")
    said: Mapping[str, Any] = {
        INSTRUCTIONS: list(_instructions(mapping(request))),
        INPUT: list(_input(request)),
        OUTPUT: list(_output(mapping(reply), finish_reason)),
        TOOLS: list(_tools(mapping(request).get("tools"))),
    }
    missing = tuple(name for names in ("cut", "left_out") for name in document.get(names, ()))
    written: Attributes = {name: orjson.dumps(value).decode() for name, value in said.items() if value}
    return written | ({LEFT_OUT: missing} if missing else {})


def _instructions(request: Json) -> Iterator[Json]:
    """Those that stand apart from the messages; others are messages."""
    for name in ("system", "instructions", "systemInstruction", "system_instruction"):
        if (told := request.get(name)) is not None:
            yield from _parts(told)


def _input(request: object) -> Iterator[Json]:
    """Messages in their order. With the level `tools`, `request` is a list of calls and answers alone."""
    if isinstance(request, list):
        told: object = request
    else:
        body = mapping(request)
        told = next((body[name] for name in ("messages", "contents", "input", "prompt") if name in body), None)
    for item in told if isinstance(told, list) else [told]:
        if isinstance(item, str) and item:
            yield {"role": "user", "parts": [_text(item)]}
        elif isinstance(item, dict) and (parts := list(_parts_of_message(item))):
            yield {"role": _role(item), "parts": parts}


def _role(message: Json) -> str:
    """As it was sent; what has none is told by its kind."""
    if role := text(message.get("role")):
        return "assistant" if role == "model" else role
    kind = "tool_call" if "tool_calls" in message else _part(message)["type"]
    return {"tool_call": "assistant", "reasoning": "assistant", "tool_call_response": "tool"}.get(kind, "user")


def _parts_of_message(message: Json) -> Iterator[Json]:
    if message.get("role") == "tool" and "parts" not in message:
        yield _answer(message.get("tool_call_id"), message.get("content"))
    elif not message.keys() & {"role", "parts", "tool_calls"}:
        yield _part(message)  # an item of Responses, or what the level `tools` keeps
    else:
        if reasoning := text(message.get("reasoning_content")):
            yield {"type": "reasoning", "content": reasoning}
        yield from _parts(message.get("content"))
        yield from _parts(message.get("parts"))
        for call in objects(message.get("tool_calls")):
            function = mapping(call.get("function")) or mapping(call.get("custom"))
            yield _call(call.get("id"), function.get("name"), function.get("arguments", function.get("input")))


def _parts(told: object) -> Iterator[Json]:
    """A text, a list of parts, or Gemini's object around such a list."""
    for item in told if isinstance(told, list) else [told]:
        if isinstance(item, str) and item:
            yield _text(item)
        elif isinstance(item, dict):
            yield from _parts(item["parts"]) if "parts" in item else [_part(item)]


def _part(part: Json) -> Json:
    """One part, of whatever dialect."""
    kind = _kind(part)
    make = _MAKERS.get(kind)
    return make(part) if make is not None else {"type": kind, **part}


def _kind(part: Json) -> str:
    """Gemini's parts have no type; a member tells it."""
    if kind := text(part.get("type")):
        return kind
    if part.get("thought") is True:
        return "thinking"
    told = next((name for name in ("functionCall", "functionResponse", "text") if name in part), None)
    return told or next(iter(part), "unknown")


def _text(content: str) -> Json:
    return {"type": "text", "content": content}


def _text_part(part: Json) -> Json:
    return _text(text(part.get("text")) or text(part.get("refusal")))


def _reasoning(part: Json) -> Json:
    summary = "".join(text(each.get("text")) for each in objects(part.get("summary")))
    return {"type": "reasoning", "content": text(part.get("thinking")) or text(part.get("text")) or summary}


def _call_part(part: Json) -> Json:
    return _call(part.get("call_id") or part.get("id"), part.get("name"), part.get("arguments", part.get("input")))


def _answer_part(part: Json) -> Json:
    return _answer(part.get("call_id") or part.get("tool_use_id"), part.get("output", part.get("content")))


def _gemini_call(part: Json) -> Json:
    call = mapping(part["functionCall"])
    return _call(call.get("id"), call.get("name"), call.get("args"))


def _gemini_answer(part: Json) -> Json:
    answer = mapping(part["functionResponse"])
    return _answer(answer.get("id"), answer.get("response"))


_MAKERS: Mapping[str, Callable[[Json], Json]] = {
    **dict.fromkeys(("text", "input_text", "output_text", "refusal"), _text_part),
    **dict.fromkeys(("thinking", "reasoning"), _reasoning),
    **dict.fromkeys(("tool_use", "server_tool_use", "function_call", "custom_tool_call"), _call_part),
    **dict.fromkeys(("tool_result", "function_call_output", "custom_tool_call_output"), _answer_part),
    "functionCall": _gemini_call,
    "functionResponse": _gemini_answer,
}
"""By the kind of a part."""


def _call(call_id: object, name: object, arguments: object) -> Json:
    """Arguments that came as JSON text are told as the value that they are."""
    return _identified(call_id) | {"type": "tool_call", "name": text(name), "arguments": _value(arguments)}


def _answer(call_id: object, response: object) -> Json:
    return _identified(call_id) | {"type": "tool_call_response", "response": response}


def _identified(call_id: object) -> Json:
    return {"id": call_id} if isinstance(call_id, str) and call_id else {}


def _value(arguments: object) -> object:
    try:
        return orjson.loads(arguments) if isinstance(arguments, str) else arguments
    except orjson.JSONDecodeError:
        return arguments


def _output(reply: Json, finish_reason: str | None) -> Iterator[Json]:
    """One message: a transcript does not keep several answers apart. It has to say why it ended; without a reason it
    broke off.
    """
    parts = [{"type": "reasoning", "content": reply["reasoning"]}] if text(reply.get("reasoning")) else []
    parts += [_text(reply["text"])] if text(reply.get("text")) else []
    parts += [_call(it.get("id"), it.get("name"), it.get("arguments")) for it in objects(reply.get("tool_calls"))]
    if parts:
        ended = _FINISHED.get(finish_reason, finish_reason) if finish_reason else "error"
        yield {"role": "assistant", "parts": parts, "finish_reason": ended}


def _tools(told: object) -> Iterator[Json]:
    for tool in objects(told):
        declared = objects(tool.get("functionDeclarations")) or objects(tool.get("function_declarations"))
        for one in declared or [mapping(tool.get("function")) or mapping(tool.get("custom")) or tool]:
            kind = text(tool.get("type")) or "function"
            parameters = one.get("parameters", one.get("input_schema", one.get("parametersJsonSchema")))
            described = {"type": kind, "name": text(one.get("name")) or kind, "description": one.get("description")}
            yield {n: v for n, v in (described | {"parameters": parameters}).items() if v is not None}
