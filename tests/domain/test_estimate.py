import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.domain.estimate import (
    ANTHROPIC_IMAGE_TOKENS,
    IMAGE_TOKENS,
    LOW_DETAIL_IMAGE_TOKENS,
    countable_input,
    heuristic_tokens,
)

APIS = ("chat", "completions", "embeddings", "responses", "messages", "gemini", "gemini_embeddings")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "messages",
                    "content",
                    "type",
                    "role",
                    "input",
                    "prompt",
                    "tools",
                    "text",
                    "function",
                    "contents",
                    "parts",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def read(api, **request):
    found = countable_input(api, orjson.dumps(request))
    return found and (list(found.texts), found.fixed_tokens)


def test_a_chat_message_costs_three_and_the_reply_three_more():
    assert read("chat", messages=[{"role": "user", "content": "Hello"}]) == (["user", "Hello"], 6)


def test_a_name_costs_one_more():
    messages = [{"role": "user", "name": "ada", "content": "Hello"}]
    assert read("chat", messages=messages) == (["user", "Hello", "ada"], 7)


def test_a_tool_call_of_the_conversation_is_counted_by_name_and_arguments():
    call = {"id": "call_1", "type": "function", "function": {"name": "find", "arguments": '{"q":1}'}}
    messages = [{"role": "assistant", "content": None, "tool_calls": [call]}]
    assert read("chat", messages=messages) == (["assistant", "find", '{"q":1}'], 6)


def test_a_custom_tool_call_is_counted_by_its_input():
    call = {"id": "call_1", "type": "custom", "custom": {"name": "run", "input": "ls"}}
    assert read("chat", messages=[{"role": "assistant", "tool_calls": [call]}]) == (["assistant", "run", "ls"], 6)


def test_a_tool_definition_follows_the_cookbook():
    schema = {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "Where."},
            "unit": {"type": "string", "enum": ["c", "f"]},
        },
    }
    tool = {"type": "function", "function": {"name": "weather", "description": "Look up.", "parameters": schema}}
    texts, fixed = read("chat", messages=[], tools=[tool])
    assert texts == ["weather:Look up", "city:string:Where", "unit:string:", "c", "f"]
    assert fixed == 7 + 3 + 3 + 3 + (-3 + 3 * 2) + 12 + 3


def test_a_tool_without_parameters_and_a_nested_one():
    nested = {"properties": {"to": {"type": "object", "properties": {"zip": {"type": "string"}}}}}
    tools = [{"function": {"name": "ping"}}, {"function": {"name": "post", "parameters": nested}}]
    texts, fixed = read("chat", messages=[], tools=tools)
    assert texts == ["ping:", "post:", "to:object:", '{"zip":{"type":"string"}}']
    assert fixed == 7 + 7 + 3 + 3 + 12 + 3


@pytest.mark.parametrize(("detail", "tokens"), [("low", LOW_DETAIL_IMAGE_TOKENS), ("auto", IMAGE_TOKENS)])
def test_an_image_costs_a_flat_amount_and_its_bytes_nothing(detail, tokens):
    url = "data:image/png;base64," + "A" * 50_000
    parts = [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": url, "detail": detail}}]
    assert read("chat", messages=[{"role": "user", "content": parts}]) == (["user", "see"], 6 + tokens)


@pytest.mark.parametrize("part", [{"type": "input_audio", "input_audio": {"data": "A"}}, {"type": "file"}, {}])
def test_a_part_of_unknown_size_makes_the_whole_input_unknown(part):
    assert read("chat", messages=[{"role": "user", "content": [part]}]) is None


def test_responses_take_a_string_or_items():
    assert read("responses", instructions="Be brief.", input="Hi") == (["system", "Be brief.", "user", "Hi"], 9)
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "Hi"}, {"type": "input_image", "image_url": "x"}]},
        {"type": "reasoning", "encrypted_content": "zzz"},
        {"type": "function_call", "name": "find", "arguments": "{}", "call_id": "1"},
        {"type": "function_call_output", "output": "found", "call_id": "1"},
    ]
    expected = ["user", "Hi", "find", "{}", "tool", "found"]
    assert read("responses", input=items) == (expected, 3 + IMAGE_TOKENS + 3 + 3 + 3)


def test_responses_tools_are_flat_and_hosted_ones_have_no_text():
    tools = [{"type": "function", "name": "find", "parameters": {}}, {"type": "web_search"}]
    assert read("responses", input="Hi", tools=tools) == (["user", "Hi", "find:"], 3 + 7 + 12 + 3)


