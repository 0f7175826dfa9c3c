"""The real OpenAI SDK for Node: every scenario of `node/scenarios.mjs`, straight and through the proxy."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.harness.provider import ScriptedProvider
from tests.harness.serve import Served
from tests.sdk.replies import ARGUMENTS, fails_once, tool_stream

pytestmark = pytest.mark.asyncio(loop_scope="module")

WORDS = "word0 word1 word2 word3 word4 word5 word6 word7 "
Seen = dict[str, Any]


async def scenarios(folder: Path, url: str) -> Seen:
    process = await asyncio.create_subprocess_exec(
        "node", "scenarios.mjs", f"{url}/v1", cwd=folder, stdout=asyncio.subprocess.PIPE
    )
    stdout, _ = await process.communicate()
    assert process.returncode == 0
    seen: Seen = json.loads(stdout)
    return seen


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def through(node_folder: Path, provider: ScriptedProvider, proxy: Served) -> Seen:
    """What was seen through the proxy; equal to what was seen without it."""
    provider.named.update(tools=tool_stream(), flaky=fails_once(429))
    directly = await scenarios(node_folder, provider.url)
    through = await scenarios(node_folder, proxy.url)
    assert through == directly
    return through


def content(chunks: list[Seen]) -> str:
    return "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks if chunk["choices"])


async def test_chat(through: Seen) -> None:
    assert through["chat"]["choices"][0]["message"]["content"] == WORDS


async def test_chat_streams(through: Seen) -> None:
    assert content(through["chatStream"]) == content(through["chatStreamWithUsage"]) == WORDS
    assert not any("usage" in chunk for chunk in through["chatStream"])
    assert through["chatStreamWithUsage"][-1]["usage"]["completion_tokens"] == 8


async def test_tools(through: Seen) -> None:
    assert through["tools"][0]["function"]["arguments"] == ARGUMENTS


async def test_completions_responses_and_embeddings(through: Seen) -> None:
    assert through["completions"]["choices"][0]["text"] == WORDS
    assert through["responses"] == WORDS
    assert through["responsesStream"][-1]["type"] == "response.completed"
    assert through["embeddings"] == [0.25, -0.5, 0.125]


async def test_errors(through: Seen) -> None:
    assert (through["badRequest"]["name"], through["badRequest"]["status"]) == ("BadRequestError", 400)
    assert (through["rateLimit"]["name"], through["rateLimit"]["retryAfterMs"]) == ("RateLimitError", "7000")


async def test_retries(through: Seen) -> None:
    assert through["retries"] == WORDS


async def test_cancellation_ends_the_call_at_the_provider(through: Seen, provider: ScriptedProvider) -> None:
    assert through["cancellation"]["seen"] == 2
    await provider.ledger[-1].wait_closed()
