from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.domain import chat
from proxy.domain.endpoints import Dialect, Endpoint, classify
from proxy.domain.errors import BadRequest

CHAT = classify("POST", "/v1/chat/completions", Dialect.OPENAI)
RESPONSES = classify("POST", "/v1/responses", Dialect.OPENAI)
MESSAGES = classify("POST", "/v1/messages", Dialect.ANTHROPIC)
EMBEDDINGS = classify("POST", "/v1/embeddings", Dialect.OPENAI)
COMPLETIONS = classify("POST", "/v1/completions", Dialect.OPENAI)
GEMINI_PATH = "/v1beta/models/gemini-2.5-pro:streamGenerateContent"
GEMINI = classify("POST", GEMINI_PATH, Dialect.GEMINI)


def admit(endpoint: Endpoint = CHAT, **body: Any) -> chat.ModelCall:
    parsed = {"model": "m", **body}
    return chat.described(chat.admit(parsed, endpoint), parsed, chat.messages_of(parsed))


def refusal(body: bytes, endpoint: Endpoint = CHAT) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        chat.admit(chat.parse(body), endpoint)
    return caught.value


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b'{"model": CANARY}', "invalid_json"),
        (b'{"model": "m", "x": NaN}', "invalid_json"),
        (b'{"model": "\xff"}', "invalid_json"),
        (b'["CANARY"]', "not_an_object"),
        (b'"CANARY"', "not_an_object"),
        (b"null", "not_an_object"),
        (b'{"x":' + b"[" * 1_100 + b"]" * 1_100 + b"}", "too_deep"),
        (b"[" * 100_000, "too_deep"),
        (b'{"messages": ["CANARY"]}', "model_required"),
        (b'{"model": null}', "model_required"),
        (b'{"model": ["CANARY"]}', "model_not_a_string"),
        (b'{"model": 7}', "model_not_a_string"),
        (b'{"model": ""}', "model_malformed"),
        (b'{"model": "CANARY\\u0000"}', "model_malformed"),
        (b'{"model": "CANARY\\nx"}', "model_malformed"),
        (b'{"model": "' + b"C" * 201 + b'"}', "model_malformed"),
    ],
)
def test_what_the_proxy_cannot_work_with_is_refused_without_an_echo(body: bytes, code: str) -> None:
    error = refusal(body)
    assert (error.http_status, error.code) == (400, code)
    assert "CANARY" not in error.public_message
    assert "CANARY" not in repr(error)
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None


def test_a_model_may_have_200_characters_of_any_script() -> None:
    assert admit(model="é" * 200).requested_model == "é" * 200


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/moderations", "/v1/images/generations"])
def test_a_model_may_be_missing_where_the_provider_has_another_source(path: str) -> None:
    endpoint = classify("POST", path, Dialect.OPENAI)
    assert chat.admit({"input": "x"}, endpoint).requested_model is None


def test_stream_options_and_parameters_are_read() -> None:
    call = admit(stream=True, stream_options={"include_usage": True}, temperature=1, max_completion_tokens=9)
    assert (call.stream, call.asks_for_usage, call.temperature, call.max_tokens) == (True, True, 1.0, 9)


FIELDS_READ = (
    "stream", "stream_options", "temperature", "max_tokens", "messages", "tools", "metadata", "user", "system",
    "instructions", "input", "prompt", "response_format", "text", "functions", "contents", "generationConfig",
    "systemInstruction",
)  # fmt: skip


@pytest.mark.parametrize("wrong", [None, True, 3, -0.5, "x", [], {}, [[]], [None, 1, "x"], {"a": {"b": 1}}, [{}]])
@pytest.mark.parametrize("endpoint", [CHAT, RESPONSES, MESSAGES, EMBEDDINGS, GEMINI])
def test_wrong_types_are_the_providers_to_refuse(wrong: object, endpoint: Endpoint) -> None:
    for field in FIELDS_READ:
        assert admit(endpoint, **{field: wrong}).requested_model == "m"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["role", "content", "type", "text", "parts", "tools", "id", "inlineData", "mimeType", "x"]),
        inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
FIELDS = st.sampled_from(FIELDS_READ)


@given(body=st.dictionaries(FIELDS, JSON), endpoint=st.sampled_from([CHAT, RESPONSES, MESSAGES, EMBEDDINGS, GEMINI]))
def test_no_body_with_a_model_raises(body: dict[str, Any], endpoint: Endpoint) -> None:
    assert admit(endpoint, **body).requested_model == "m"


