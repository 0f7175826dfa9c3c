import json
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.demo.answers import (
    Question,
    answer,
    question_of_chat,
    question_of_completion,
    question_of_messages,
    question_of_responses,
    tokens_of,
)

SCHEMA = {"properties": {"order": {"type": "string"}, "count": {"type": "integer"}, "unit": {"enum": ["day"]}}}
USER = {"role": "user", "content": "Where is it?"}


@given(st.text(max_size=80))
def test_tokens_joined_are_the_text(text):
    assert "".join(tokens_of(text)) == text[: len("".join(tokens_of(text)))]
    assert not text[len("".join(tokens_of(text))) :].strip()


def test_an_answer_is_words_counted_as_they_are():
    said = answer(Question(text="one two"), Random(1))
    assert said.output_tokens == len(tokens_of(said.text)) > 5
    assert said.input_tokens == 2 + 4
    assert not said.is_cut


def test_max_tokens_cuts_words_but_no_arguments():
    assert answer(Question(text="", max_tokens=2), Random(1)).output_tokens == 2
    call = answer(Question(text="", max_tokens=2, tool_name="find", tool_schema=SCHEMA), Random(1))
    assert json.loads(call.text) == {"order": "some order", "count": 3, "unit": "day"}
    assert not call.is_cut
    assert call.output_tokens == len(call.tokens) + 1


def test_json_is_answered_where_it_was_asked_for():
    assert json.loads(answer(Question(text="", wants_json=True), Random(1)).text).keys() == {"answer"}


CHAT_TOOL = {"function": {"name": "find", "parameters": SCHEMA}}


@pytest.mark.parametrize(
    ("more", "called"),
    [
        ({}, None),
        ({"tools": [CHAT_TOOL]}, "find"),
        ({"tools": [CHAT_TOOL], "tool_choice": "none"}, None),
        ({"tools": [CHAT_TOOL], "messages": [USER, {"role": "tool", "content": "found"}]}, None),
    ],
)
def test_a_chat_tool_is_called_once(more, called):
    assert question_of_chat({"messages": [USER]} | more).tool_name == called


def test_a_responses_tool_is_called_once():
    body = {"input": [USER], "tools": [{"type": "web_search"}, {"type": "function", "name": "find", "parameters": {}}]}
    assert question_of_responses(body).tool_name == "find"
    result = {"type": "function_call_output", "output": "found"}
    assert question_of_responses(body | {"input": [USER, result]}).tool_name is None


def test_an_anthropic_tool_is_called_once():
    body = {"messages": [USER], "tools": [{"type": "web_search"}, {"name": "find", "input_schema": SCHEMA}]}
    assert question_of_messages(body).tool_name == "find"
    result = {"role": "user", "content": [{"type": "tool_result", "content": "found"}]}
    assert question_of_messages(body | {"messages": [USER, result]}).tool_name is None


def test_all_text_is_read_whatever_its_place():
    parts = [{"type": "text", "text": "one"}, {"type": "image_url", "image_url": {"url": "data:x"}}]
    assert question_of_chat({"messages": [{"role": "user", "content": parts}]}).text.split() == ["one"]
    assert question_of_responses({"instructions": "one", "input": "two"}).text.split() == ["one", "two"]
    assert question_of_messages({"system": "one", "messages": [USER]}).text.startswith("one Where")
    assert question_of_completion({"prompt": ["one", "two"]}).input_tokens == 2


def test_usage_is_wanted_only_where_it_was_asked_for():
    asked = {"stream_options": {"include_usage": True}}
    for read in (question_of_chat, question_of_completion):
        assert read(asked).wants_usage
        assert not read({"stream_options": None}).wants_usage