@pytest.mark.parametrize("stored", ["previous_response_id", "conversation", "prompt"])
def test_input_that_the_provider_stores_is_unknown(stored):
    assert read("responses", input="Hi", **{stored: "resp_1"}) is None
    assert read("responses", input="Hi", **{stored: None}) is not None
    assert read("responses", input=[{"type": "item_reference", "id": "msg_1"}]) is None


def test_messages_of_anthropic():
    content = [
        {"type": "image", "source": {"type": "base64", "data": "A" * 1000}},
        {"type": "tool_use", "name": "find", "input": {"q": 1}},
        {"type": "tool_result", "content": [{"type": "text", "text": "found"}]},
    ]
    tools = [{"name": "find", "input_schema": {"properties": {"q": {"type": "integer"}}}}, {"type": "web_search_2"}]
    texts, fixed = read("messages", system="Be brief.", messages=[{"role": "user", "content": content}], tools=tools)
    assert texts == ["system", "Be brief.", "user", "find", '{"q":1}', "found", "find:", "q:integer:"]
    assert fixed == 3 + 3 + ANTHROPIC_IMAGE_TOKENS + 7 + 3 + 3 + 12 + 3


def test_a_document_of_anthropic_is_unknown():
    content = [{"type": "document", "source": {"type": "base64", "data": "A"}}]
    assert read("messages", messages=[{"role": "user", "content": content}]) is None


@pytest.mark.parametrize(
    ("given_prompt", "expected"),
    [
        ("a b", (["a b"], 0)),
        (["a", "b"], (["a", "b"], 0)),
        ([1, 2, 3], ([], 3)),
        ([[1, 2], [3]], ([], 3)),
        ([], ([], 0)),
    ],
)
def test_prompts_and_embedding_inputs_are_texts_or_token_ids(given_prompt, expected):
    assert read("embeddings", input=given_prompt) == expected
    assert read("completions", prompt=given_prompt) == expected


def test_gemini_s_texts_calls_and_tools():
    found = read(
        "gemini",
        systemInstruction={"parts": [{"text": "Be brief."}]},
        contents=[
            {"role": "user", "parts": [{"text": "Hello"}]},
            {"role": "model", "parts": [{"functionCall": {"name": "find", "args": {"a": 1}}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "find", "response": {"b": 2}}}]},
        ],
        tools=[{"functionDeclarations": [{"name": "find", "description": "Finds."}]}, {"googleSearch": {}}],
    )
    assert found == (["Hello", "find", '{"a":1}', '{"b":2}', "Be brief.", "find:Finds"], 7)


@pytest.mark.parametrize(
    "request_body",
    [
        {"contents": [{"parts": [{"inlineData": {"data": "AAAA"}}]}]},
        {"contents": [{"parts": [{"text": "x"}]}], "cachedContent": "cachedContents/1"},
        {"contents": "Hello"},
        {"contents": []},
        {},
    ],
)
def test_what_gemini_s_request_does_not_hold_is_unknown(request_body):
    assert read("gemini", **request_body) is None


def test_gemini_embeds_one_content_or_many():
    one = {"content": {"parts": [{"text": "a"}, {"text": "b"}]}}
    assert read("gemini_embeddings", **one) == (["a", "b"], 0)
    assert read("gemini_embeddings", requests=[one, {"content": {"parts": [{"text": "c"}]}}]) == (["a", "b", "c"], 0)
    assert read("gemini_embeddings", content="a") is None


def test_the_suffix_of_a_completion_is_input():
    assert read("completions", prompt="def f(", suffix="return 1") == (["def f(", "return 1"], 0)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"text"', b"{}", b"\xff", b"[" * 5000])
@pytest.mark.parametrize("api", APIS)
def test_a_malformed_body_gives_nothing(api, body):
    assert countable_input(api, body) is None


def test_an_unknown_api_gives_nothing():
    assert countable_input("images", b'{"prompt":"a cat"}') is None


@settings(max_examples=50)
@given(api=st.sampled_from(APIS), request=JSON)
def test_no_body_makes_it_raise(api, request):
    countable_input(api, orjson.dumps(request))


def test_texts_do_not_show_in_the_repr():
    assert "secret" not in repr(countable_input("completions", b'{"prompt":"secret"}'))


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("abcd", 1), ("abcde", 2), ("漢字", 2), ("漢字 ab", 3), ("привет", 3)]
)
def test_the_heuristic(text: str, tokens: int) -> None:
    assert heuristic_tokens(text) == tokens


@given(st.text(alphabet=st.characters(), max_size=200))
def test_the_heuristic_takes_any_text(text: str) -> None:
    assert 0 <= heuristic_tokens(text) <= 2 * len(text) + 1
