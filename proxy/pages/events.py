"""What was sent to PostHog, is waiting to be, or was refused: each event as its bytes stand.

A delivered event leaves the outbox, so what can be shown of it is what the store keeps: outcomes whole, and of calls
the record out of which their events were made.
"""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import apsw
import orjson

from proxy.adapters.journal import JournalReader, JournalSettings, journal_files
from proxy.adapters.journal.reader import StoredEvent
from proxy.adapters.journal.requests import Request, RequestWaits, do_now, leave
from proxy.adapters.journal.schema import Unusable
from proxy.pages import wording
from proxy.pages.traces import trace_path
from proxy.pages.waterfall import moment_of

STATES: Mapping[str, str] = {"pending": "Waiting", "dead": "Refused", "kept": "Outcomes that are kept"}
"""In an address, and as it is called."""
PAGE_ROWS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One event; `body` is what was sent, or will be, laid out."""

    uuid: str
    name: str
    at: str
    state: str
    trace_id: str
    trace: str
    body: str


def find(data_dir: Path, state: str) -> list[Shown]:
    """Of one of STATES: the oldest that wait, all that were refused, the newest outcomes."""
    rows: list[tuple[int, Shown]] = []
    for path in journal_files(data_dir):
        with suppress(Unusable, apsw.Error), JournalReader(path) as reader:
            rows += list(_of(reader, state))
    chosen = heapq.nsmallest if state == "pending" else heapq.nlargest
    return [shown for _, shown in chosen(PAGE_ROWS, rows, key=lambda row: row[0])]


def _of(reader: JournalReader, state: str) -> Iterator[tuple[int, Shown]]:
    if state == "kept":
        for outcome in reader.outcomes(max(reader.last_outcome_seq() - PAGE_ROWS, 0), PAGE_ROWS):
            told = orjson.loads(outcome.body)
            yield outcome.at_unix_us, _shown(outcome.uuid, outcome.name, outcome.at_unix_us, "kept", told)
        return
    events = reader.pending(PAGE_ROWS) if state == "pending" else islice(reader.dead(), 10 * PAGE_ROWS)
    for event in events:
        yield event.created_unix_us, _stored(event)


def _stored(event: StoredEvent) -> Shown:
    said = f"refused: {event.reason}" if event.reason else f"waiting, tried {event.attempts} times"
    return _shown(event.uuid, event.name, event.created_unix_us, said, orjson.loads(event.body))


def _shown(uuid: str, name: str, at_unix_us: int, state: str, told: Mapping[str, Any]) -> Shown:
    trace_id = told.get("properties", {}).get("trace_id") or ""
    return Shown(
        uuid=uuid,
        name=name,
        at=wording.moment(moment_of(at_unix_us)),
        state=state,
        trace_id=trace_id,
        trace=trace_path(trace_id) if trace_id else "",
        body=orjson.dumps(told, option=orjson.OPT_INDENT_2).decode(),
    )


def replay(data_dir: Path, now_unix_us: int) -> int:
    """Send refused events again; returns how many journals will do so. A journal that has not carried out an earlier
    order, or cannot be written, does it another time.
    """
    request = Request(verb="replay", before_unix_us=now_unix_us)
    asked = 0
    for path in journal_files(data_dir):
        with suppress(Unusable, apsw.Error, OSError, RequestWaits):
            if do_now(path, request, JournalSettings(directory=data_dir), now_unix_us) is None:
                leave(path, request)
            asked += 1
    return asked


def counts(shown: Sequence[Shown]) -> dict[str, int]:
    """How many of each name, the most frequent first."""
    found: dict[str, int] = {}
    for event in shown:
        found[event.name] = found.get(event.name, 0) + 1
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))
