import orjson
import pytest

from proxy.providers.transcript import transcript


def sse(*bodies: object) -> bytes:
    return b"".join(b"data: %b\n\n" % orjson.dumps(body) for body in bodies) + b"data: [DONE]\n\n"


CALL = {"name": "find_order", "arguments": '{"id": 7}', "id": "c1"}
WHOLE = {"text": "Hello you", "reasoning": "Hm", "tool_calls": [CALL]}


def chat(**message: object) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": message}]}


def chat_call(arguments: str, **more: object) -> dict[str, object]:
    return chat(tool_calls=[{"index": 0, **more, "function": {"arguments": arguments, "name": more.get("n")}}])


CHAT_STREAM = sse(
    chat(reasoning_content="Hm"),
    chat(content="Hello "),
    chat(content="you"),
    chat_call('{"id"', id="c1", n="find_order"),
    chat_call(": 7}"),
)
FUNCTION = {"id": "c1", "function": {"name": "find_order", "arguments": '{"id": 7}'}}
CHAT_WHOLE = orjson.dumps(
    {"choices": [{"message": {"content": "Hello you", "reasoning": "Hm", "tool_calls": [FUNCTION]}}]}
)
MESSAGES_STREAM = sse(
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm"}},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Hello "}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "you"}},
    {
        "type": "content_block_start",
        "index": 2,
        "content_block": {"type": "tool_use", "id": "c1", "name": "find_order", "input": {}},
    },
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"id"'}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": ": 7}"}},
)
OUTPUT = [
    {"type": "reasoning", "summary": [{"text": "Hm"}]},
    {"type": "message", "content": [{"type": "output_text", "text": "Hello you"}]},
    {"type": "function_call", "call_id": "c1", "name": "find_order", "arguments": '{"id": 7}'},
]
RESPONSES_DELTAS = (
    {"type": "response.reasoning_summary_text.delta", "delta": "Hm"},
    {"type": "response.output_text.delta", "delta": "Hello "},
    {"type": "response.output_text.delta", "delta": "you"},
    {"type": "response.output_item.done", "output_index": 2, "item": OUTPUT[2]},
)
RESPONSES_END = {"type": "response.completed", "response": {"output": OUTPUT}}
GEMINI = [
    {"candidates": [{"content": {"parts": [{"text": "Hm", "thought": True}, {"text": "Hello "}]}}]},
    {"candidates": [{"content": {"parts": [{"text": "you"}]}}]},
]


@pytest.mark.parametrize(
    "body",
    [
        CHAT_STREAM,
        CHAT_WHOLE,
        MESSAGES_STREAM,
        sse(*RESPONSES_DELTAS),
        sse(*RESPONSES_DELTAS, RESPONSES_END),
        orjson.dumps({"object": "response", "output": OUTPUT}),
    ],
    ids=["chat stream", "chat", "messages stream", "responses cut off", "responses stream", "responses"],
)
def test_a_reply_is_put_together(body: bytes) -> None:
    assert transcript(body) == WHOLE


@pytest.mark.parametrize("body", [sse(*GEMINI), orjson.dumps(GEMINI)])
def test_gemini_has_parts(body: bytes) -> None:
    assert transcript(body) == {"text": "Hello you", "reasoning": "Hm"}


def test_a_message_that_came_whole() -> None:
    blocks = [
        {"type": "text", "text": "Hello you"},
        {"type": "tool_use", "id": "c1", "name": "find_order", "input": {"id": 7}},
    ]
    assert transcript(orjson.dumps({"content": blocks})) == {
        "text": "Hello you", "tool_calls": [{**CALL, "arguments": '{"id":7}'}],
    }  # fmt: skip


def test_what_is_no_reply_says_nothing_or_its_error() -> None:
    assert transcript(b"") == {}
    assert transcript(b'{"choices": [{"message') == {}
    assert transcript(b'[1, "x", null]') == {}
    assert transcript(b'{"error": {"message": "no"}}') == {"error": {"message": "no"}}
    assert transcript(sse({"choices": [{"delta": {"content": ["?", 3]}}], "content": 5, "output": "?"})) == {}
