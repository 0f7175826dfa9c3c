"""The whole bed: a scripted provider, a scripted PostHog, and the real server between them.

What a test asks of it is mostly `outcome`: make one call, wait until its events have been delivered, and look at what
the caller, the provider and PostHog each saw.
"""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import orjson

from tests.harness.call import Record
from tests.harness.client import ClientCall, LoadClient, Plan
from tests.harness.oracle import AI_FAMILY, COMPLETED, FAILED, STARTED, Event
from tests.harness.posthog import ScriptedPostHog
from tests.harness.provider import ScriptedProvider
from tests.harness.serve import Served, posthog_environment, upstream_environment

ENDS = (COMPLETED, FAILED)
MODEL = "gpt-4.1-mini"
UPSTREAM_CLIENTS = ("native", "aiohttp")
"""What goes through the HTTP client to providers is tested with both."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One call, from all sides."""

    call: ClientCall
    attempts: Sequence[Record]
    events: Sequence[Event]

    @property
    def end(self) -> Mapping[str, Any]:
        """The properties of its one end."""
        (event,) = (event for event in self.events if event["event"] in ENDS)
        properties: Mapping[str, Any] = event["properties"]
        return properties

    @property
    def fate(self) -> tuple[str | None, str | None, str | None]:
        """Status, error type and failed phase."""
        end = self.end
        return end["status"], end.get("error_type"), end.get("failed_phase")

    @property
    def generations(self) -> list[Event]:
        return [event for event in self.events if event["event"] in AI_FAMILY]

    @property
    def starts(self) -> list[Event]:
        return [event for event in self.events if event["event"] == STARTED]


class Bed:
    """`async with Bed(folder) as bed:`. Without `routing`, all dialects go to the provider by pass-through."""

    def __init__(
        self,
        folder: Path,
        *,
        routing: Any = None,
        analytics: Any = None,
        environment: Mapping[str, str] | None = None,
        arguments: tuple[str, ...] = (),
        upstream_client: str = "native",
    ) -> None:
        self.provider = ScriptedProvider()
        self.posthog = ScriptedPostHog()
        self.served: Served
        self.client: LoadClient
        self._folder = folder
        self._routing = routing
        self._analytics = analytics
        self._environment = dict(environment or {})
        self._arguments = arguments
        self._upstream_client = upstream_client
        self._stack: AsyncExitStack

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.provider)
            await stack.enter_async_context(self.posthog)
            self.served = await stack.enter_async_context(self._serve())
            self.client = LoadClient(port=self.served.port, provider_saw=self.provider.wait_for_call)
            await stack.enter_async_context(self.client)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        await self._stack.__aexit__(*exc_info)

    def _serve(self) -> Served:
        provider_url, posthog_url = self.provider.url, self.posthog.url
        return Served(
            self._folder,
            {**upstream_environment(provider_url), **posthog_environment(posthog_url), **self._environment},
            routing=self._written_routing(provider_url),
            analytics=self._analytics,
            arguments=self._arguments,
        )

    def _written_routing(self, provider_url: str) -> Any:
        routing = self._routing(provider_url) if callable(self._routing) else self._routing
        if self._upstream_client == "native":
            return routing  # as nobody has to say
        return {**(routing or {"version": 1}), "upstream_client": self._upstream_client}

    async def outcome(self, plan: Plan) -> Outcome:
        """Make the call and wait for its end to be delivered."""
        call = await self.client.call(plan)
        return Outcome(call, self.provider.of_call(call.call_id), await self.events_of(call.call_id))

    async def events_of(self, call_id: str) -> list[Event]:
        """The call's events, once its end and the events written with it have been delivered."""
        return await self.posthog.wait_for_end(call_id)


def chat(*, stream: bool = False, model: str = MODEL, **fields: object) -> bytes:
    """The body of a chat call."""
    messages = [{"role": "user", "content": "hello"}]
    return orjson.dumps({"model": model, "messages": messages, **({"stream": True} if stream else {}), **fields})


def message(*, stream: bool = False) -> bytes:
    """The body of an Anthropic call."""
    body = {"model": "claude-sonnet-4-5", "max_tokens": 100, "messages": [{"role": "user", "content": "hello"}]}
    return orjson.dumps({**body, **({"stream": True} if stream else {})})
