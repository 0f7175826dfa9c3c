"""The real Anthropic SDK for Python, with nothing changed but its base URL."""

import anthropic
import pytest
from anthropic.types import MessageParam

from tests.harness.call import SCRIPT_HEADER
from tests.harness.provider import ScriptedProvider
from tests.harness.serve import Served
from tests.sdk.conftest import Same
from tests.sdk.replies import fails_once

pytestmark = pytest.mark.asyncio(loop_scope="module")

MODEL = "claude-sonnet-5-5"
HELLO: list[MessageParam] = [{"role": "user", "content": "Hello"}]
WORDS = "word0 word1 word2 word3 word4 word5 word6 word7 "


def client(url: str, script: str | None = None, *, max_retries: int = 0) -> anthropic.AsyncAnthropic:
    headers = {SCRIPT_HEADER: script} if script else {}
    return anthropic.AsyncAnthropic(
        base_url=url, api_key="sk-ant-caller", max_retries=max_retries, default_headers=headers
    )


async def test_messages(same: Same) -> None:
    async def scenario(url: str) -> object:
        async with client(url) as api:
            return (await api.messages.create(model=MODEL, max_tokens=64, messages=HELLO)).model_dump()

    reply = await same(scenario)
    assert isinstance(reply, dict)
    assert reply["content"][0]["text"] == WORDS


async def test_messages_stream(same: Same) -> None:
    async def scenario(url: str) -> object:
        async with client(url) as api, api.messages.stream(model=MODEL, max_tokens=64, messages=HELLO) as stream:
            text = [piece async for piece in stream.text_stream]
            final = await stream.get_final_message()
            return text, final.model_dump()

    found = await same(scenario)
    assert isinstance(found, tuple)
    assert "".join(found[0]) == WORDS
    assert found[1]["usage"]["output_tokens"] == 8


async def test_the_callers_headers_arrive(provider: ScriptedProvider, proxy: Served) -> None:
    async with client(proxy.url) as api:
        await api.messages.create(
            model=MODEL, max_tokens=64, messages=HELLO,
            extra_headers={"anthropic-beta": "scripted-2026", "X-Prompt-Version": "pv_1"},
        )  # fmt: skip
    head = provider.ledger[-1].head
    assert head.get("authorization") == "Bearer sk-ant-caller"
    assert head.get("anthropic-version")
    assert head.get("anthropic-beta") == "scripted-2026"
    assert head.get("x-prompt-version") is None


@pytest.mark.parametrize("status", [400, 429, 529])
async def test_errors_keep_their_class_and_headers(same: Same, status: int) -> None:
    async def scenario(url: str) -> object:
        async with client(url, f"status:{status}") as api:
            with pytest.raises(anthropic.APIStatusError) as caught:
                await api.messages.create(model=MODEL, max_tokens=64, messages=HELLO)
            raised = caught.value
            return type(raised).__name__, raised.status_code, raised.body, raised.response.headers.get("retry-after")

    found = await same(scenario)
    assert isinstance(found, tuple)
    assert found[1] == status


async def test_own_errors_have_the_envelope_that_the_sdk_reads(proxy: Served) -> None:
    async with client(proxy.url) as api:
        with pytest.raises(anthropic.BadRequestError) as caught:
            await api.post("/v1/messages", cast_to=object, content=b'{"model": ')
    body = caught.value.body
    assert isinstance(body, dict)
    assert body["type"] == "error"
    assert body["error"]["type"] == "invalid_request_error"


async def test_the_sdk_retries(provider: ScriptedProvider, same: Same) -> None:
    provider.named["flaky"] = fails_once(529)

    async def scenario(url: str) -> object:
        before = len(provider.ledger)
        async with client(url, "flaky", max_retries=2) as api:
            await api.messages.create(model=MODEL, max_tokens=64, messages=HELLO)
        return [record.head.get("x-stainless-retry-count") for record in provider.ledger[before:]]

    assert await same(scenario) == ["0", "1"]


async def test_closing_a_stream_ends_it_at_the_provider(provider: ScriptedProvider, proxy: Served) -> None:
    async with client(proxy.url, "hang_after:3") as api:
        stream = await api.messages.create(model=MODEL, max_tokens=64, messages=HELLO, stream=True)
        await anext(aiter(stream))
        await stream.close()
        await provider.ledger[-1].wait_closed()
