"""What a well-behaved provider answers, by path: OpenAI's and Anthropic's dialects, streamed and plain.

Usage is reported as the real ones do: in chat and completions streams only where `stream_options.include_usage` asked
for it (then every other chunk carries `usage: null`), elsewhere always. Counts follow from the number of words, so
that a test can say what to expect: 11 tokens in, one token out for each word.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from tests.harness.call import Call
from tests.harness.replies import Framing, Piece, Reply, json_reply

INPUT_TOKENS = 11
DEFAULT_WORDS = 8
STREAM_HEADERS = (("Content-Type", "text/event-stream; charset=utf-8"), ("x-request-id", "req_scripted"))
_JSON_HEADERS = (("x-request-id", "req_scripted"), ("openai-processing-ms", "5"))
_CREATED = 1_790_000_000

Json = Mapping[str, Any]


async def answer(call: Call) -> None:
    """Serve the request as its path and body ask."""
    await reply_to(await call.read_body(), call.record.target)(call)


def reply_to(body: bytes, target: str, words: int = DEFAULT_WORDS) -> Reply:
    """The reply to this request. Raises KeyError where the path is none that this provider serves."""
    path = target.partition("?")[0].rstrip("/")
    if path == "/v1/models":
        return json_reply(200, {"object": "list", "data": [{"id": "gpt-4.1-mini", "object": "model"}]}, *_JSON_HEADERS)
    if path not in _PLAIN:
        return json_reply(404, {"error": {"message": "No such path.", "type": "invalid_request_error", "code": None}})
    request = _parse(body)
    if request is None:
        error = {"message": "We could not parse the JSON body of your request.", "type": "invalid_request_error"}
        return json_reply(400, {"error": {**error, "param": None, "code": None}}, *_JSON_HEADERS)
    model = str(request.get("model", "gpt-4.1-mini"))
    if request.get("stream") is True and path in _STREAMED:
        asks_for_usage = (request.get("stream_options") or {}).get("include_usage") is True
        pieces: list[Piece] = list(_STREAMED[path](model, words, asks_for_usage))
        return Reply(headers=STREAM_HEADERS, pieces=pieces, framing=Framing.CHUNKED)
    return json_reply(200, _PLAIN[path](model, words), *_JSON_HEADERS)


def _parse(body: bytes) -> Json | None:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _text(words: int) -> list[str]:
    return [f"word{n} " for n in range(words)]


def _data(value: Json) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"


def _named(value: Json) -> bytes:
    return b"event: " + str(value["type"]).encode() + b"\n" + _data(value)


def _chat_usage(words: int) -> Json:
    return {
        "prompt_tokens": INPUT_TOKENS,
        "completion_tokens": words,
        "total_tokens": INPUT_TOKENS + words,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def _chat(model: str, words: int) -> Json:
    message: Json = {"role": "assistant", "content": "".join(_text(words)), "refusal": None, "annotations": []}
    return {
        "id": "chatcmpl-scripted",
        "object": "chat.completion",
        "created": _CREATED,
        "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": _chat_usage(words),
        "service_tier": "default",
        "system_fingerprint": "fp_scripted",
    }


def _with_usage(chunks: list[Json], last: Json, asks_for_usage: bool) -> list[bytes]:
    if not asks_for_usage:
        return [*map(_data, chunks), b"data: [DONE]\n\n"]
    return [*(_data({**chunk, "usage": None}) for chunk in chunks), _data(last), b"data: [DONE]\n\n"]


def _chat_stream(model: str, words: int, asks_for_usage: bool) -> list[bytes]:
    base = {"id": "chatcmpl-scripted", "object": "chat.completion.chunk", "created": _CREATED, "model": model}
    deltas: list[Json] = [{"role": "assistant", "content": ""}, *({"content": word} for word in _text(words))]
    chunks: list[Json] = [
        {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
    ]
    chunks.append({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    return _with_usage(chunks, {**base, "choices": [], "usage": _chat_usage(words)}, asks_for_usage)


def _completion_usage(words: int) -> Json:
    return {"prompt_tokens": INPUT_TOKENS, "completion_tokens": words, "total_tokens": INPUT_TOKENS + words}


def _completion(model: str, words: int) -> Json:
    choice = {"index": 0, "text": "".join(_text(words)), "logprobs": None, "finish_reason": "stop"}
    base = {"id": "cmpl-scripted", "object": "text_completion", "created": _CREATED, "model": model}
    return {**base, "choices": [choice], "usage": _completion_usage(words)}


def _completion_stream(model: str, words: int, asks_for_usage: bool) -> list[bytes]:
    base = {"id": "cmpl-scripted", "object": "text_completion", "created": _CREATED, "model": model}
    texts: list[tuple[str, str | None]] = [*((word, None) for word in _text(words)), ("", "stop")]
    chunks: list[Json] = [
        {**base, "choices": [{"index": 0, "text": text, "finish_reason": end}]} for text, end in texts
    ]
    return _with_usage(chunks, {**base, "choices": [], "usage": _completion_usage(words)}, asks_for_usage)


def _response_usage(words: int) -> Json:
    return {
        "input_tokens": INPUT_TOKENS,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": words,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": INPUT_TOKENS + words,
    }


def _response(model: str, words: int) -> Json:
    part = {"type": "output_text", "text": "".join(_text(words)), "annotations": []}
    item = {"type": "message", "id": "msg_scripted", "status": "completed", "role": "assistant", "content": [part]}
    return {
        "id": "resp_scripted",
        "object": "response",
        "created_at": _CREATED,
        "status": "completed",
        "model": model,
        "output": [item],
        "usage": _response_usage(words),
        "service_tier": "default",
    }


def _response_stream(model: str, words: int, _asks_for_usage: bool) -> list[bytes]:
    whole = _response(model, words)
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    delta = {"type": "response.output_text.delta", "item_id": "msg_scripted", "output_index": 0, "content_index": 0}
    events: list[Json] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        *({**delta, "delta": word} for word in _text(words)),
        {"type": "response.completed", "response": whole},
    ]
    return [_named({**event, "sequence_number": number}) for number, event in enumerate(events)]


def _embeddings(model: str, _words: int) -> Json:
    vector = {"object": "embedding", "index": 0, "embedding": [0.25, -0.5, 0.125]}
    usage = {"prompt_tokens": INPUT_TOKENS, "total_tokens": INPUT_TOKENS}
    return {"object": "list", "data": [vector], "model": model, "usage": usage}


def _message_usage(words: int) -> Json:
    return {
        "input_tokens": INPUT_TOKENS,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": words,
        "service_tier": "standard",
    }


def _message(model: str, words: int) -> Json:
    return {
        "id": "msg_scripted",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": "".join(_text(words))}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": _message_usage(words),
    }


def _message_stream(model: str, words: int, _asks_for_usage: bool) -> list[bytes]:
    begun = {**_message(model, words), "content": [], "stop_reason": None, "usage": _message_usage(1)}
    delta = {"type": "content_block_delta", "index": 0}
    events: list[Json] = [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        *({**delta, "delta": {"type": "text_delta", "text": word}} for word in _text(words)),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": words},
        },
        {"type": "message_stop"},
    ]
    return [_named(event) for event in events]


_PLAIN = {
    "/v1/chat/completions": _chat,
    "/v1/completions": _completion,
    "/v1/responses": _response,
    "/v1/embeddings": _embeddings,
    "/v1/messages": _message,
}
_STREAMED = {
    "/v1/chat/completions": _chat_stream,
    "/v1/completions": _completion_stream,
    "/v1/responses": _response_stream,
    "/v1/messages": _message_stream,
}
