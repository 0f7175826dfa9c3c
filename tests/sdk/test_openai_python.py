"""The real OpenAI SDK for Python, as the README uses it."""

import json

import httpx2
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionStreamOptionsParam

from tests.harness.call import SCRIPT_HEADER
from tests.harness.provider import ScriptedProvider
from tests.harness.serve import Served
from tests.sdk.conftest import Same
from tests.sdk.replies import ARGUMENTS, fails_once, tool_stream

pytestmark = pytest.mark.asyncio(loop_scope="module")

MODEL = "gpt-4.1-mini"
HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello"}]
WORDS = "word0 word1 word2 word3 word4 word5 word6 word7 "


def client(url: str, script: str | None = None, *, max_retries: int = 0) -> openai.AsyncOpenAI:
    headers = {"X-Prompt-Version": "pv_1", **({SCRIPT_HEADER: script} if script else {})}
    return openai.AsyncOpenAI(
        base_url=f"{url}/v1", api_key="sk-caller", max_retries=max_retries, default_headers=headers
    )


async def test_chat(same: Same) -> None:
    async def scenario(url: str) -> object:
        async with client(url) as api:
            return (await api.chat.completions.create(model=MODEL, messages=HELLO)).model_dump()

    reply = await same(scenario)
    assert isinstance(reply, dict)
    assert reply["choices"][0]["message"]["content"] == WORDS


@pytest.mark.parametrize("asks", [True, False])
async def test_chat_stream_is_what_was_asked_for(same: Same, asks: bool) -> None:
    """The usage chunk is seen by who asked for it, and by nobody else, also where the proxy asked."""

    async def scenario(url: str) -> object:
        options: ChatCompletionStreamOptionsParam | openai.Omit = {"include_usage": True} if asks else openai.omit
        async with client(url) as api:
            stream = await api.chat.completions.create(model=MODEL, messages=HELLO, stream=True, stream_options=options)
            return [chunk.model_dump() async for chunk in stream]

    chunks = await same(scenario)
    assert isinstance(chunks, list)
    assert "".join(c["choices"][0]["delta"]["content"] or "" for c in chunks if c["choices"]) == WORDS
    assert [c["usage"]["completion_tokens"] for c in chunks if c["usage"]] == ([8] if asks else [])


async def test_chat_stream_without_asking_is_metered(provider: ScriptedProvider, proxy: Served) -> None:
    async with client(proxy.url) as api:
        async for _ in await api.chat.completions.create(model=MODEL, messages=HELLO, stream=True):
            pass
    assert json.loads(provider.ledger[-1].body)["stream_options"] == {"include_usage": True}


async def test_tools_in_a_stream(provider: ScriptedProvider, same: Same) -> None:
    provider.named["tools"] = tool_stream()

    async def scenario(url: str) -> object:
        async with client(url, "tools") as api, api.chat.completions.stream(model=MODEL, messages=HELLO) as stream:
            final = await stream.get_final_completion()
            return final.model_dump()

    reply = await same(scenario)
    assert isinstance(reply, dict)
    call = reply["choices"][0]["message"]["tool_calls"][0]
    assert (call["function"]["name"], call["function"]["arguments"]) == ("weather", ARGUMENTS)


async def test_completions(same: Same) -> None:
    async def scenario(url: str) -> object:
        async with client(url) as api:
            return (await api.completions.create(model=MODEL, prompt="Hello")).model_dump()

    reply = await same(scenario)
    assert isinstance(reply, dict)
    assert reply["choices"][0]["text"] == WORDS


async def test_responses(same: Same) -> None:
    async def scenario(url: str) -> object:
        async with client(url) as api:
            return (await api.responses.create(model=MODEL, input="Hello")).output_text

    assert await same(scenario) == WORDS


async def test_responses_stream(same: Same) -> None:
    async def scenario(url: str) -> object:
        async with client(url) as api:
            stream = await api.responses.create(model=MODEL, input="Hello", stream=True)
            return [event.model_dump() async for event in stream]

    events = await same(scenario)
    assert isinstance(events, list)
    assert "".join(event.get("delta", "") for event in events) == WORDS
    assert events[-1]["type"] == "response.completed"


async def test_embeddings(same: Same) -> None:
    async def scenario(url: str) -> object:
        async with client(url) as api:
            reply = await api.embeddings.create(model="text-embedding-3-small", input="Hello", encoding_format="float")
            return reply.data[0].embedding

    assert await same(scenario) == [0.25, -0.5, 0.125]


async def test_models(same: Same) -> None:
    async def scenario(url: str) -> object:
        async with client(url) as api:
            return [model.id async for model in api.models.list()]

    assert await same(scenario) == [MODEL]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
    ],
)
async def test_errors_keep_their_class_body_and_headers(
    same: Same, status: int, error: type[openai.APIStatusError]
) -> None:
    kept = ("retry-after", "retry-after-ms", "x-ratelimit-remaining-requests", "openai-processing-ms")

    async def scenario(url: str) -> object:
        async with client(url, f"status:{status}") as api:
            with pytest.raises(error) as caught:
                await api.chat.completions.create(model=MODEL, messages=HELLO)
            raised = caught.value
            return raised.status_code, raised.body, raised.request_id, [raised.response.headers.get(k) for k in kept]

    found = await same(scenario)
    assert isinstance(found, tuple)
    assert found[2] == f"req_error_{status}"
    assert (found[3][1] == "7000") == (status == 429)


async def test_own_errors_have_the_envelope_that_the_sdk_reads(proxy: Served) -> None:
    async with client(proxy.url) as api:
        with pytest.raises(openai.BadRequestError) as caught:
            await api.post("/chat/completions", cast_to=object, content=b'{"model": ')
    body = caught.value.body
    assert isinstance(body, dict)
    assert body["type"] == "invalid_request_error"
    assert body["incident_id"].startswith("inc_")
    assert caught.value.code == body["code"]


@pytest.mark.parametrize("status", [429, 500])
async def test_the_sdk_retries_and_the_proxy_does_not(provider: ScriptedProvider, same: Same, status: int) -> None:
    provider.named["flaky"] = fails_once(status)

    async def scenario(url: str) -> object:
        before = len(provider.ledger)
        async with client(url, "flaky", max_retries=2) as api:
            reply = await api.chat.completions.create(model=MODEL, messages=HELLO)
        tries = [record.head.get("x-stainless-retry-count") for record in provider.ledger[before:]]
        return reply.choices[0].message.content, tries

    assert await same(scenario) == (WORDS, ["0", "1"])


async def test_closing_a_stream_ends_it_at_the_provider(provider: ScriptedProvider, proxy: Served) -> None:
    async with client(proxy.url, "hang_after:3") as api:
        stream = await api.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
        await anext(aiter(stream))
        await stream.close()
        await provider.ledger[-1].wait_closed()


async def test_a_broken_stream_is_not_a_clean_end(same: Same) -> None:
    async def scenario(url: str) -> object:
        async with client(url, "reset_after:5") as api:
            stream = await api.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
            try:
                async for _ in stream:
                    pass
            except (openai.APIError, httpx2.TransportError):  # the SDK lets its HTTP library's own error out
                return "broken"
        return "clean"

    assert await same(scenario) == "broken"
