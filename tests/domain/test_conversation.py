from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.domain.conversation import Conversation, read_conversation, said
from proxy.domain.meter import ANSWER_HEAD_LIMIT_CHARS
from proxy.domain.tool_results import StatusSource, StepStatus

SECRET = b"0123456789abcdef"
Message = dict[str, Any]
ANSWER = "Paris is the capital of France. " * 20
ASK: Message = {"role": "user", "content": "What is the capital of France?"}
ANSWERED: Message = {"role": "assistant", "content": ANSWER}
NEXT: Message = {"role": "user", "content": "And of Spain?"}
PNG = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def chat(*messages: Any, api: str = "chat", **more: Any) -> Conversation:
    slot = "input" if api == "responses" else "messages"
    found = read_conversation({slot: list(messages), **more}, api, SECRET)
    assert found is not None
    return found


def after(asked: Conversation, answer: str = ANSWER, *tools: str, secret: bytes = SECRET) -> bytes | None:
    return said(asked.asked, answer[:ANSWER_HEAD_LIMIT_CHARS], tools, secret)


def test_the_next_request_follows_what_was_said() -> None:
    assert chat(ASK, ANSWERED, NEXT).followed == after(chat(ASK))


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "system", "content": "It is noon."}, ASK, ANSWERED, NEXT],
        [{"role": "developer", "content": "Be brief."}, ASK, ANSWERED, NEXT],
        [{**ASK, "content": [{"type": "text", "text": ASK["content"], "cache_control": {}}]}, ANSWERED, NEXT],
        [ASK, {**ANSWERED, "content": f"\n{ANSWER}"}, NEXT],
        [ASK, {**ANSWERED, "content": [{"type": "thinking", "thinking": "hm", "text": "hm"}, {"text": ANSWER}]}, NEXT],
        [ASK, {**ANSWERED, "refusal": None, "annotations": []}, NEXT],
        [ASK, ANSWERED, NEXT, {"role": "user", "content": "Well?"}],
    ],
)
def test_what_apps_change_makes_no_difference(messages: list[Message]) -> None:
    assert chat(*messages).followed == after(chat(ASK))


@pytest.mark.parametrize(
    "messages",
    [
        [NEXT, ANSWERED, NEXT],
        [ASK, {**ANSWERED, "content": "Rome."}, NEXT],
        [ASK, ASK, ANSWERED, NEXT],
        [{**ASK, "content": [{"type": "text", "text": ASK["content"]}, PNG]}, ANSWERED, NEXT],
        [ASK, {**ANSWERED, "tool_calls": [{"function": {"name": "search"}}]}, NEXT],
    ],
)
def test_what_was_said_does(messages: list[Message]) -> None:
    assert chat(*messages).followed != after(chat(ASK))


@pytest.mark.parametrize(
    "messages",
    [
        [ASK],
        [ANSWERED, NEXT],  # the app's own greeting is said to everybody
        [{"role": "system", "content": "x"}, ANSWERED, NEXT],
        [ASK, {"role": "assistant", "content": ""}, NEXT],
        [ASK, ANSWERED],  # the app has begun the reply itself
    ],
)
def test_where_nothing_is_followed(messages: list[Message]) -> None:
    assert chat(*messages).followed is None


def test_another_secret_makes_other_digests() -> None:
    assert after(chat(ASK), secret=b"another") != after(chat(ASK))
    assert read_conversation({"messages": [ASK]}, "chat", b"another") != chat(ASK)


def test_a_reply_that_says_nothing_cannot_be_followed() -> None:
    assert after(chat(ASK), " \n") is None
    assert after(chat(ASK), "", "search") is not None


def test_long_texts_are_told_apart_by_their_length_and_ends() -> None:
    texts = ["a" * 50_000, "a" * 50_001, "b" + "a" * 49_999, "a" * 49_999 + "b"]
    assert len({chat({"role": "user", "content": text}).asked for text in texts}) == len(texts)


def test_tools_of_chat_completions() -> None:
    calls = [{"id": f"call_{name}", "type": "function", "function": {"name": name, "arguments": "{}"}} for name in "ab"]
    called: Message = {"role": "assistant", "content": None, "tool_calls": calls}
    results = [
        {"role": "tool", "tool_call_id": "call_a", "content": "21 degrees"},
        {"role": "tool", "tool_call_id": "call_b", "content": [{"type": "text", "text": "Error: no"}]},
    ]
    found = chat(ASK, called, *results)
    assert [(result.call_id, result.status) for result in found.results] == [
        ("call_a", StepStatus.SUCCESS),
        ("call_b", StepStatus.ERROR),
    ]
    assert found.followed == after(chat(ASK), "", "a", "b")
    later = chat(ASK, called, *results, ANSWERED, NEXT)
    assert later.results == ()
    assert later.earlier_call == "call_b"
    assert later.followed == after(found)


def test_tools_of_messages() -> None:
    blocks = [{"type": "text", "text": "Let me see."}, {"type": "tool_use", "id": "toolu_1", "name": "a", "input": {}}]
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "is_error": True, "content": "x"}
    called = {"role": "assistant", "content": blocks}
    found = chat(ASK, called, {"role": "user", "content": [result, {"type": "text", "text": "go on"}]}, api="messages")
    (step,) = found.results
    assert (step.call_id, step.status, step.source) == ("toolu_1", StepStatus.ERROR, StatusSource.PROVIDER)
    assert found.followed == after(chat(ASK, api="messages"), "Let me see.", "a")


