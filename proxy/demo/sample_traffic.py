"""A little traffic as a support product would make it: three users, two prompt versions, tools, and mishaps.

Nothing here knows the proxy but for its address and the headers that an app sends to it.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from random import Random
from typing import Any

import aiohttp
import orjson

USERS = ("user_ada", "user_grace", "user_linus")
PROMPT_NAME = "support_answer"
FLAG = "support-answer-prompt-test"
_PROMPTS = {
    "pv_2026_05_21_001": ("control", "You answer support questions. Be correct and brief."),
    "pv_2026_06_04_003": ("treatment", "You answer support questions. Be warm, name the next step, then stop."),
}
_RESOLVED = {"control": 0.6, "treatment": 0.8}
"""Of the tickets of a variant, this share."""
_QUESTIONS = (
    "Why is my invoice higher this month?",
    "The export of my project never finishes.",
    "How do I move the account to another e-mail address?",
    "Can I get a refund for the second seat?",
)
_CALL_ID = "the-call-that-was-asked-for"
"""In a script, the id of the tool call that the reply before asked for."""
_FIND_ORDER = {
    "type": "function",
    "function": {
        "name": "find_order",
        "description": "Look up an order.",
        "parameters": {"type": "object", "properties": {"order_id": {"type": "string"}}, "required": ["order_id"]},
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleCall:
    """One request. `leaves_early`: the client goes after the first chunk."""

    user: str
    path: str
    body: dict[str, Any]
    headers: dict[str, str]
    leaves_early: bool = False
    outcome: dict[str, Any] | None = None
    """What the product says of the task once the answer is there."""


@dataclass(slots=True)
class Tally:
    """How the calls ended, as the app saw it."""

    answered: int = 0
    refused: int = 0
    left: int = 0


async def run(base_url: str, *, calls: int = 24, seed: int = 1) -> Tally:
    """Make `calls` calls, the users side by side; `base_url` ends in `/v1`, as SDKs have it.

    From 11 calls on every kind is among them. Raises an `ExceptionGroup` of `aiohttp.ClientError` when the proxy
    cannot be reached.
    """
    tally = Tally()
    script = list(script_of(calls=calls, seed=seed))
    async with aiohttp.ClientSession(trust_env=False) as session, asyncio.TaskGroup() as group:
        for user in USERS:
            mine = [call for call in script if call.user == user]
            group.create_task(_make_all(session, base_url, mine, tally))
    return tally


def script_of(*, calls: int, seed: int) -> Iterator[SampleCall]:
    """The calls of one run, in order; the same for the same seed."""
    rng = Random(seed)  # noqa: S311  invention, not secrecy
    people = cycle(_Person(user, version, rng) for user, version in zip(USERS, cycle(_PROMPTS), strict=False))
    kinds = cycle(
        (
            _Person.streamed,
            _Person.plain,
            _Person.agent,
            _Person.messages,
            _Person.embedding,
            _Person.leaving,
            _Person.streamed,
            _Person.responses,
            _Person.failing,
            _Person.streamed,
        )
    )
    stories = (call for person, kind in zip(people, kinds, strict=True) for call in kind(person))
    return islice(stories, calls)


class _Person:
    """One user, on the prompt version that the flag gave her; each method is one thing she does."""

    def __init__(self, user: str, version: str, rng: Random) -> None:
        self._user = user
        self._version = version
        self._variant, self._instructions = _PROMPTS[version]
        self._rng = rng
        self._session_id = f"session_{rng.getrandbits(48):012x}"

    def streamed(self) -> Iterator[SampleCall]:
        yield self._call("chat/completions", self._chat(stream=True), "answer_ticket")

    def plain(self) -> Iterator[SampleCall]:
        yield self._call("chat/completions", self._chat(), "answer_ticket")

    def leaving(self) -> Iterator[SampleCall]:
        yield self._call("chat/completions", self._chat(stream=True), "answer_ticket", leaves_early=True)

    def failing(self) -> Iterator[SampleCall]:
        yield self._call("chat/completions", self._chat() | {"model": "fake-error"}, "answer_ticket")

    def agent(self) -> Iterator[SampleCall]:
        """Two calls of one trace: the model asks for a tool, then gets its result."""
        trace_id = f"trace_{self._rng.getrandbits(64):016x}"
        body = self._chat() | {"tools": [_FIND_ORDER]}
        call = {"id": _CALL_ID, "type": "function", "function": {"name": "find_order", "arguments": '{"order_id":"7"}'}}
        result = [
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": _CALL_ID, "content": '{"status":"shipped"}'},
        ]
        steps = {"plan": body, "answer": body | {"messages": body["messages"] + result, "stream": True}}
        for step, request in steps.items():
            headers = {"X-Trace-Id": trace_id, "X-Agent-Config": "order_agent_v2", "X-Agent-Step": step}
            yield self._call("chat/completions", request, "find_order", headers)

    def responses(self) -> Iterator[SampleCall]:
        body = {"model": "gpt-4.1", "instructions": self._instructions, "input": self._question(), "stream": True}
        yield self._call("responses", body, "answer_ticket")

    def messages(self) -> Iterator[SampleCall]:
        body = {
            "model": "claude-haiku-4-5",
            "max_tokens": 400,
            "system": self._instructions,
            "messages": [{"role": "user", "content": self._question()}],
            "stream": True,
        }
        yield self._call("messages", body, "summarise_ticket", {"anthropic-version": "2023-06-01"})

    def embedding(self) -> Iterator[SampleCall]:
        body = {"model": "text-embedding-3-small", "input": self._question()}
        yield self._call("embeddings", body, "search_articles", {"X-Retrieval-Config": "articles_v3"})

    def _question(self) -> str:
        return self._rng.choice(_QUESTIONS)

    def _chat(self, *, stream: bool = False) -> dict[str, Any]:
        messages = [
            {"role": "system", "content": self._instructions},
            {"role": "user", "content": self._question()},
        ]
        return {"model": "gpt-4.1-mini", "messages": messages} | ({"stream": True} if stream else {})

    def _call(
        self,
        path: str,
        body: dict[str, Any],
        task: str,
        headers: dict[str, str] | None = None,
        *,
        leaves_early: bool = False,
    ) -> SampleCall:
        own = {
            "Authorization": "Bearer sk-demo",
            "X-PostHog-Distinct-Id": self._user,
            "X-PostHog-Session-Id": self._session_id,
            "X-Prompt-Name": PROMPT_NAME,
            "X-Prompt-Version": self._version,
            "X-Feature-Flag": f"{FLAG}={self._variant}",
            "X-Task-Type": task,
        }
        return SampleCall(
            user=self._user,
            path=path,
            body=body,
            headers=own | (headers or {}),
            leaves_early=leaves_early,
            outcome=self._outcome() if task == "answer_ticket" else None,
        )

    def _outcome(self) -> dict[str, Any]:
        is_resolved = self._rng.random() < _RESOLVED[self._variant]
        return {
            "task_completed": is_resolved,
            "escalated_to_human": not is_resolved,
            "user_feedback": "positive" if is_resolved else "negative",
        }


async def _make_all(session: aiohttp.ClientSession, base_url: str, calls: list[SampleCall], tally: Tally) -> None:
    tool_call_id = _CALL_ID
    for call in calls:
        body = orjson.dumps(call.body).replace(_CALL_ID.encode(), tool_call_id.encode())
        headers = call.headers | {"Content-Type": "application/json"}
        async with session.post(f"{base_url}/{call.path}", data=body, headers=headers) as reply:
            if call.leaves_early:
                await reply.content.readany()
                reply.close()
                tally.left += 1
            elif reply.ok:
                tool_call_id = _asked_for(await reply.read()) or tool_call_id
                tally.answered += 1
                await _tell(session, base_url, call, reply.headers.get("X-Trace-Id"))
            else:
                await reply.read()
                tally.refused += 1


def _asked_for(answer: bytes) -> str | None:
    """The id of the tool call in a chat reply that is no stream."""
    try:
        (call,) = orjson.loads(answer)["choices"][0]["message"]["tool_calls"]
    except (ValueError, KeyError, TypeError):
        return None
    found: str = call["id"]
    return found


async def _tell(session: aiohttp.ClientSession, base_url: str, call: SampleCall, trace_id: str | None) -> None:
    """Tell what came of it, where something that knows of traces answered."""
    if call.outcome is None or trace_id is None:
        return
    outcome = call.outcome | {"trace_id": trace_id}
    async with session.post(f"{base_url.removesuffix('/v1')}/analytics/v1/tasks", json=outcome) as answer:
        answer.raise_for_status()
