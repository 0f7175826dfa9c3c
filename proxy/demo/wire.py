"""The fake provider's replies as the real ones look on the wire: whole JSON objects, and streams as frames.

A frame is `(tokens, bytes)`: how many tokens of thinking come before it, and what is sent then.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from proxy.demo.answers import Answer

Frame = tuple[int, bytes]
FIRST_TOKEN_COST = 8
"""How many tokens' time a model takes before it begins."""
DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What every reply says of itself. `token` is the random part of all ids."""

    token: str
    model: str
    created: int


def event(payload: Mapping[str, Any], *, name: str | None = None) -> bytes:
    """One server-sent event."""
    line = f"event: {name}\n" if name else ""
    return f"{line}data: {json.dumps(payload, separators=(',', ':'))}\n\n".encode()


def chat(head: Head, answer: Answer) -> dict[str, Any]:
    """A chat completion."""
    message: dict[str, Any] = {"role": "assistant", "content": answer.text, "refusal": None, "annotations": []}
    if answer.tool_name:
        message |= {"content": None, "tool_calls": [_chat_call(head, answer)]}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _chat_finish(answer)}
    return _chat_head(head, "chat.completion") | {"choices": [choice], "usage": _chat_usage(answer)}


def chat_frames(head: Head, answer: Answer) -> Iterator[Frame]:
    """The stream of a chat completion; with usage, every chunk has the field and one more comes at the end."""
    base = _chat_head(head, "chat.completion.chunk")
    no_usage = {"usage": None} if answer.with_usage else {}

    def chunk(delta: Mapping[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return event(base | {"choices": [choice]} | no_usage)

    first: dict[str, Any] = {"role": "assistant", "content": "", "refusal": None}
    if answer.tool_name:
        call = _chat_call(head, answer)
        call["function"]["arguments"] = ""
        first |= {"content": None, "tool_calls": [{"index": 0} | call]}
    yield FIRST_TOKEN_COST, chunk(first)
    for token in answer.tokens:
        piece = (
            {"tool_calls": [{"index": 0, "function": {"arguments": token}}]} if answer.tool_name else {"content": token}
        )
        yield 1, chunk(piece)
    yield 0, chunk({}, _chat_finish(answer))
    if answer.with_usage:
        yield 0, event(base | {"choices": [], "usage": _chat_usage(answer)})
    yield 0, DONE


def _chat_head(head: Head, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{head.token}",
        "object": kind,
        "created": head.created,
        "model": head.model,
        "service_tier": "default",
        "system_fingerprint": "fp_promptlane_demo",
    }


def _chat_call(head: Head, answer: Answer) -> dict[str, Any]:
    function = {"name": answer.tool_name, "arguments": answer.text}
    return {"id": f"call_{head.token}", "type": "function", "function": function}


def _chat_finish(answer: Answer) -> str:
    return "length" if answer.is_cut else "tool_calls" if answer.tool_name else "stop"


def _chat_usage(answer: Answer) -> dict[str, Any]:
    return {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def completion(head: Head, answer: Answer) -> dict[str, Any]:
    """A legacy completion."""
    choice = {"index": 0, "text": answer.text, "logprobs": None, "finish_reason": _chat_finish(answer)}
    return _completion_head(head) | {"choices": [choice], "usage": _chat_usage(answer)}


def completion_frames(head: Head, answer: Answer) -> Iterator[Frame]:
    """The stream of a legacy completion."""
    base = _completion_head(head)
    no_usage = {"usage": None} if answer.with_usage else {}
    for at, token in enumerate(answer.tokens):
        choice = {"index": 0, "text": token, "logprobs": None, "finish_reason": None}
        yield 1 if at else FIRST_TOKEN_COST, event(base | {"choices": [choice]} | no_usage)
    last = {"index": 0, "text": "", "logprobs": None, "finish_reason": _chat_finish(answer)}
    yield 0, event(base | {"choices": [last]} | no_usage)
    if answer.with_usage:
        yield 0, event(base | {"choices": [], "usage": _chat_usage(answer)})
    yield 0, DONE


def _completion_head(head: Head) -> dict[str, Any]:
    return {"id": f"cmpl-{head.token}", "object": "text_completion", "created": head.created, "model": head.model}


def response(head: Head, answer: Answer) -> dict[str, Any]:
    """A finished reply of the Responses API."""
    status = "incomplete" if answer.is_cut else "completed"
    return _response_head(head) | {
        "status": status,
        "incomplete_details": {"reason": "max_output_tokens"} if answer.is_cut else None,
        "output": [_response_item(head, answer, status)],
        "usage": {
            "input_tokens": answer.input_tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": answer.output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": answer.input_tokens + answer.output_tokens,
        },
    }


def response_frames(head: Head, answer: Answer) -> Iterator[Frame]:
    """The stream of the Responses API, numbered; it has no `[DONE]`."""
    for number, (tokens, payload) in enumerate(_response_events(head, answer)):
        yield tokens, event(payload | {"sequence_number": number}, name=payload["type"])


def _response_events(head: Head, answer: Answer) -> Iterator[tuple[int, dict[str, Any]]]:
    running = _response_head(head)
    yield 0, {"type": "response.created", "response": running}
    yield 0, {"type": "response.in_progress", "response": running}
    yield from _call_events(head, answer) if answer.tool_name else _text_events(head, answer)
    whole = response(head, answer)
    yield 0, {"type": "response.output_item.done", "output_index": 0, "item": whole["output"][0]}
    yield 0, {"type": f"response.{whole['status']}", "response": whole}


def _text_events(head: Head, answer: Answer) -> Iterator[tuple[int, dict[str, Any]]]:
    item = _response_item(head, answer, "in_progress") | {"content": []}
    at = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    yield FIRST_TOKEN_COST, {"type": "response.output_item.added", "output_index": 0, "item": item}
    yield 0, {"type": "response.content_part.added", "part": part, **at}
    for token in answer.tokens:
        yield 1, {"type": "response.output_text.delta", "delta": token, "logprobs": [], **at}
    yield 0, {"type": "response.output_text.done", "text": answer.text, "logprobs": [], **at}
    yield 0, {"type": "response.content_part.done", "part": part | {"text": answer.text}, **at}


def _call_events(head: Head, answer: Answer) -> Iterator[tuple[int, dict[str, Any]]]:
    item = _response_item(head, answer, "in_progress") | {"arguments": ""}
    at = {"item_id": item["id"], "output_index": 0}
    yield FIRST_TOKEN_COST, {"type": "response.output_item.added", "output_index": 0, "item": item}
    for token in answer.tokens:
        yield 1, {"type": "response.function_call_arguments.delta", "delta": token, **at}
    done = {"name": answer.tool_name, "arguments": answer.text}
    yield 0, {"type": "response.function_call_arguments.done", **done, **at}


def _response_head(head: Head) -> dict[str, Any]:
    return {
        "id": f"resp_{head.token}",
        "object": "response",
        "created_at": head.created,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": head.model,
        "output": [],
        "parallel_tool_calls": True,
        "service_tier": "default",
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": None,
    }


def _response_item(head: Head, answer: Answer, status: str) -> dict[str, Any]:
    if answer.tool_name:
        call = {"call_id": f"call_{head.token}", "name": answer.tool_name, "arguments": answer.text}
        return {"type": "function_call", "id": f"fc_{head.token}", "status": status, **call}
    part = {"type": "output_text", "text": answer.text, "annotations": [], "logprobs": []}
    return {"type": "message", "id": f"msg_{head.token}", "status": status, "role": "assistant", "content": [part]}


def message(head: Head, answer: Answer) -> dict[str, Any]:
    """A reply of Anthropic's Messages API."""
    block = _block(head, answer) | ({"input": json.loads(answer.text)} if answer.tool_name else {"text": answer.text})
    usage = {"input_tokens": answer.input_tokens, "output_tokens": answer.output_tokens}
    return _message_head(head) | {
        "content": [block],
        "stop_reason": _stop_reason(answer),
        "usage": _NO_CACHE | usage,
    }


