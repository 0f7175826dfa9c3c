"""A data folder with many ended calls, made in no time, and how fast the usual questions to it are answered.

`python -m tools.bench.store FOLDER --calls 1000000` fills it where it is empty, and measures.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import apsw
import orjson

from proxy.adapters.analysis import open_analysis
from proxy.adapters.journal import schema
from proxy.domain.event_properties import COMPLETED, FAILED, length_bucket
from proxy.domain.outcome_properties import AGENT_STEP, OUTPUT_EVALUATED, OUTPUT_RATED, TASK_COMPLETED

MODELS = (("gpt-4.1-mini", "openai", 0.4), ("gpt-4.1", "openai", 2.0), ("claude-sonnet-4-5", "anthropic", 3.0))
"""Model, provider, USD per million input tokens."""
VERSIONS = ("pv_2026_05_21_001", "pv_2026_06_04_003", "pv_2026_07_01_002")
ERRORS = ("provider_rate_limit", "timeout_idle", "provider_server_error", "provider_bad_request")
VARIANTS = ("control", "control", "treatment")
KINDS = ("answer", "answer_with_citation", "refusal", "tool_call")
STEPS, TOOLS = ("plan", "search", "answer"), ("search_docs", "get_order", "send_mail")
_CONTEXT = (
    "prompt_name", "prompt_version_id", "model", "provider", "environment", "agent_config_id", "agent_step_name",
    "trace_url", "posthog_flag", "posthog_flag_variant", "posthog_flag_source", "$feature/support-answer", "task_type",
    "document_type",
)  # fmt: skip
SPAN_DAYS = 30
_BATCH = 10_000

QUESTIONS = {
    "percentiles by model and day": (
        "SELECT model, date_trunc('day', ended_at) AS day, count(*) AS calls,"
        " quantile_cont(latency_ms, [0.5, 0.95, 0.99]) AS latency_ms FROM calls GROUP BY ALL ORDER BY ALL"
    ),
    "the last day by status": (
        "SELECT status, count(*) AS calls FROM calls WHERE ended_at >= (SELECT max(ended_at) FROM calls)"
        " - INTERVAL 1 DAY GROUP BY ALL"
    ),
    "errors of a model by type": (
        "SELECT error_type, count(*) AS calls FROM calls WHERE model = 'gpt-4.1' AND status = 'error' GROUP BY ALL"
    ),
    "cost by day and prompt version": (
        "SELECT date_trunc('day', ended_at) AS day, prompt_version_id, sum(estimated_cost_usd) AS usd"
        " FROM calls GROUP BY ALL ORDER BY ALL"
    ),
    "completion by prompt version": (
        "SELECT prompt_version_id, avg(task_completed::INTEGER) AS completed FROM"
        f" (SELECT trace_id, any_value(task_completed) AS task_completed FROM outcomes WHERE name = '{TASK_COMPLETED}'"
        " GROUP BY trace_id) JOIN (SELECT DISTINCT trace_id, prompt_version_id FROM calls) USING (trace_id)"
        " GROUP BY ALL"
    ),
    "the last hundred calls": "SELECT * FROM calls ORDER BY ended_at DESC LIMIT 100",
    "one trace": "SELECT * FROM calls WHERE trace_id = 'trace_77'",
    "attempts by target": "SELECT target, count(*) AS attempts, avg(latency_ms) AS ms FROM attempts GROUP BY ALL",
}


def fill(folder: Path, calls: int, *, workers: int = 2, until: datetime, seed: int = 1) -> None:
    """Write so many calls, with an outcome for every fourth, to journals that hold no others."""
    rng = Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for worker in range(workers):
        connection = schema.connect(folder / f"journal-{worker}.db")
        connection.pragma("synchronous", 0)
        began_us = int((until - timedelta(days=SPAN_DAYS)).timestamp() * 1e6)
        step_us = SPAN_DAYS * 86_400_000_000 // max(1, calls)
        for start in range(worker * _BATCH, calls, workers * _BATCH):
            ordinals = range(start, min(start + _BATCH, calls))
            with connection:
                _insert(connection, [(number, began_us + number * step_us) for number in ordinals], rng)
        connection.close()


def _insert(connection: apsw.Connection, numbered: Sequence[tuple[int, int]], rng: Random) -> None:
    records = [_record(number, at_us, rng) for number, at_us in numbered]
    connection.executemany(
        "INSERT INTO exchange(exchange_id, trace_id, ended_unix_us, record) VALUES (?, ?, ?, ?)",
        ((it["exchange_id"], it["trace_id"], it["ended_unix_us"], orjson.dumps(it)) for it in records),
    )
    outcomes = [outcome for record in records[::4] for outcome in _outcomes(record, rng)]
    connection.executemany(
        "INSERT INTO outcome(uuid, exchange_id, trace_id, name, at_unix_us, body) VALUES (?, ?, ?, ?, ?, ?)", outcomes
    )


def _uuid7(at_us: int, rng: Random) -> str:
    digits = f"{at_us // 1000:012x}7{rng.getrandbits(12):03x}8{rng.getrandbits(60):015x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _asked(number: int) -> dict[str, Any]:
    """What the app says with the call: prompt, flag, task, and for every other trace its agent."""
    version = number // 9 % len(VERSIONS)
    agent = {
        "agent_config_id": f"triage_v{1 + number // 12 % 2}",
        "agent_step_name": STEPS[number % 3],
        "retry_count": number % 7 // 6,
    }
    return {
        "prompt_name": "support_answer",
        "prompt_version_id": VERSIONS[version],
        "prompt_version_source": "header",
        "posthog_flag": "support-answer",
        "posthog_flag_variant": VARIANTS[version],
        "posthog_flag_source": "assigned",
        "$feature/support-answer": VARIANTS[version],
        "task_type": ("support_reply", "summary")[number // 6 % 2],
        "document_type": ("invoice", "contract", "letter")[number // 12 % 3],
        **(agent if number // 3 % 2 else {}),
    }


def _record(number: int, at_us: int, rng: Random) -> dict[str, Any]:
    model, provider, usd_per_mtok = rng.choice(MODELS)
    latency_ms = round(rng.lognormvariate(7.2, 0.6), 3)
    tokens = int(rng.lognormvariate(7, 1))
    is_error = rng.random() < 0.03
    exchange_id, trace_id, cost_usd = _uuid7(at_us, rng), f"trace_{number // 3}", tokens * usd_per_mtok / 1e6
    properties: dict[str, Any] = {
        "exchange_id": exchange_id,
        "trace_id": trace_id,
        "request_id": f"req_{number}",
        "$session_id": f"session_{number // 9}",
        "$groups": {"company": f"company_{number % 500}"},
        "environment": rng.choice(("production", "staging")),
        "key_alias": rng.choice(("web", "worker", "mobile")),
        "proxy_version": "0.1.0",
        "trace_url": f"http://127.0.0.1:4000/ui/traces/{trace_id}",
        **_asked(number),
        "requested_model": model,
        "endpoint": "chat",
        "dialect": "openai",
        "stream": True,
        "message_count": 4,
        "provider": provider,
        "model": model,
        "target": f"{provider}/{model}",
        "attempt": 1,
        "latency_ms": latency_ms,
        "upstream_ms": latency_ms - 2,
        "ttft_ms": latency_ms / 4,
        "proxy_overhead_ms": 2.0,
        "input_tokens": tokens,
        "output_tokens": tokens // 4,
        "usage_source": "provider",
        "input_length_bucket": length_bucket(tokens),
        "estimated_cost_usd": cost_usd,
        "cost_status": "priced",
        "status": "error" if is_error else "success",
        "http_status": 500 if is_error else 200,
        "attempt_count": 1,
    }
    if is_error:
        properties["error_type"] = rng.choice(ERRORS)
    else:
        properties["output_category"] = rng.choices(KINDS, (70, 18, 4, 8))[0]
        properties["output_length_bucket"] = length_bucket(tokens // 4)
    copied = ("provider", "model", "target", "attempt", "latency_ms", "input_tokens", "output_tokens")
    attempt = {name: properties[name] for name in copied}
    return {
        "v": 1,
        "exchange_id": exchange_id,
        "trace_id": trace_id,
        "distinct_id": f"user_{number // 9 % 20_000}",
        "received_unix_us": at_us - int(latency_ms * 1000),
        "own": {"plan": "pro" if number % 5 else "free"},
        "ended_unix_us": at_us,
        "event": FAILED if is_error else COMPLETED,
        "properties": properties,
        "attempts": [attempt | {"started_us": 900, "reached_provider": True, "cost_usd": str(cost_usd)}],
    }


def _outcomes(record: dict[str, Any], rng: Random) -> Iterator[tuple[str, str, str, str, int, bytes]]:
    """A task that ended or a bad rating, and for agents a tool's result; what is told depends on version, model and
    length as a reader of the pictures may find out.
    """
    call = record["properties"]
    shared = {name: call[name] for name in _CONTEXT if name in call}
    if rng.random() < 0.8:
        is_new = call["prompt_version_id"] == VERSIONS[-1]
        is_done = rng.random() < (0.78 if is_new else 0.66) - min(0.2, call["latency_ms"] / 40_000)
        told: dict[str, Any] = {
            "task_completed": is_done,
            "escalated_to_human": rng.random() < (0.16 if call["model"] == "gpt-4.1-mini" else 0.08),
            "edited_output": rng.random() < min(0.6, 0.1 + call["input_tokens"] / 12_000),
            "accepted_output": is_done and rng.random() < 0.9,
            "estimated_cost_usd": call["estimated_cost_usd"] * 3,
            "duration_ms": call["latency_ms"] * 20,
            "retry_count": int(rng.random() < 0.2),
        }
        yield _outcome(record, TASK_COMPLETED, shared | told, rng)
    else:
        yield _outcome(record, OUTPUT_RATED, shared | {"user_feedback": rng.choice(("negative", "positive"))}, rng)
    yield _outcome(
        record,
        OUTPUT_EVALUATED,
        shared
        | {"eval_name": "grounded", "eval_passed": rng.random() < 0.9, "eval_score": round(rng.betavariate(8, 2), 3)},
        rng,
    )
    if "agent_config_id" in call:
        is_bad = rng.random() < 0.07
        step = {
            "tool_name": rng.choice(TOOLS),
            "step_status": "error" if is_bad else "success",
            "duration_ms": round(rng.lognormvariate(6, 0.8), 1),
            "retry_count": int(is_bad),
        }
        yield _outcome(record, AGENT_STEP, shared | step, rng)


def _outcome(
    record: dict[str, Any], name: str, told: dict[str, Any], rng: Random
) -> tuple[str, str, str, str, int, bytes]:
    at_us = record["ended_unix_us"] + 60_000_000
    uuid = _uuid7(at_us, rng)
    properties = {"exchange_id": record["exchange_id"], "trace_id": record["trace_id"], **told}
    body = {"event": name, "uuid": uuid, "distinct_id": record["distinct_id"], "properties": properties}
    return uuid, record["exchange_id"], record["trace_id"], name, at_us, orjson.dumps(body)


def main(argv: Sequence[str] | None = None) -> int:
    """Fill, look for the first time, and time each question."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.store", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5, help="every number is the median of so many")
    args = parser.parse_args(argv)
    if not (args.folder / "journal-0.db").exists():
        began_s = time.monotonic()
        fill(args.folder, args.calls, until=datetime.now(UTC))
        print(f"{'written in':32} {time.monotonic() - began_s:9.1f} s")
    for what in ("first look", "another look"):
        began_s = time.monotonic()
        with open_analysis(args.folder) as analysis:
            counted = analysis.query("SELECT count(*) AS calls FROM calls")[0]["calls"]
        print(f"{what:32} {time.monotonic() - began_s:9.2f} s   {counted} calls")
    with open_analysis(args.folder) as analysis:
        for question, sql in QUESTIONS.items():
            took_ms = []
            for _ in range(args.rounds):
                began_s = time.monotonic()
                rows = analysis.query(sql)
                took_ms.append((time.monotonic() - began_s) * 1000)
            print(f"{question:32} {statistics.median(took_ms):9.1f} ms  {len(rows)} rows")
    return 0


if __name__ == "__main__":
    sys.exit(main())
