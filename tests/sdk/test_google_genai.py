"""The real Google GenAI SDK: its dialect passes through, with the colon and the query string of its paths."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from google import genai
from google.genai import errors, types

from tests.harness.call import SCRIPT_HEADER
from tests.harness.provider import ScriptedProvider
from tests.sdk.conftest import Same
from tests.sdk.replies import gemini

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    # the SDK's own doing; it has no other class to offer
    pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning"),
]

MODEL = "gemini-2.5-flash"


@asynccontextmanager
async def client(url: str, script: str = "gemini") -> AsyncIterator[genai.client.AsyncClient]:
    options = types.HttpOptions(base_url=url, headers={SCRIPT_HEADER: script})
    api = genai.Client(api_key="goog-caller", http_options=options)
    try:
        yield api.aio
    finally:
        await api.aio.aclose()
        api.close()


async def test_generate_content(provider: ScriptedProvider, same: Same) -> None:
    provider.named["gemini"] = gemini

    async def scenario(url: str) -> object:
        async with client(url) as api:
            text = (await api.models.generate_content(model=MODEL, contents="Hello")).text
        record = provider.ledger[-1]
        return text, record.target, record.head.get("x-goog-api-key")

    found = await same(scenario)
    assert isinstance(found, tuple)
    assert (found[0], found[2]) == ("Guten Tag", "goog-caller")
    assert found[1].endswith(f"/models/{MODEL}:generateContent")


async def test_generate_content_stream(provider: ScriptedProvider, same: Same) -> None:
    provider.named["gemini"] = gemini

    async def scenario(url: str) -> object:
        async with client(url) as api:
            stream = await api.models.generate_content_stream(model=MODEL, contents="Hello")
            text = [chunk.text async for chunk in stream]
        return text, provider.ledger[-1].target

    found = await same(scenario)
    assert isinstance(found, tuple)
    assert found[0] == ["Guten Tag", "Guten Tag"]
    assert found[1].endswith(f"/models/{MODEL}:streamGenerateContent?alt=sse")


async def test_errors(same: Same) -> None:
    async def scenario(url: str) -> object:
        async with client(url, "status:400") as api:
            with pytest.raises(errors.ClientError) as caught:
                await api.models.generate_content(model=MODEL, contents="Hello")
        return caught.value.code, caught.value.details

    found = await same(scenario)
    assert isinstance(found, tuple)
    assert found[0] == 400