def test_items_of_responses() -> None:
    items = [
        {"type": "reasoning", "summary": []},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Let me see."}]},
        {"type": "function_call", "call_id": "call_1", "name": "a", "arguments": "{}"},
        {"type": "web_search_call", "status": "completed"},
    ]
    output = {"type": "function_call_output", "call_id": "call_1", "output": "21"}
    found = chat(ASK, *items, output, api="responses")
    assert [result.call_id for result in found.results] == ["call_1"]
    assert found.followed == after(chat(ASK, api="responses"), "Let me see.", "a")
    assert read_conversation({"input": ASK["content"]}, "responses", SECRET) == chat(ASK, api="responses")


def test_what_the_provider_keeps_is_named() -> None:
    found = chat(NEXT, api="responses", previous_response_id="resp_1", conversation={"id": "conv_1"})
    assert (found.response_id, found.conversation_id) == ("resp_1", "conv_1")
    assert chat(NEXT, api="responses", conversation="conv_2").conversation_id == "conv_2"
    assert chat(NEXT, previous_response_id="resp_1").response_id is None
    assert found.asked != chat(NEXT, api="responses").asked


@pytest.mark.parametrize("call_id", ["", "x" * 201, 7, None])
def test_ids_that_cannot_be_ids_are_passed_over(call_id: object) -> None:
    assert chat(ASK, ANSWERED, {"role": "tool", "tool_call_id": call_id, "content": "x"}).results == ()


def test_results_are_bounded() -> None:
    results = [{"role": "tool", "tool_call_id": f"c{number}", "content": "x"} for number in range(100)]
    assert len(chat(ASK, ANSWERED, *results).results) == 64


@pytest.mark.parametrize(
    ("parsed", "api"),
    [
        ({"messages": []}, "chat"),
        ({"messages": "x", "input": []}, "responses"),
        ({"input": "x"}, "embeddings"),
        ({}, ""),
    ],
)
def test_where_there_is_no_conversation(parsed: Message, api: str) -> None:
    assert read_conversation(parsed, api, SECRET) is None


WORDS = ("user", "assistant", "tool", "text", "thinking", "tool_use", "tool_result", "function_call", "c_12345678")


@pytest.mark.parametrize("kind", [[], {}, None, 1])
def test_a_type_may_be_anything(kind: object) -> None:
    content = [{"type": kind}, {"type": kind, "text": "t"}, {"type": kind, "image": "u"}]
    turns = [{"role": role, "type": kind, "content": content} for role in ("user", "assistant", "user")]
    assert chat(*turns).followed is not None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(
        ["role", "content", "type", "text", "tool_calls", "function", "name", "tool_use_id", "call_id", "output"]
    ), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(st.lists(JSON, max_size=6), st.sampled_from(["chat", "messages", "responses"]))
def test_any_body_can_be_read(items: list[Any], api: str) -> None:
    body = {"messages": items, "input": items, "previous_response_id": items, "conversation": items}
    assert (read_conversation(body, api, SECRET) is None) == (not items)


def test_nothing_of_the_content_is_kept() -> None:
    found = chat(ASK, ANSWERED, {"role": "tool", "tool_call_id": "c1", "content": "SECRET-WORD"}, NEXT)
    assert not [word for word in ("France", "Spain", "SECRET-WORD") if word in repr(found)]


def gemini(*contents: Any) -> Conversation:
    found = read_conversation({"contents": list(contents)}, "gemini", SECRET)
    assert found is not None
    return found


def content(role: str, *parts: Message) -> Message:
    return {"role": role, "parts": list(parts)}


GEMINI_ASK = content("user", {"text": "What is the capital of France?"})


@pytest.mark.parametrize(
    "answered",
    [
        [content("model", {"text": ANSWER})],
        [content("model", {"text": "hm", "thought": True}, {"text": ANSWER, "thoughtSignature": "c2ln"})],
        [content("model", {"text": ANSWER[:40]}), content("model", {"text": ANSWER[40:]})],
    ],
)
def test_a_conversation_with_gemini_goes_on(answered: list[Message]) -> None:
    following = gemini(GEMINI_ASK, *answered, content("user", {"text": "And of Spain?"}))
    assert following.followed == after(gemini(GEMINI_ASK))
    other = gemini(content("user", {"text": "Who?"}), *answered, content("user", {"text": "And of Spain?"}))
    assert other.followed != following.followed


def test_results_of_gemini_s_tools_come_back_by_the_id_of_their_call() -> None:
    call = content("model", {"functionCall": {"name": "find", "args": {}, "id": "call_7fK2"}})
    result = {"name": "find", "response": {"error": "no such order"}, "id": "call_7fK2"}
    following = gemini(GEMINI_ASK, call, content("user", {"functionResponse": result}))
    assert following.followed == after(gemini(GEMINI_ASK), "", "find")
    (told,) = following.results
    assert (told.call_id, told.status, told.source) == ("call_7fK2", StepStatus.ERROR, StatusSource.HEURISTIC)


def test_results_without_an_id_are_no_steps() -> None:
    call = content("model", {"functionCall": {"name": "find", "args": {}}})
    result = {"functionResponse": {"name": "find", "response": {"output": "x"}}}
    assert gemini(GEMINI_ASK, call, content("user", result)).results == ()
