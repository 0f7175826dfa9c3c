"""Kept content in the shapes of the GenAI conventions, of all dialects."""

import json
from typing import Any

import pytest

from proxy.adapters.otel.messages import INPUT, INSTRUCTIONS, LEFT_OUT, OUTPUT, TOOLS, of_content

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = {"type": "function", "name": "weather", "description": "Of a city.", "parameters": SCHEMA}
HI = {"role": "user", "parts": [{"type": "text", "content": "hi"}]}
CALLED: dict[str, Any] = {"id": "c1", "type": "tool_call", "name": "weather", "arguments": {"city": "Paris"}}
ANSWERED = {"id": "c1", "type": "tool_call_response", "response": "rain"}
TALK = [HI, {"role": "assistant", "parts": [CALLED]}, {"role": "tool", "parts": [ANSWERED]}]
BE_KIND = [{"type": "text", "content": "Be kind."}]

CHAT: dict[str, Any] = {
    "messages": [
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "function": {"name": "weather", "arguments": '{"city":"Paris"}'}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "rain"},
    ],
    "tools": [{"type": "function", "function": {k: v for k, v in WEATHER.items() if k != "type"}}],
}
RESPONSES = {
    "instructions": "Be kind.",
    "input": [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
        {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"city":"Paris"}'},
        {"type": "function_call_output", "call_id": "c1", "output": "rain"},
    ],
    "tools": [WEATHER],
}
MESSAGES = {
    "system": [{"type": "text", "text": "Be kind."}],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "hi"}]},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Paris"}}],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "rain"}]},
    ],
    "tools": [{"name": "weather", "description": "Of a city.", "input_schema": SCHEMA}],
}
GEMINI = {
    "systemInstruction": {"parts": [{"text": "Be kind."}]},
    "contents": [
        {"role": "user", "parts": [{"text": "hi"}]},
        {"role": "model", "parts": [{"functionCall": {"id": "c1", "name": "weather", "args": {"city": "Paris"}}}]},
        {"role": "tool", "parts": [{"functionResponse": {"id": "c1", "name": "weather", "response": "rain"}}]},
    ],
    "tools": [{"functionDeclarations": [{"name": "weather", "description": "Of a city.", "parameters": SCHEMA}]}],
}


def told(request: Any = None, reply: Any = None, reason: str | None = "stop", **document: Any) -> dict[str, Any]:
    made = of_content({"request": request, "reply": reply, **document}, reason)
    return {name: json.loads(value) if isinstance(value, str) else value for name, value in made.items()}


@pytest.mark.parametrize("request_body", [CHAT, RESPONSES, MESSAGES, GEMINI])
def test_the_same_talk_reads_alike_in_every_dialect(request_body: Any) -> None:
    made = told(request_body)
    answer = {**TALK[2], "role": "user"} if request_body is MESSAGES else TALK[2]
    assert made[INPUT] == [*TALK[:2], answer]
    assert made[TOOLS] == [WEATHER]
    assert made.get(INSTRUCTIONS, BE_KIND) == BE_KIND
    assert (INSTRUCTIONS in made) is (request_body is not CHAT)


@pytest.mark.parametrize(
    ("item", "role", "part"),
    [
        ({"role": "system", "content": "Be kind."}, "system", BE_KIND[0]),
        ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a.test/b.png"}}]}, "user",
         {"type": "image_url", "image_url": {"url": "https://a.test/b.png"}}),
        ({"parts": [{"inlineData": {"mimeType": "image/png"}}]}, "user",
         {"type": "inlineData", "inlineData": {"mimeType": "image/png"}}),
        ({"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm."}]}, "assistant",
         {"type": "reasoning", "content": "Hm."}),
        ({"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]}, "assistant",
         {"type": "reasoning", "content": "Hm."}),
        ({"role": "model", "parts": [{"text": "Hm.", "thought": True}]}, "assistant",
         {"type": "reasoning", "content": "Hm."}),
        ({"role": "assistant", "reasoning_content": "Hm."}, "assistant", {"type": "reasoning", "content": "Hm."}),
        ({"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}, "assistant",
         {"type": "text", "content": "No."}),
        ({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "rain"}]}, "user",
         ANSWERED),
        ({"role": "user", "content": [{"type": ["odd"], "x": 1}]}, "user", {"type": ["odd"], "x": 1}),
    ],
)  # fmt: skip
def test_parts_have_the_names_of_the_conventions_or_stay_as_they_are(item: Any, role: str, part: Any) -> None:
    assert told({"messages": [item]})[INPUT] == [{"role": role, "parts": [part]}]


@pytest.mark.parametrize("told_as", [{"prompt": "hi"}, {"prompt": ["hi"]}, {"input": "hi"}])
def test_a_bare_text_is_the_users(told_as: Any) -> None:
    assert told(told_as) == {INPUT: [HI]}


def test_of_tools_alone_the_calls_and_answers_are_told() -> None:
    """As `capture` keeps them at that level: objects without the messages around them."""
    call = {"tool_calls": CHAT["messages"][1]["tool_calls"]}
    answer = {"type": "tool_result", "tool_use_id": "c1", "content": "rain"}
    assert told([call, answer])[INPUT] == TALK[1:]


@pytest.mark.parametrize(
    ("reason", "ended"),
    [("tool_calls", "tool_call"), ("max_tokens", "length"), ("end_turn", "stop"), ("odd", "odd"), (None, "error")],
)
def test_an_answer_says_why_it_ended(reason: str | None, ended: str) -> None:
    reply = {"text": "Rain.", "reasoning": "Hm.", "tool_calls": [{"name": "weather", "arguments": "{", "id": "c1"}]}
    parts = [{"type": "reasoning", "content": "Hm."}, {"type": "text", "content": "Rain."}]
    parts.append({**CALLED, "arguments": "{"})
    assert told(reply=reply, reason=reason)[OUTPUT] == [{"role": "assistant", "parts": parts, "finish_reason": ended}]


def test_what_was_too_long_or_is_not_there_is_named_and_not_guessed() -> None:
    assert told('{"messages": [{"role": "us', {"error": {"message": "no"}}, cut=["request"]) == {LEFT_OUT: ("request",)}
    assert told(reply={"text": "x"}, left_out=["request"])[LEFT_OUT] == ("request",)
    assert told({"messages": [{"role": "user", "content": ""}, 7, None]}, {}) == {}
    assert told({"messages": 7, "tools": [7, {"type": "web_search"}]}) == {
        TOOLS: [{"type": "web_search", "name": "web_search"}]
    }
