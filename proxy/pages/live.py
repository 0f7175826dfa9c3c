"""The latest calls, as they end: a page that asks again by itself."""

from contextlib import ExitStack, suppress
from itertools import islice
from pathlib import Path

import apsw

from proxy.adapters.journal import JournalReader, StoredExchange, journal_files
from proxy.adapters.journal.calls import newest_first
from proxy.adapters.journal.schema import Unusable
from proxy.domain.events import recorded
from proxy.pages import wording
from proxy.pages.tiles import Cell, Column, Table
from proxy.pages.traces import trace_path
from proxy.pages.waterfall import moment_of

ROWS = 40
EVERY_S = 3
_COLUMNS = (
    Column("ended, UTC"),
    Column("trace"),
    Column("model"),
    Column("prompt version"),
    Column("step"),
    Column("first token", is_number=True),
    Column("total", is_number=True),
    Column("tokens", is_number=True),
    Column("cost", is_number=True),
    Column("status"),
)


def latest(data_dir: Path, only_key: str | None = None) -> Table:
    """From all journals that can be read now; with `only_key`, calls of that proxy key among the last thousand."""
    with ExitStack() as opened:
        readers = []
        for path in journal_files(data_dir):
            with suppress(Unusable, apsw.Error):
                readers.append(opened.enter_context(JournalReader(path)))
        calls = islice(newest_first(readers, 0), 1_000 if only_key else ROWS)
        rows = [row for call in calls if (row := _row(call, only_key)) is not None]
    return Table(columns=_COLUMNS, rows=rows[:ROWS])


def _row(call: StoredExchange, only_key: str | None) -> list[Cell] | None:
    said = recorded(call.record)["properties"]
    if only_key is not None and said.get("key_alias") != only_key:
        return None
    status = said.get("status") or wording.UNKNOWN
    error = said.get("error_type")
    tokens = f"{wording.count(said.get('input_tokens'))} → {wording.count(said.get('output_tokens'))}"
    return [
        Cell(f"{moment_of(call.ended_unix_us):%H:%M:%S}"),
        Cell(call.trace_id, call.trace_id, trace_path(call.trace_id)),
        Cell(said.get("model") or said.get("requested_model") or wording.UNKNOWN),
        Cell(said.get("prompt_version_id") or wording.UNKNOWN),
        Cell(said.get("agent_step_name") or said.get("endpoint") or wording.UNKNOWN),
        Cell(wording.duration(said.get("ttft_ms"))),
        Cell(wording.duration(said.get("latency_ms"))),
        Cell(tokens),
        Cell(wording.money(said.get("estimated_cost_usd"))),
        Cell(f"{status}: {error}" if error and status != "success" else status),
    ]
