import asyncio
import json

import anthropic
import openai
import pytest
from aiohttp import ClientConnectionResetError, web
from aiohttp.test_utils import TestClient, TestServer

from proxy.demo import fake_provider
from proxy.demo.answers import tokens_of

TOOL_SCHEMA = {
    "type": "object",
    "properties": {"order": {"type": "string"}, "count": {"type": "integer"}, "unit": {"enum": ["day", "week"]}},
}
ARGUMENTS = {"order": "some order", "count": 3, "unit": "day"}
HELLO = [{"role": "user", "content": "Where is my order?"}]


@pytest.fixture
async def server():
    async with TestServer(fake_provider.build(token_s=0)) as server:
        yield server


@pytest.fixture
async def client(server):
    async with TestClient(server) as client:
        yield client


@pytest.fixture
async def openai_sdk(server):
    async with openai.AsyncOpenAI(base_url=str(server.make_url("/v1")), api_key="sk-demo", max_retries=0) as sdk:
        yield sdk


@pytest.fixture
async def anthropic_sdk(server):
    async with anthropic.AsyncAnthropic(base_url=str(server.make_url("")), api_key="sk-demo", max_retries=0) as sdk:
        yield sdk


async def test_chat(openai_sdk):
    reply = await openai_sdk.chat.completions.create(model="gpt-4.1-mini", messages=HELLO)
    words = reply.choices[0].message.content
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage.completion_tokens == len(tokens_of(words))
    assert reply.usage.prompt_tokens == 5 + 4
    assert reply._request_id.startswith("req_")


async def test_chat_stream_with_and_without_usage(openai_sdk):
    for asks in (True, False):
        options = {"stream_options": {"include_usage": True}} if asks else {}
        stream = await openai_sdk.chat.completions.create(model="gpt-4.1", messages=HELLO, stream=True, **options)
        chunks = [chunk async for chunk in stream]
        words = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        usages = [chunk.usage for chunk in chunks if chunk.usage]
        assert words
        assert [usage.completion_tokens for usage in usages] == [len(tokens_of(words))] * asks


async def test_chat_stream_is_framed_as_the_real_one(client):
    body = {"model": "gpt-4.1", "messages": HELLO, "stream": True, "stream_options": {"include_usage": True}}
    reply = await client.post("/v1/chat/completions", json=body)
    assert reply.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    *events, done, rest = (await reply.read()).split(b"\n\n")
    assert (done, rest) == (b"data: [DONE]", b"")
    chunks = [json.loads(event.removeprefix(b"data: ")) for event in events]
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    assert chunks[-1]["choices"] == []
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("stream", [True, False])
async def test_chat_tools(openai_sdk, stream):
    tools = [{"type": "function", "function": {"name": "find_order", "parameters": TOOL_SCHEMA}}]
    if stream:
        async with openai_sdk.chat.completions.stream(model="gpt-4.1", messages=HELLO, tools=tools) as events:
            reply = await events.get_final_completion()
    else:
        reply = await openai_sdk.chat.completions.create(model="gpt-4.1", messages=HELLO, tools=tools)
    call = reply.choices[0].message.tool_calls[0]
    assert (call.function.name, json.loads(call.function.arguments)) == ("find_order", ARGUMENTS)
    assert reply.choices[0].finish_reason == "tool_calls"
    result = {"role": "tool", "tool_call_id": call.id, "content": "shipped"}
    messages = [*HELLO, {"role": "assistant", "tool_calls": [call.model_dump()]}, result]
    after = await openai_sdk.chat.completions.create(model="gpt-4.1", messages=messages, tools=tools)
    assert after.choices[0].finish_reason == "stop"


async def test_max_tokens_cuts(openai_sdk):
    reply = await openai_sdk.chat.completions.create(model="gpt-4.1", messages=HELLO, max_completion_tokens=3)
    assert (reply.choices[0].finish_reason, reply.usage.completion_tokens) == ("length", 3)


async def test_json_where_it_is_asked_for(openai_sdk):
    reply = await openai_sdk.chat.completions.create(
        model="gpt-4.1", messages=HELLO, response_format={"type": "json_object"}
    )
    assert json.loads(reply.choices[0].message.content).keys() == {"answer"}


