"""A journal full of invented calls and outcomes, as a support product would leave them."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import orjson

from proxy.adapters.journal import JournalSettings, SqliteJournal
from proxy.domain.event_properties import COMPLETED, FAILED, length_bucket
from proxy.domain.events import event_uuid
from proxy.domain.journal_rows import Closing, JournalEvent, Outcome
from proxy.domain.outcome_properties import AGENT_STEP, OUTPUT_EVALUATED, OUTPUT_RATED, TASK_COMPLETED

MODELS = {
    "gpt-4.1-mini": ("openai", 900, 0.0004),
    "gpt-4.1": ("openai", 2_100, 0.004),
    "claude-haiku-4-5": ("anthropic", 1_100, 0.0012),
    "claude-sonnet-4-5": ("anthropic", 3_200, 0.009),
    "gemini-2.5-flash": ("google", 700, 0.0003),
}
ANY_MODEL = ("openai", 800, 0.001)
NO_WORDS: Mapping[str, str] = {}
VERSIONS = ("pv_2026_05_21_001", "pv_2026_06_04_003")
PROMPTS = {"support_answer": ("find_order", "answer_ticket"), "summarise_ticket": ("summarise",)}
ERRORS = ("provider_rate_limit", "provider_overloaded", "timeout_first_byte", "upstream_connect")
TOOLS = ("find_order", "refund", "search_articles")


@dataclass(frozen=True)
class Seeded:
    """What was put in."""

    traces: list[str]


def seed(
    folder: Path,
    *,
    calls: int,
    end: datetime,
    length: timedelta = timedelta(hours=24),
    number: int = 1,
    words: Mapping[str, str] = NO_WORDS,
) -> Seeded:
    """Write so many calls that ended in the time before `end`, with what came of some, to a journal of its own.

    `words` are said in the place of what is invented; `number` is that of the story and of the worker.
    """
    journal = SqliteJournal(
        JournalSettings(directory=folder, worker=number - 1, has_destination=False, store_max_bytes=1 << 40),
        wall_unix_us=lambda: us(end),
    )
    journal.start()
    traces: list[str] = []
    for place, row in enumerate(_story(calls, end, length, Random(number), words), 1):
        if isinstance(row, Closing):
            journal.close(row)
            traces.append(row.trace_id)
        else:
            journal.note(row)
        if place % 4_000 == 0:
            journal.flush(60)
    assert journal.close_journal(60)
    return Seeded(list(dict.fromkeys(traces)))


def us(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000)


def _story(
    calls: int, end: datetime, length: timedelta, rng: Random, words: Mapping[str, str]
) -> Iterator[Closing | Outcome]:
    made = 0
    while made < calls:
        share = made / calls
        wave = 0.03 * math.sin(4 * math.pi * share)
        begin = end - length * (1 - share + wave) - timedelta(milliseconds=rng.randrange(60_000))
        rows = list(_trace(begin, rng, words, is_outage=0.70 < share < 0.74))
        made += sum(isinstance(row, Closing) for row in rows)
        yield from rows


def _trace(begin: datetime, rng: Random, words: Mapping[str, str], *, is_outage: bool) -> Iterator[Closing | Outcome]:
    trace_id = f"trace_{rng.getrandbits(64):016x}{words.get('trace_id', '')}"
    prompt = rng.choice(tuple(PROMPTS))
    is_agent = rng.random() < 0.3
    model = rng.choices(tuple(MODELS), (8, 3, 4, 1, 3))[0]
    shared: dict[str, Any] = {
        "environment": rng.choices(("production", "staging"), (9, 1))[0],
        "key_alias": rng.choice(("web-app", "batch")),
        "prompt_name": prompt,
        "prompt_version_id": rng.choice(VERSIONS),
        "prompt_version_source": "header",
        "task_type": rng.choice(PROMPTS[prompt]),
        "provider": MODELS[model][0],
        "model": model,
    }
    if is_agent:
        shared["agent_config_id"] = rng.choice(("order_agent_v2", "order_agent_v3"))
    user = words.get("distinct_id") or f"user_{rng.randrange(400)}"
    shared |= words
    at, cost_usd = begin, 0.0
    for step in ("plan", "look_up", "answer") if is_agent else (None,):
        closing = _call(at, trace_id, user, shared | ({"agent_step_name": step} if step else {}), rng, is_outage)
        yield closing
        cost_usd += orjson.loads(closing.record)["properties"].get("estimated_cost_usd", 0)
        at += timedelta(microseconds=closing.ended_unix_us - us(at)) + timedelta(milliseconds=40)
        if step and step != "answer":
            duration_ms = rng.uniform(40, 900)
            at += timedelta(milliseconds=duration_ms)
            tool = words.get("tool_name") or rng.choice(TOOLS)
            is_bad = rng.random() < (0.2 if tool == "refund" else 0.04)
            said = {"tool_name": tool, "step_status": "error" if is_bad else "success", "duration_ms": duration_ms}
            yield _outcome(AGENT_STEP, at, trace_id, user, shared | said | {"agent_step_name": step})
    if rng.random() < 0.5:
        is_good = rng.random() < (0.78 if shared["prompt_version_id"] == VERSIONS[1] else 0.66)
        at += timedelta(seconds=rng.uniform(5, 200))
        said = {"task_completed": is_good, "escalated_to_human": not is_good and rng.random() < 0.4}
        yield _outcome(TASK_COMPLETED, at, trace_id, user, shared | said | {"estimated_cost_usd": cost_usd})
        if rng.random() < 0.5:
            word = "positive" if is_good else "negative"
            yield _outcome(OUTPUT_RATED, at, trace_id, user, shared | {"user_feedback": word})
        if rng.random() < 0.4:
            score = rng.betavariate(8, 2)
            said = {
                "eval_name": words.get("eval_name", "tone"),
                "eval_score": round(score, 3),
                "eval_passed": score > 0.6,
            }
            yield _outcome(OUTPUT_EVALUATED, at, trace_id, user, shared | said)


def _call(at: datetime, trace_id: str, user: str, shared: dict[str, Any], rng: Random, is_outage: bool) -> Closing:
    provider, base_ms, cost = MODELS.get(shared["model"], ANY_MODEL)
    latency_ms = base_ms * rng.lognormvariate(0, 0.45)
    exchange_id = f"01a20000-0000-7000-8000-{rng.getrandbits(48):012x}"
    is_bad = rng.random() < (0.35 if is_outage and provider == "openai" else 0.015)
    tokens_in, tokens_out = rng.randrange(40, 3_000), rng.randrange(20, 700)
    first_ms = latency_ms * 0.3
    end: dict[str, Any] = {
        "status": "success",
        "finish_reason": "stop",
        "output_category": "answer",
        "http_status": 200,
    }
    end |= {"ttft_ms": first_ms * 1.1, "output_tokens": tokens_out, "estimated_cost_usd": cost * rng.uniform(0.5, 2)}
    end |= {"usage_source": "provider", "cost_status": "priced", "pricing_version": "litellm-1.109.1"}
    if is_bad:
        end = {"status": "error", "error_type": rng.choice(ERRORS), "http_status": 429, "failed_phase": "first_byte"}
    elif rng.random() < 0.02:
        end = {"status": "cancelled", "error_type": "client_disconnect"}
    times = {
        "latency_ms": latency_ms,
        "first_byte_ms": first_ms,
        "upstream_ms": latency_ms - 2,
        "proxy_overhead_ms": rng.uniform(0.5, 2.5),
    }
    properties = {
        "exchange_id": exchange_id, "trace_id": trace_id, **shared, **times, **end, "requested_model": shared["model"],
        "endpoint": "chat", "stream": True, "input_tokens": tokens_in,
        "input_length_bucket": length_bucket(tokens_in), "target": f"{provider}/{shared['model']}",
    }  # fmt: skip
    first_us, ended_us = int(first_ms * 1_000), int(latency_ms * 1_000)
    attempt = {
        "attempt": 1, "target": properties["target"], "started_us": 600, "sent_us": 900, "first_byte_us": first_us,
        "first_token_us": int(first_us * 1.1), "ended_us": ended_us, "reached_provider": True, "latency_ms": latency_ms,
    } | ({"error_type": end["error_type"]} if is_bad else {})  # fmt: skip
    attempts = [attempt]
    if is_retried := rng.random() < 0.03:
        first = {"attempt": 1, "target": properties["target"], "started_us": 100, "ended_us": 500, "latency_ms": 0.4}
        attempts = [first | {"error_type": "upstream_connect"}, attempt | {"attempt": 2}]
    properties["attempt_count"] = 1 + is_retried
    record = {
        "v": 1, "exchange_id": exchange_id, "trace_id": trace_id, "distinct_id": user, "received_unix_us": us(at),
        "own": {}, "ended_unix_us": us(at) + ended_us, "event": FAILED if is_bad else COMPLETED,
        "properties": properties, "attempts": attempts,
    }  # fmt: skip
    return Closing(
        exchange_id=exchange_id,
        trace_id=trace_id,
        ended_unix_us=us(at) + ended_us,
        events=(),
        record=orjson.dumps(record),
    )


def _outcome(name: str, at: datetime, trace_id: str, user: str, properties: dict[str, Any]) -> Outcome:
    uuid = event_uuid(trace_id, f"{name}{us(at)}")
    body = {
        "event": name,
        "distinct_id": user,
        "uuid": uuid,
        "timestamp": at.isoformat(),
        "properties": {"trace_id": trace_id, **properties},
    }
    event = JournalEvent(uuid=uuid, name=name, body=orjson.dumps(body))
    return Outcome(exchange_id="", trace_id=trace_id, at_unix_us=us(at), events=(event,))
