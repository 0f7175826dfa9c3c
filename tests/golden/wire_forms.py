"""Building blocks of the recorded replies: how each dialect writes chunks, events and documents."""

import json
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

MINI = "gpt-4.1-mini-2025-04-14"
SONNET = "claude-sonnet-4-5-20250929"


@dataclass(frozen=True)
class Tokens:
    """What a meter must count. The defaults are those of a reply that reports usage without details."""

    input: int | None
    output: int | None
    cached: int | None = 0
    written: int | None = 0
    reasoning: int | None = 0
    source: str = "provider"


UNKNOWN = Tokens(None, None, None, None, None, "none")


@dataclass(frozen=True)
class Sample:
    """One recorded reply and what it means. `api` is the decoder's name for the dialect."""

    name: str
    api: str
    body: bytes
    tokens: Tokens
    why: str
    finish: str | None = "stop"
    model: str | None = MINI
    tools: int = 0
    end: str = "complete"
    status: int = 200
    content_type: str = ""
    extra: Json = field(default_factory=dict)

    @property
    def is_stream(self) -> bool:
        return "-json" not in self.name

    @property
    def file(self) -> str:
        return f"{self.name}.{'sse' if self.is_stream else 'json'}"

    def sidecar(self) -> Json:
        default = "text/event-stream" if self.is_stream else "application/json"
        return {
            "input_tokens": self.tokens.input,
            "output_tokens": self.tokens.output,
            "cached_input_tokens": self.tokens.cached,
            "cache_creation_input_tokens": self.tokens.written,
            "reasoning_tokens": self.tokens.reasoning,
            "finish_reason": self.finish,
            "model": self.model,
            "tool_calls": self.tools,
            "usage_source": self.tokens.source,
            "stream_end": self.end,
            "why": self.why,
            "extra": self.extra,
            "file": self.file,
            "http_status": self.status,
            "content_type": self.content_type or default,
            "api": self.api,
            "stream": self.is_stream,
        }


def dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def document(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def data(*values: object, end: str = "\n") -> bytes:
    """One event per value; a string goes out as it is."""
    lines = [value if isinstance(value, str) else dump(value) for value in values]
    return "".join(f"data: {line}{end}{end}" for line in lines).encode()


def named(*events: Json) -> bytes:
    """Events named by the `type` of their data."""
    return "".join(f"event: {event['type']}\ndata: {dump(event)}\n\n" for event in events).encode()


def comment(text: str) -> bytes:
    return f": {text}\n\n".encode()


DONE = b"data: [DONE]\n\n"


# Chat

_HEAD = {"id": "chatcmpl-lane7", "object": "chat.completion.chunk", "created": 1771200000}


def chunk(delta: Json | None = None, finish: str | None = None, *, index: int = 0, **more: Any) -> Json:
    choice = {"index": index, "delta": delta or {}, "finish_reason": finish}
    return {**_HEAD, "model": MINI, "choices": [choice], **more}


def says(text: str, **more: Any) -> Json:
    return chunk({"content": text}, **more)


def role(**more: Any) -> Json:
    return chunk({"role": "assistant", "content": ""}, **more)


def tool(index: int | None, name: str | None = None, arguments: str = "", call_id: str | None = None) -> Json:
    call: Json = {"function": {"arguments": arguments}}
    if index is not None:
        call["index"] = index
    if name is not None:
        call["function"]["name"] = name
    if call_id is not None:
        call |= {"id": call_id, "type": "function"}
    return chunk({"tool_calls": [call]})


def usage(prompt: Any, completion: Any, total: Any = None, **more: Any) -> Json:
    counts = {"prompt_tokens": prompt, "completion_tokens": completion}
    counts["total_tokens"] = prompt + completion if total is None else total
    return {**counts, **more}


def extra_chunk(counts: Json, **more: Any) -> Json:
    return {**_HEAD, "model": MINI, "choices": [], "usage": counts, **more}


def completion(message: Json, finish: str = "stop", **more: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    head = {"id": "chatcmpl-lane8", "object": "chat.completion", "created": 1771200000, "model": MINI}
    return document({**head, "choices": [choice], **more})


# Responses


def response(status: str, **more: Any) -> Json:
    head = {"id": "resp_lane1", "object": "response", "created_at": 1771200000, "status": status}
    return {**head, "model": MINI, "output": [], "error": None, "usage": None, **more}


def response_usage(given: int, made: int, cached: int = 0, reasoning: int = 0, written: int = 0) -> Json:
    return {
        "input_tokens": given,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": given + made,
    }


def created() -> Json:
    return {"type": "response.created", "sequence_number": 0, "response": response("in_progress")}


def text_delta(text: str) -> Json:
    return {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": text}


def item_added(position: int, item: Json) -> Json:
    return {"type": "response.output_item.added", "output_index": position, "item": item}


def closes(kind: str, **more: Any) -> Json:
    return {"type": f"response.{kind}", "response": response(kind, **more)}


def answer_item(text: str, annotations: list[Json] | None = None) -> Json:
    part = {"type": "output_text", "text": text, "annotations": annotations or []}
    return {"id": "msg_lane1", "type": "message", "role": "assistant", "content": [part]}


# Messages


def message_start(given: int, made: int = 1, **more: Any) -> Json:
    counts = {"input_tokens": given, "output_tokens": made, **more}
    head = {"id": "msg_lane2", "type": "message", "role": "assistant", "model": SONNET, "content": []}
    return {"type": "message_start", "message": {**head, "stop_reason": None, "usage": counts}}


def block(position: int, kind: str, **more: Any) -> Json:
    return {"type": "content_block_start", "index": position, "content_block": {"type": kind, **more}}


def block_delta(position: int, kind: str, **more: Any) -> Json:
    return {"type": "content_block_delta", "index": position, "delta": {"type": kind, **more}}


def block_stop(position: int) -> Json:
    return {"type": "content_block_stop", "index": position}


def written(text: str, position: int = 0) -> tuple[Json, Json, Json]:
    """A whole text block."""
    begin = block(position, "text", text="")
    return begin, block_delta(position, "text_delta", text=text), block_stop(position)


def message_delta(made: int | None, stop: str = "end_turn", **more: Any) -> Json:
    counts = {**({} if made is None else {"output_tokens": made}), **more}
    return {"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": None}, "usage": counts}


STOP: Json = {"type": "message_stop"}


def message(content: list[Json], stop: str, counts: Json) -> bytes:
    head = {"id": "msg_lane3", "type": "message", "role": "assistant", "model": SONNET}
    return document({**head, "content": content, "stop_reason": stop, "usage": counts})
