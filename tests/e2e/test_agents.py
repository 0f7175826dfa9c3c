"""Agents with nothing changed but their base URL, on two workers: their traces and steps as PostHog gets them.

Every call comes on a connection of its own, so the workers share out the calls of each agent.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, closing
from itertools import count
from pathlib import Path
from typing import Any

import anthropic
import apsw
import openai
import orjson

from tests.harness.bed import Bed
from tests.harness.call import SCRIPT_HEADER, Call
from tests.harness.oracle import COMPLETED
from tests.harness.replies import Reply

Json = dict[str, Any]
AGENTS = 4
"""Of each kind, all at once, and all with the same task."""
TASK = "Is it raining in Paris?"
TOOLS: list[Any] = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}]
NO_TIME = "Error: the weather service takes no calls now"
HEADERS = {SCRIPT_HEADER: "model", "Connection": "close"}
EVENT_STREAM = (("Content-Type", "text/event-stream"),)
JSON_BODY = (("Content-Type", "application/json"),)


class Model:
    """Asks for the weather until it is told, then answers; in each dialect, streamed or not."""

    def __init__(self) -> None:
        self._numbers = count()

    async def __call__(self, call: Call) -> None:
        body = orjson.loads(await call.read_body())
        number = next(self._numbers)
        path = call.record.target
        if path.endswith("/responses"):
            await _document(call, self._response(body, number))
        elif path.endswith("/messages"):
            await _document(call, self._message(body, number))
        else:
            await Reply(headers=EVENT_STREAM, pieces=list(self._chat(body, number)))(call)

    def _chat(self, body: Json, number: int) -> Iterator[bytes]:
        last = body["messages"][-1]
        is_told = last["role"] == "tool" and not last["content"].startswith("Error")
        if is_told or (last["role"] == "user" and len(body["messages"]) > 1):
            deltas: list[Json] = [{"content": "No, it "}, {"content": "is dry."}]
        else:
            name = {"name": "get_weather", "arguments": ""}
            deltas = [{"tool_calls": [{"index": 0, "id": f"call_{number:024}", "type": "function", "function": name}]}]
            deltas += [
                {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in ('{"city":', '"Paris"}')
            ]
        for delta in [{"role": "assistant", **deltas[0]}, *deltas[1:], {}]:
            choice = {"index": 0, "delta": delta, "finish_reason": None if delta else "stop"}
            chunk = {"id": f"chatcmpl-{number}", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4.1"}
            yield b"data: " + orjson.dumps({**chunk, "choices": [choice]}) + b"\n\n"
        yield b"data: [DONE]\n\n"

    def _message(self, body: Json, number: int) -> Json:
        is_first = len(body["messages"]) == 1
        use = {"type": "tool_use", "id": f"toolu_{number:024}", "name": "get_weather", "input": {"city": "Paris"}}
        content: list[Json] = [
            {"type": "text", "text": "Let me look." if is_first else "No."},
            *([use] if is_first else []),
        ]
        return {
            "id": f"msg_{number}", "type": "message", "role": "assistant", "model": "claude-sonnet-5-5",
            "content": content, "stop_reason": "tool_use" if is_first else "end_turn",
            "usage": {"input_tokens": 9, "output_tokens": 5},
        }  # fmt: skip

    def _response(self, body: Json, number: int) -> Json:
        item: Json = {
            "type": "function_call",
            "id": f"fc_{number}",
            "call_id": f"call_{number:024}",
            "name": "get_weather",
        }
        text = {"type": "output_text", "text": "No.", "annotations": []}
        message = {
            "type": "message",
            "id": f"m_{number}",
            "role": "assistant",
            "status": "completed",
            "content": [text],
        }
        output = [message] if "previous_response_id" in body else [{**item, "arguments": "{}", "status": "completed"}]
        return {
            "id": f"resp_{number:024}", "object": "response", "created_at": 1, "model": "gpt-5", "status": "completed",
            "output": output, "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
        }  # fmt: skip


async def _document(call: Call, document: Json) -> None:
    await Reply(headers=JSON_BODY, pieces=[orjson.dumps(document)])(call)


@asynccontextmanager
async def clients(url: str) -> AsyncIterator[tuple[openai.AsyncOpenAI, anthropic.AsyncAnthropic]]:
    async with (
        openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="sk-agents", default_headers=HEADERS) as gpt,
        anthropic.AsyncAnthropic(base_url=url, api_key="sk-ant-agents", default_headers=HEADERS) as claude,
    ):
        yield gpt, claude


async def chat_agent(api: openai.AsyncOpenAI, *asked: Any) -> list[Any]:
    """The loop of every framework over chat completions: ask, run what is asked for, ask again."""
    messages = list(asked)
    results = iter([NO_TIME, "dry"])
    while messages[-1]["role"] != "assistant" or messages[-1].get("tool_calls"):
        async with api.chat.completions.stream(model="gpt-4.1", messages=messages, tools=TOOLS) as stream:
            message = (await stream.get_final_completion()).choices[0].message
        messages.append(message.model_dump(exclude_none=True))
        calls = [call.id for call in message.tool_calls or []]
        messages += [{"role": "tool", "tool_call_id": call_id, "content": next(results)} for call_id in calls]
    return messages


async def claude_agent(api: anthropic.AsyncAnthropic) -> None:
    messages: list[Any] = [{"role": "user", "content": TASK}]
    for _ in range(2):
        message = await api.messages.create(model="claude-sonnet-5-5", max_tokens=64, messages=messages)
        uses = [block.id for block in message.content if block.type == "tool_use"]
        failed = [{"type": "tool_result", "tool_use_id": use, "is_error": True, "content": "?"} for use in uses]
        messages += [{"role": "assistant", "content": message.content}, {"role": "user", "content": failed}]


async def responses_agent(api: openai.AsyncOpenAI) -> None:
    first = await api.responses.create(model="gpt-5", input=TASK)
    call_id = first.output[0].call_id  # type: ignore[union-attr]
    result: Any = {"type": "function_call_output", "call_id": call_id, "output": '{"rain": false}'}
    await api.responses.create(model="gpt-5", input=[result], previous_response_id=first.id)


def workers_of_traces(data: Path) -> Mapping[str, set[str]]:
    """By trace, the journal files that have calls of it."""
    found: dict[str, set[str]] = {}
    for path in sorted(data.glob("journal-*.db")):
        with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
            for (trace_id,) in connection.execute("SELECT trace_id FROM exchange"):
                found.setdefault(trace_id, set()).add(path.name)
    return found


async def test_agents_are_understood_across_workers_and_restarts(tmp_path: Path) -> None:
    async with Bed(tmp_path, arguments=("--workers", "2")) as bed:
        bed.provider.named["model"] = Model()
        async with clients(bed.served.url) as (gpt, claude), asyncio.TaskGroup() as group:
            chats = [group.create_task(chat_agent(gpt, {"role": "user", "content": TASK})) for _ in range(AGENTS)]
            for _ in range(AGENTS):
                group.create_task(claude_agent(claude))
                group.create_task(responses_agent(gpt))
        assert await bed.served.terminate() == 0
        await bed.served.start()
        async with clients(bed.served.url) as (gpt, _):
            await chat_agent(gpt, *chats[0].result(), {"role": "user", "content": "And in Rome?"})
        assert await bed.served.terminate() == 0
        events = bed.posthog.delivered
        traces = workers_of_traces(bed.served.data)
    ends = [event["properties"] for event in events if event["event"] == COMPLETED]
    of_kind = {kind: [end for end in ends if end["endpoint"] == kind] for kind in ("chat", "messages", "responses")}
    assert {kind: len(found) for kind, found in of_kind.items()} == {
        "chat": 3 * AGENTS + 1, "messages": 2 * AGENTS, "responses": 2 * AGENTS,
    }  # fmt: skip
    sources = {kind: sorted({end["trace_source"] for end in found}) for kind, found in of_kind.items()}
    assert sources == {
        "chat": ["new", "tool_call"], "messages": ["new", "tool_call"], "responses": ["new", "response"],
    }  # fmt: skip
    assert len({end["trace_id"] for end in ends}) == 3 * AGENTS
    assert any(len(files) > 1 for files in traces.values()), "no agent was served by both workers"
    _check_steps([event["properties"] for event in events if event["event"] == "llm_agent_step"])
    uuids = [event["uuid"] for event in events if event["event"] == "$ai_span"]
    assert len(uuids) == len(set(uuids)) == 4 * AGENTS


def _check_steps(steps: list[Json]) -> None:
    told = [
        (step["endpoint"], step["step_index"], step["retry_count"], step["step_status"], step["step_status_source"])
        for step in steps
    ]
    expected = [
        ("chat", 1, 0, "error", "heuristic"),
        ("chat", 2, 1, "success", "heuristic"),
        ("messages", 1, 0, "error", "provider"),
        ("responses", 1, 0, "success", "heuristic"),
    ]
    assert sorted(told) == sorted(expected * AGENTS)
    assert {step["tool_name"] for step in steps} == {"get_weather"}