def message_frames(head: Head, answer: Answer) -> Iterator[Frame]:
    """The stream of the Messages API: input tokens at the start, output tokens in the last delta."""
    for tokens, payload in _message_events(head, answer):
        yield tokens, event(payload, name=payload["type"])


def _message_events(head: Head, answer: Answer) -> Iterator[tuple[int, dict[str, Any]]]:
    usage = _NO_CACHE | {"input_tokens": answer.input_tokens, "output_tokens": 1}
    yield FIRST_TOKEN_COST, {"type": "message_start", "message": _message_head(head) | {"usage": usage}}
    yield 0, {"type": "content_block_start", "index": 0, "content_block": _block(head, answer)}
    yield 0, {"type": "ping"}
    for token in answer.tokens:
        text = {"type": "text_delta", "text": token}
        delta = {"type": "input_json_delta", "partial_json": token} if answer.tool_name else text
        yield 1, {"type": "content_block_delta", "index": 0, "delta": delta}
    yield 0, {"type": "content_block_stop", "index": 0}
    end = {"stop_reason": _stop_reason(answer), "stop_sequence": None}
    yield 0, {"type": "message_delta", "delta": end, "usage": {"output_tokens": answer.output_tokens}}
    yield 0, {"type": "message_stop"}


_NO_CACHE = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "service_tier": "standard"}


def _message_head(head: Head) -> dict[str, Any]:
    return {
        "id": f"msg_{head.token}",
        "type": "message",
        "role": "assistant",
        "model": head.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _block(head: Head, answer: Answer) -> dict[str, Any]:
    if answer.tool_name:
        return {"type": "tool_use", "id": f"toolu_{head.token}", "name": answer.tool_name, "input": {}}
    return {"type": "text", "text": ""}


def _stop_reason(answer: Answer) -> str:
    return "max_tokens" if answer.is_cut else "tool_use" if answer.tool_name else "end_turn"
