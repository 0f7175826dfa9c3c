"""The folder of an operator who rolls out a prompt: configuration, and records of people, calls and tickets."""

from collections.abc import Iterator
from pathlib import Path
from time import time_ns

import orjson

from proxy.adapters.journal import JournalSettings, SqliteJournal
from proxy.domain.journal_rows import Closing, JournalEvent, Outcome

PROMPTS = """\
version: 1
prompts:
  support_answer:
    default: v1
    split: {v1: 50, v2: 50}
    versions:
      v1: {system: Answer briefly.}
      v2: {system: Answer kindly.}
    experiment:
      primary: {event: ticket, property: resolved}
      guardrails:
        - {metric: escalated_to_human, max_increase: 0.02}
        - {metric: latency_ms, quantile: 0.95, max: 4000}
      on_breach: stop
  greeting:
    default: hello
    versions:
      hello: {system: Say hello.}
"""
HOUR_US = 3_600_000_000


def write(folder: Path, prompts: str = PROMPTS) -> None:
    """The configuration."""
    (folder / "config").mkdir()
    (folder / "config" / "prompts.yaml").write_text(prompts)


def keep(folder: Path, *, people: int = 200, harm: float = 0.0) -> None:
    """Records of so many people under each version: v2 resolves every ticket, and escalates `harm` more of them."""
    settings = JournalSettings(directory=folder / "data", worker=0, has_destination=False)
    journal = SqliteJournal(settings)
    journal.start()
    for outcome in _rows(people, harm):
        if isinstance(outcome, Closing):
            journal.close(outcome)
        else:
            journal.note(outcome)
    journal.flush(30)
    journal.close_journal(30)


def _rows(people: int, harm: float) -> Iterator[Closing | Outcome]:
    at_us = time_ns() // 1_000 - HOUR_US
    for number in range(2 * people):
        version, nth = ("v1", "v2")[number % 2], number // 2
        is_new = version == "v2"
        resolved = is_new or nth % 2 == 0
        escalated = nth % 20 == 0 or (is_new and nth % 100 < 100 * harm)
        person = f"user_{number}"
        properties = {
            "prompt_name": "support_answer",
            "prompt_version_id": version,
            "posthog_flag": "support_answer",
            "posthog_flag_variant": version,
            "posthog_flag_source": "assigned",
            "$feature/support_answer": version,
            "status": "success",
            "latency_ms": 1_000 + nth % 50,
        }
        yield Closing(
            exchange_id=f"exchange_{number}",
            trace_id=f"trace_{number}",
            ended_unix_us=at_us,
            events=(),
            record=orjson.dumps(
                {
                    "v": 1,
                    "exchange_id": f"exchange_{number}",
                    "trace_id": f"trace_{number}",
                    "distinct_id": person,
                    "received_unix_us": at_us,
                    "own": {},
                    "event": "llm_request_completed",
                    "properties": properties,
                    "attempts": [],
                }
            ),
        )
        body = {
            "event": "ticket",
            "distinct_id": person,
            "properties": {"resolved": resolved, "escalated_to_human": escalated},
        }
        event = JournalEvent(uuid=f"uuid_{number}", name="ticket", body=orjson.dumps(body))
        yield Outcome(trace_id=f"trace_{number}", at_unix_us=at_us + 1_000_000, events=(event,))
