"""One month through the real proxy: a provider whose answers depend on the version, people who write in, and outcomes
that are told. The month is as long as the calls take; a day is a round of calls, and the guardrails are looked at
after each.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from aiohttp import web

from tools.simulate.month import CONTROL, FLAG, TREATMENT, Month, Truth, month

MODEL = "gpt-4.1-mini"
AT_ONCE = 16
OUTCOMES_AT_ONCE = 100
USD_PER_TOKEN = 1e-5
_PROMPTS = f"""\
version: 1
prompts:
  {FLAG}:
    default: {CONTROL}
    split: {{{CONTROL}: 50, {TREATMENT}: 50}}
    versions:
      {CONTROL}: {{system: Answer briefly.}}
      {TREATMENT}: {{system: Answer kindly.}}
    experiment:
      primary: {{event: support_ticket_closed, property: resolved, goal: increase}}
      guardrails:
        - {{metric: escalated_to_human, max_increase: 0.02}}
        - {{metric: latency_ms, quantile: 0.95, max: 60000}}
        - {{metric: cost_per_task_usd, max: 0.03}}
      on_breach: stop
      check_every_s: 3600
"""
_PRICING = f"""\
version: 1
models:
  - match: {{model: {MODEL}}}
    prices: [{{from: 2020-01-01, input_usd_per_mtok: 0, output_usd_per_mtok: 10}}]
"""
_FILES = {
    "config/prompts.yaml": _PROMPTS,
    "config/analytics.yaml": "version: 1\nproperties: {allow: [resolved]}\n",
    "pricing.yaml": _PRICING,
}
_LISTENING = re.compile(r"listening on (http://\S+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """The last report, and the day on which a guardrail stopped it, counted from 1."""

    report: Mapping[str, Any]
    stopped: int | None
    calls: int


async def run(folder: Path, simulated: Month, days: int) -> Ran:
    """Let the month pass in an empty folder, until it is over or a guardrail stops it."""
    for name, text in _FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    calls, stopped = 0, None
    async with (
        _provider(simulated) as provider,
        _proxy(folder, provider) as proxy,
        aiohttp.ClientSession(proxy) as session,
    ):
        for day in range(days):
            tickets = np.flatnonzero(simulated.day == day).tolist()
            await _pass_day(session, simulated, tickets)
            calls += len(tickets)
            if "Stopped" in await _promptlane(folder, "experiment", "guard"):
                stopped = day + 1
                break
        report = json.loads(await _promptlane(folder, "experiment", "report", FLAG, "--json"))
    return Ran(report=report, stopped=stopped, calls=calls)


async def run_month(folder: Path, seed: int, truths: Mapping[str, Truth], *, days: int, people_a_day: int) -> Ran:
    """The same, of the month that follows from the seed."""
    return await run(folder, month(seed, truths, days=days, people_a_day=people_a_day), days)


async def _pass_day(session: aiohttp.ClientSession, simulated: Month, tickets: Sequence[int]) -> None:
    turns = asyncio.Semaphore(AT_ONCE)

    async def call(ticket: int) -> None:
        async with turns:
            await _call(session, simulated, ticket)

    async with asyncio.TaskGroup() as calls:
        for ticket in tickets:
            calls.create_task(call(ticket))
    for start in range(0, len(tickets), OUTCOMES_AT_ONCE):
        told = [_outcome(simulated, ticket) for ticket in tickets[start : start + OUTCOMES_AT_ONCE]]
        async with session.post("/analytics/v1/events", json=told) as reply:
            answer = await reply.json()
            if reply.status != 202 or not all(answer["context_found"]):
                raise RuntimeError(f"outcomes were answered {reply.status}: {answer}")


async def _call(session: aiohttp.ClientSession, simulated: Month, ticket: int) -> None:
    headers = {
        "X-Prompt-Name": FLAG,
        "X-PostHog-Distinct-Id": simulated.names[simulated.person[ticket]],
        "X-Trace-Id": f"ticket_{ticket}",
    }
    body = {"model": MODEL, "messages": [{"role": "user", "content": f"ticket {ticket}"}]}
    async with session.post("/v1/chat/completions", json=body, headers=headers) as reply:
        await reply.read()
        if reply.headers["X-Prompt-Version"] != (TREATMENT if simulated.variant[ticket] else CONTROL):
            raise RuntimeError("somebody got another version than the hash says")


def _outcome(simulated: Month, ticket: int) -> dict[str, Any]:
    return {
        "event": "support_ticket_closed",
        "id": f"ticket_{ticket}",
        "trace_id": f"ticket_{ticket}",
        "escalated_to_human": bool(simulated.escalated[ticket]),
        "properties": {"resolved": bool(simulated.resolved[ticket])},
    }


@asynccontextmanager
async def _provider(simulated: Month) -> AsyncIterator[str]:
    """Answers as long as a ticket's cost wants, after a hundredth of its latency."""

    async def answer(request: web.Request) -> web.Response:
        ticket = int((await request.json())["messages"][-1]["content"].removeprefix("ticket "))
        await asyncio.sleep(float(simulated.latency_ms[ticket]) / 100_000)
        tokens = round(float(simulated.cost_usd[ticket]) / USD_PER_TOKEN)
        message = {"role": "assistant", "content": "Done."}
        return web.json_response(
            {
                "id": f"answer_{ticket}",
                "object": "chat.completion",
                "model": MODEL,
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 100, "completion_tokens": tokens, "total_tokens": 100 + tokens},
            }
        )

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _proxy(folder: Path, provider: str) -> AsyncIterator[str]:
    """`promptlane serve` on a free port, with its address."""
    child = await asyncio.create_subprocess_exec(
        *_command("serve", "--port", "0"),
        cwd=folder,
        env=_environment() | {"OPENAI_UPSTREAM_URL": provider, "PROMPTLANE_LOG_LEVEL": "error"},
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    try:
        async for line in child.stdout:
            if found := _LISTENING.search(line.decode()):
                yield found[1]
                break
        else:
            raise RuntimeError("the proxy did not start")
    finally:
        if child.returncode is None:
            child.terminate()
        await child.communicate()


async def _promptlane(folder: Path, *words: str) -> str:
    command = _command(*words)
    child = await asyncio.create_subprocess_exec(*command, cwd=folder, env=_environment(), stdout=subprocess.PIPE)
    said, _ = await child.communicate()
    if child.returncode:
        raise RuntimeError(f"promptlane {' '.join(words)} ended with {child.returncode}")
    return said.decode()


def _command(*words: str) -> tuple[str, ...]:
    return (sys.executable, "-P", "-m", "proxy.cli", *words)


def _environment() -> dict[str, str]:
    """This very checkout, and nothing of what the machine says of PostHog or of a proxy."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PROMPTLANE_", "POSTHOG_"))}
    return kept | {"PYTHONPATH": str(Path(__file__).parents[2])}
