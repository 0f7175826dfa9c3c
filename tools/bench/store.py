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
from proxy.domain.outcome_properties import OUTPUT_RATED, TASK_COMPLETED

MODELS = (("gpt-4.1-mini", "openai", 0.4), ("gpt-4.1", "openai", 2.0), ("claude-sonnet-4-5", "anthropic", 3.0))
"""Model, provider, USD per million input tokens."""
VERSIONS = ("pv_2026_05_21_001", "pv_2026_06_04_003", "pv_2026_07_01_002")
ERRORS = ("provider_rate_limit", "timeout_idle", "provider_server_error", "provider_bad_request")
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
        "prompt_name": "support_answer",
        "prompt_version_id": VERSIONS[number // 3 % len(VERSIONS)],
        "prompt_version_source": "header",
        "$feature/support-answer": "treatment" if number % 2 else "control",
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
    at_us = record["ended_unix_us"] + 60_000_000
    told = {"task_completed": rng.random() < 0.7} if rng.random() < 0.8 else {"user_feedback": "negative"}
    name = TASK_COMPLETED if "task_completed" in told else OUTPUT_RATED
    uuid = _uuid7(at_us, rng)
    properties = {"exchange_id": record["exchange_id"], "trace_id": record["trace_id"], **told}
    body = {"event": name, "uuid": uuid, "distinct_id": record["distinct_id"], "properties": properties}
    yield uuid, record["exchange_id"], record["trace_id"], name, at_us, orjson.dumps(body)


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
