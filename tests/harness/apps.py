"""Apps as others write them: nothing in here knows of a proxy, and all that is set for it are environment variables.

An app finds its provider, its key and its model in the environment, as the SDKs and the agents framework do by
themselves. What it says to its model, and what its tool says, is given to it.
"""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import anthropic
import openai
from agents import Agent, ModelSettings, RunConfig, Runner, function_tool
from agents.models.multi_provider import MultiProvider

MODEL = "APP_MODEL"
"""The setting of the chat app that names its model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What the user asks, what the app's own instructions are, and what its tool finds."""

    instructions: str
    question: str
    found: str


async def chat(words: Words, users: Sequence[str]) -> list[str | None]:
    """An answer of a chat app for each of its users, all at once."""
    async with openai.AsyncOpenAI() as api:

        async def answer(user: str) -> str | None:
            reply = await api.chat.completions.create(
                model=os.environ[MODEL],
                messages=[
                    {"role": "system", "content": words.instructions},
                    {"role": "user", "content": words.question},
                ],
                safety_identifier=user,
            )
            return reply.choices[0].message.content

        return await asyncio.gather(*map(answer, users))


async def claude(words: Words, users: Sequence[str]) -> list[str]:
    """A streamed answer of an app that uses another SDK for each of its users."""
    async with anthropic.AsyncAnthropic() as api:

        async def answer(user: str) -> str:
            async with api.messages.stream(
                model="claude-sonnet-5-5",
                max_tokens=64,
                system=words.instructions,
                messages=[{"role": "user", "content": words.question}],
                metadata={"user_id": user},
            ) as stream:
                return await stream.get_final_text()

        return await asyncio.gather(*map(answer, users))


async def agent(words: Words, user: str) -> list[str]:
    """Two questions to an agent with a tool; the second answer is streamed."""

    @function_tool
    def find_order(number: str) -> str:
        """Find an order."""
        return f"{words.found} {number}"

    helper = Agent(
        name="helper",
        instructions=words.instructions,
        tools=[find_order],
        model_settings=ModelSettings(extra_args={"safety_identifier": user}),
    )
    provider = MultiProvider()  # as the framework makes it, kept here so that it can be closed
    settings = RunConfig(model_provider=provider)
    first = await Runner.run(helper, words.question, run_config=settings)
    asked: list[Any] = [*first.to_input_list(), {"role": "user", "content": words.question}]
    second = Runner.run_streamed(helper, asked, run_config=settings)
    async for _ in second.stream_events():
        pass
    await provider.aclose()
    return [str(first.final_output), str(second.final_output)]
