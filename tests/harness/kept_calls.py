"""A data folder with the records of calls that have ended, as a proxy would have kept them."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from proxy.adapters.journal import JournalSettings, SqliteJournal
from proxy.domain.journal_rows import Closing, JournalEvent, Outcome

Kept = tuple[datetime, Mapping[str, Any]]
"""When a call ended, and its properties; those of a good call need not be named."""


def keep(data_dir: Path, calls: Iterable[Kept], *, drifted: Iterable[Kept] = ()) -> None:
    """Write calls, and events of prompts that have drifted."""
    journal = SqliteJournal(JournalSettings(directory=data_dir, worker=0, has_destination=False))
    journal.start()
    for number, (at, properties) in enumerate(calls):
        journal.close(_closing(f"{at.timestamp():f}-{number}", at, {"status": "success", **properties}))
    for number, (at, properties) in enumerate(drifted):
        body = {"event": "llm_prompt_drifted", "distinct_id": "u", "properties": properties}
        event = JournalEvent(uuid=f"{at.timestamp():f}-{number}", name="llm_prompt_drifted", body=orjson.dumps(body))
        journal.note(Outcome(at_unix_us=_us(at), events=(event,)))
    journal.flush(30)
    journal.close_journal(30)


def _closing(call_id: str, at: datetime, properties: Mapping[str, Any]) -> Closing:
    record = {
        "v": 1,
        "exchange_id": call_id,
        "trace_id": call_id,
        "distinct_id": "u",
        "received_unix_us": _us(at) - 1000,
        "own": {},
        "event": "llm_request_failed" if properties["status"] == "error" else "llm_request_completed",
        "properties": properties,
        "attempts": [],
    }
    return Closing(exchange_id=call_id, trace_id=call_id, ended_unix_us=_us(at), events=(), record=orjson.dumps(record))


def _us(at: datetime) -> int:
    return round(at.timestamp() * 1e6)