def test_chat_is_counted() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    call = admit(
        messages=[
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "what?"}, image, image]},
            {"role": "tool", "content": "image_url"},
        ],
        tools=[{"type": "function", "function": {"name": "f"}}],
        functions=[{"name": "g"}],
    )
    assert (call.message_count, call.tool_count, call.image_count) == (3, 2, 2)


def test_responses_are_counted() -> None:
    items = [
        {"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": "x"}]},
        {"type": "function_call_output", "output": [{"type": "input_image", "file_id": "f"}]},
    ]
    call = admit(RESPONSES, input=items, tools=[{"type": "web_search"}])
    assert (call.message_count, call.tool_count, call.image_count) == (2, 1, 2)
    assert admit(RESPONSES, input="one text").message_count == 1
    assert admit(RESPONSES, prompt={"id": "pmpt_1"}).message_count is None


def test_anthropic_is_counted_also_within_a_tool_result() -> None:
    image = {"type": "image", "source": {"type": "base64", "data": "AAAA"}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [image, {"type": "text", "text": "x"}]}
    call = admit(MESSAGES, messages=[{"role": "user", "content": [image, result]}], tools=[{"name": "f"}])
    assert (call.message_count, call.tool_count, call.image_count) == (1, 1, 2)


def test_gemini_is_counted_and_its_path_tells_model_and_stream() -> None:
    parts = [{"inlineData": {"mimeType": "image/png", "data": "A"}}, {"inlineData": {"mimeType": "audio/wav"}}]
    body = {
        "contents": [{"role": "user", "parts": parts}],
        "tools": [{"functionDeclarations": [{"name": "f"}, {"name": "g"}]}, {"googleSearch": {}}],
        "generationConfig": {"temperature": 0, "maxOutputTokens": 5, "responseMimeType": "application/json"},
    }
    call = chat.described(chat.admit(body, GEMINI), body, chat.messages_of(body))
    assert (call.message_count, call.tool_count, call.image_count) == (1, 3, 1)
    assert (call.temperature, call.max_tokens, call.wants_json) == (0.0, 5, True)
    told = chat.with_path_facts(call, model="gemini-2.5-pro", raw_path=GEMINI_PATH)
    assert (told.requested_model, told.stream) == ("gemini-2.5-pro", True)
    with pytest.raises(BadRequest):
        chat.with_path_facts(call, model="a\nb", raw_path=GEMINI_PATH)


@pytest.mark.parametrize(
    ("endpoint", "field", "value", "count"),
    [
        (EMBEDDINGS, "input", "x", 1),
        (EMBEDDINGS, "input", ["x", "y"], 2),
        (EMBEDDINGS, "input", [1, 2, 3], 1),
        (EMBEDDINGS, "input", [[1], [2], [3]], 3),
        (EMBEDDINGS, "input", [], 0),
        (COMPLETIONS, "prompt", "x", 1),
        (COMPLETIONS, "prompt", ["x", "y"], 2),
    ],
)
def test_texts_are_counted_as_messages(endpoint: Endpoint, field: str, value: object, count: int) -> None:
    assert admit(endpoint, **{field: value}).message_count == count


@pytest.mark.parametrize(
    "body",
    [
        {"response_format": {"type": "json_object"}},
        {"response_format": {"type": "json_schema", "json_schema": {}}},
        {"text": {"format": {"type": "json_schema"}}},
        {"output_format": {"type": "json_schema"}},
        {"output_config": {"format": {"type": "json_schema"}}},
    ],
)
def test_asking_for_json_is_noticed(body: dict[str, Any]) -> None:
    assert admit(**body).wants_json
    assert not admit(response_format={"type": "text"}).wants_json


def test_a_large_body_is_read_in_one_pass() -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": "x" * 100}]} for _ in range(20_000)]
    body = orjson.dumps({"model": "m", "messages": messages})
    parsed = chat.parse(body)
    assert chat.described(chat.admit(parsed, CHAT), parsed, chat.messages_of(parsed)).message_count == 20_000


FORM = (
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\nRIFF\r\n'
    b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n--b--\r\n'
)


def test_the_model_of_a_form_is_found_where_it_stands_whole() -> None:
    assert chat.model_of_form(FORM) == "whisper-1"
    assert chat.model_of_form(FORM.replace(b"whisper-1", b"CANARY with blanks")) is None
    assert chat.model_of_form(FORM[:-12]) is None
    assert chat.model_of_form(b'{"name": "model"}') is None
