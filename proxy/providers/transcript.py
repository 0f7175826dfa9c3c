"""What a reply said, put together from its bytes: texts, reasoning and tool calls, of whatever dialect.

For content that is kept, so that a text stands there whole, not as the pieces of a stream: rules of redaction would
not find a secret that two events share. Dialects are told by the shape of their objects. What is unknown is left out.
"""

from collections.abc import Iterator
from io import StringIO
from typing import Any

import orjson

from proxy.providers.sse import SseFramer
from proxy.providers.untrusted import Json, mapping, objects, text

MAX_CALLS = 1_000
_STARTS_OF_SSE = (b"data", b"event", b"id:", b"retry", b":")


class Transcript:
    """Grows as objects are added; `told` is what they came to."""

    def __init__(self) -> None:
        self._text = StringIO()
        self._reasoning = StringIO()
        self._calls: dict[object, dict[str, Any]] = {}
        self._error: object = None

    def told(self) -> Json:
        """Only what there is."""
        found = {
            "text": self._text.getvalue(),
            "reasoning": self._reasoning.getvalue(),
            "tool_calls": list(self._calls.values()),
            "error": self._error,
        }
        return {name: value for name, value in found.items() if value}

    def add(self, body: Json) -> None:
        """The data of an event, or a whole reply."""
        if body.get("error"):
            self._error = body["error"]
        for choice in objects(body.get("choices")):
            self._add_message(choice.get("index"), mapping(choice.get("delta")) or mapping(choice.get("message")))
            self._text.write(text(choice.get("text")))
        for candidate in objects(body.get("candidates")):
            for part in objects(mapping(candidate.get("content")).get("parts")):
                self._add_gemini_part(part)
        self._add_blocks(body)
        self._add_response(body)

    def _add_message(self, choice: object, message: Json) -> None:
        content = message.get("content")
        self._text.write(text(content) + text(message.get("refusal")))
        for part in objects(content):
            self._text.write(text(part.get("text")))
        self._reasoning.write(text(message.get("reasoning_content")) or text(message.get("reasoning")))
        for position, call in enumerate(objects(message.get("tool_calls"))):
            function = mapping(call.get("function")) or mapping(call.get("custom"))
            arguments = text(function.get("arguments")) or text(function.get("input"))
            key = (choice, call.get("index", position))
            self._add_call(key, text(function.get("name")), arguments, call.get("id"))

    def _add_gemini_part(self, part: Json) -> None:
        (self._reasoning if part.get("thought") else self._text).write(text(part.get("text")))
        if call := mapping(part.get("functionCall")):
            self._add_call(len(self._calls), text(call.get("name")), _encoded(call.get("args")), None)

    def _add_blocks(self, body: Json) -> None:
        """Anthropic's messages: blocks, and their deltas."""
        for position, block in enumerate(objects(body.get("content"))):
            self._add_block(position, block)
        self._add_block(body.get("index"), mapping(body.get("content_block")))
        delta = mapping(body.get("delta"))
        self._text.write(text(delta.get("text")))
        self._reasoning.write(text(delta.get("thinking")))
        if partial := text(delta.get("partial_json")):
            self._add_call(("block", body.get("index")), "", partial, None)

    def _add_block(self, position: object, block: Json) -> None:
        self._text.write(text(block.get("text")))
        self._reasoning.write(text(block.get("thinking")))
        if block.get("type") in ("tool_use", "server_tool_use"):
            self._add_call(("block", position), text(block.get("name")), _encoded(block.get("input")), block.get("id"))

    def _add_response(self, body: Json) -> None:
        """Responses: the terminal event has it all, so the deltas need not be read, but where it is missing."""
        kind = text(body.get("type"))
        if kind == "response.output_text.delta":
            self._text.write(text(body.get("delta")))
        elif kind.startswith("response.reasoning") and kind.endswith(".delta"):
            self._reasoning.write(text(body.get("delta")))
        elif kind.startswith("response.") and (response := mapping(body.get("response"))).get("output"):
            self._text, self._reasoning, self._calls = StringIO(), StringIO(), {}
            self._add_items(response)
        elif kind == "response.output_item.done":
            self._add_item(body.get("output_index"), mapping(body.get("item")), with_text=False)
        elif "output" in body:
            self._add_items(body)

    def _add_items(self, response: Json) -> None:
        for position, item in enumerate(objects(response.get("output"))):
            self._add_item(position, item, with_text=True)

    def _add_item(self, position: object, item: Json, *, with_text: bool) -> None:
        for part in objects(item.get("content")) if with_text else ():
            self._text.write(text(part.get("text")) + text(part.get("refusal")))
        for part in objects(item.get("summary")) if with_text else ():
            self._reasoning.write(text(part.get("text")))
        if text(item.get("type")).endswith("_call"):
            arguments = text(item.get("arguments")) or text(item.get("input"))
            self._calls.pop(("item", position), None)
            self._add_call(("item", position), text(item.get("name")), arguments, item.get("call_id"))

    def _add_call(self, key: object, name: str, arguments: str, call_id: object) -> None:
        """One call of a tool, or a further piece of it."""
        if key not in self._calls and len(self._calls) >= MAX_CALLS:
            return
        call = self._calls.setdefault(key, {"name": "", "arguments": ""})
        call["name"] = call["name"] or name
        call["arguments"] += arguments
        if call_id and isinstance(call_id, str):
            call.setdefault("id", call_id)


def transcript(body: bytes) -> Json:
    """What the body of a reply says, be it one JSON object or a stream of events, whole or cut off."""
    found = Transcript()
    for told in _objects_of(body):
        found.add(told)
    return found.told()


def _objects_of(body: bytes) -> Iterator[Json]:
    if not body.lstrip().startswith(_STARTS_OF_SSE):
        if (parsed := _parsed(body)) is not None:
            yield from objects(parsed if isinstance(parsed, list) else [parsed])
        return
    framer = SseFramer()
    for event in framer.feed(body):
        yield from objects([_parsed(event.data)])
    if (last := framer.flush()) is not None:
        yield from objects([_parsed(last.data)])


def _parsed(data: bytes) -> object:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return None


def _encoded(value: object) -> str:
    """Arguments that come as an object, as the text that others send; nothing where a stream sends them later."""
    return orjson.dumps(value).decode() if value else ""