async def test_completions(openai_sdk):
    plain = await openai_sdk.completions.create(model="gpt-4.1-mini", prompt="Once upon")
    assert plain.usage.prompt_tokens == 2
    stream = await openai_sdk.completions.create(
        model="gpt-4.1-mini", prompt="Once upon", stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    words = "".join(chunk.choices[0].text for chunk in chunks if chunk.choices)
    assert chunks[-1].usage.completion_tokens == len(tokens_of(words))


async def test_responses(openai_sdk):
    plain = await openai_sdk.responses.create(model="gpt-4.1", instructions="Be brief.", input="Hello")
    assert (plain.status, plain.usage.output_tokens) == ("completed", len(tokens_of(plain.output_text)))
    async with openai_sdk.responses.stream(model="gpt-4.1", input="Hello") as events:
        numbers = [event.sequence_number async for event in events]
        final = await events.get_final_response()
    assert numbers == list(range(len(numbers)))
    assert final.usage.output_tokens == len(tokens_of(final.output_text))


async def test_responses_tools_and_cut(openai_sdk):
    tools = [{"type": "function", "name": "find_order", "parameters": TOOL_SCHEMA, "strict": False}]
    async with openai_sdk.responses.stream(model="gpt-4.1", input="Hello", tools=tools) as events:
        final = await events.get_final_response()
    assert json.loads(final.output[0].arguments) == ARGUMENTS
    cut = await openai_sdk.responses.create(model="gpt-4.1", input="Hello", max_output_tokens=16)
    assert (cut.status, cut.incomplete_details.reason) == ("incomplete", "max_output_tokens")


@pytest.mark.parametrize("encoding", ["float", "base64"])
async def test_embeddings(openai_sdk, encoding):
    reply = await openai_sdk.embeddings.create(
        model="text-embedding-3-small", input=["one two", "three"], encoding_format=encoding
    )
    assert len(reply.data) == 2
    assert reply.usage.prompt_tokens == 3


async def test_embeddings_of_an_sdk_that_chooses_the_encoding_itself(openai_sdk):
    reply = await openai_sdk.embeddings.create(model="text-embedding-3-small", input="one")
    assert len(reply.data[0].embedding) == fake_provider.EMBEDDING_DIMENSIONS


async def test_models(openai_sdk):
    names = [model.id async for model in openai_sdk.models.list()]
    assert "gpt-4.1-mini" in names
    assert (await openai_sdk.models.retrieve("gpt-4.1")).id == "gpt-4.1"


async def test_anthropic_messages(anthropic_sdk):
    asked = {"model": "claude-haiku-4-5", "max_tokens": 500, "messages": HELLO, "system": "Be brief."}
    plain = await anthropic_sdk.messages.create(**asked)
    assert plain.stop_reason == "end_turn"
    assert plain.usage.output_tokens == len(tokens_of(plain.content[0].text))
    async with anthropic_sdk.messages.stream(**asked) as events:
        final = await events.get_final_message()
    assert final.usage.output_tokens == len(tokens_of(final.content[0].text))
    counted = await anthropic_sdk.messages.count_tokens(model="claude-haiku-4-5", messages=HELLO, system="Be brief.")
    assert counted.input_tokens == plain.usage.input_tokens == final.usage.input_tokens


async def test_anthropic_tools(anthropic_sdk):
    tools = [{"name": "find_order", "input_schema": TOOL_SCHEMA}]
    asked = {"model": "claude-haiku-4-5", "max_tokens": 500, "tools": tools}
    plain = await anthropic_sdk.messages.create(messages=HELLO, **asked)
    async with anthropic_sdk.messages.stream(messages=HELLO, **asked) as events:
        final = await events.get_final_message()
    assert plain.content[0].input == final.content[0].input == ARGUMENTS
    assert plain.stop_reason == final.stop_reason == "tool_use"
    result = {"type": "tool_result", "tool_use_id": plain.content[0].id, "content": "shipped"}
    messages = [*HELLO, {"role": "assistant", "content": plain.content}, {"role": "user", "content": [result]}]
    assert (await anthropic_sdk.messages.create(messages=messages, **asked)).stop_reason == "end_turn"


async def test_errors_take_turns_in_both_dialects(openai_sdk, anthropic_sdk):
    with pytest.raises(openai.RateLimitError):
        await openai_sdk.chat.completions.create(model="fake-error", messages=HELLO)
    with pytest.raises(openai.InternalServerError):
        await openai_sdk.chat.completions.create(model="fake-error", messages=HELLO, stream=True)
    with pytest.raises(anthropic.RateLimitError):
        await anthropic_sdk.messages.create(model="fake-error", messages=HELLO, max_tokens=9)


async def test_what_is_not_json_is_refused(client):
    for data in (b"{", b"[]", b"\xff"):
        reply = await client.post("/v1/chat/completions", data=data)
        assert reply.status == 400
        assert (await reply.json())["error"]["type"] == "invalid_request_error"


async def test_the_same_seed_answers_alike():
    async def said(seed):
        async with TestClient(TestServer(fake_provider.build(token_s=0, seed=seed))) as client:
            reply = await client.post("/v1/chat/completions", json={"model": "gpt-4.1", "messages": HELLO})
            return (await reply.json())["choices"][0]["message"]["content"]

    assert await said(1) == await said(1) != await said(2)


async def test_pace_and_slowness(monkeypatch):
    slept: list[float] = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    async with TestClient(TestServer(fake_provider.build(token_s=0.03))) as client:
        for model in ("gpt-4.1", "fake-slow"):
            slept.clear()
            body = {"model": model, "messages": HELLO, "stream": True}
            await (await client.post("/v1/chat/completions", json=body)).read()
            assert len({round(pause, 9) for pause in slept}) > 10
            factor = 10 if model == "fake-slow" else 1
            assert all(0.02 * factor <= pause <= 0.04 * factor for pause in slept[1:])


async def test_a_client_that_leaves_is_no_error(client, monkeypatch, caplog):
    async def broken_write(self, data):
        raise ClientConnectionResetError

    monkeypatch.setattr(web.StreamResponse, "write", broken_write)
    reply = await client.post("/v1/chat/completions", json={"model": "gpt-4.1", "messages": HELLO, "stream": True})
    assert await reply.read() == b""
    assert not caplog.records
