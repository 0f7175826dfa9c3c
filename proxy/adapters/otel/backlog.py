"""What of the journals lies after the marks, as spans: one batch at a time, of all files in turn.

A batch holds whole rows, each with the spans that it gives: of a call, or of a step among the outcomes. Rows that give
none, because their trace is not sampled or because they tell of something else, only move the marks.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import apsw
import orjson
from opentelemetry.sdk.trace import ReadableSpan

from proxy.adapters.journal import JournalReader, StoredExchange, journal_files
from proxy.adapters.journal.reader import StoredOutcome
from proxy.adapters.journal.schema import Unusable
from proxy.adapters.otel.content import KeptContent
from proxy.adapters.otel.kept import EXCHANGE_ID, Record
from proxy.adapters.otel.spans import SpanMaker, content_chars, without_content
from proxy.adapters.trace_marks import FileMarks, Mark, Marks
from proxy.domain.events import recorded

PAGE_ROWS = 256
MAX_ROWS = 8 * PAGE_ROWS
"""Of one batch, where few of them give a span."""
MAX_CONTENT_CHARS = 2 << 20
"""Of one batch, and what one row more may have: collectors bound requests."""
SETTLE_S = 5.0
"""How long content may take until it is kept: so old must a call be before it is told together with it."""

Spans = Sequence[ReadableSpan]
Row = TypeVar("Row", StoredExchange, StoredOutcome)


@dataclass(slots=True)
class Batch:
    """Rows of spans, and the marks once they are told. `lost` is at least how many spans can never be told."""

    marks: dict[str, FileMarks]
    limit_spans: int
    rows: list[Spans] = field(default_factory=list)
    row_count: int = 0
    """With those that give no span."""
    span_count: int = 0
    content_chars: int = 0
    lost: int = 0
    oldest_unix_us: int | None = None

    @property
    def is_full(self) -> bool:
        """Nothing more should be added."""
        is_long = self.row_count >= MAX_ROWS or self.content_chars >= MAX_CONTENT_CHARS
        return is_long or self.span_count >= self.limit_spans

    def add(self, spans: Spans, at_unix_us: int) -> None:
        """One row more."""
        self.row_count += 1
        if spans:
            self.rows.append(spans)
            self.span_count += len(spans)
            self.content_chars += sum(map(content_chars, spans))
            self.oldest_unix_us = min(at_unix_us, self.oldest_unix_us or at_unix_us)


class Backlog:
    """Of one data folder. `step_event` is the event that tells of steps: PostHog's own and ours tell of the same.

    With `content`, calls wait for `SETTLE_S`, since their content comes to the disk by another process.
    """

    def __init__(
        self,
        directory: Path,
        maker: SpanMaker,
        step_event: str,
        batch_spans: int,
        content: KeptContent | None = None,
        unix_s: Callable[[], float] = time.time,
    ) -> None:
        self._directory = directory
        self._maker = maker
        self._step_event = step_event
        self._batch_spans = batch_spans
        self._content = content
        self._unix_s = unix_s
        self._turn = 0

    def after(self, marks: Marks, *, is_last: bool = False) -> Batch:
        """The next rows; none where all has been told. Files that cannot be read now have their turn another time.

        Whoever looks for the last time waits for nothing.
        """
        paths = journal_files(self._directory)
        made = Batch({path.name: marks.get(path.name, FileMarks()) for path in paths}, self._batch_spans)
        self._turn += 1
        is_waiting = self._content is not None and not is_last
        until_us = (self._unix_s() - SETTLE_S) * 1e6 if is_waiting else float("inf")
        with ExitStack() as stack:
            if self._content is not None:
                stack.enter_context(self._content)
            readers: dict[str, JournalReader] = {}
            for path in paths:
                with suppress(Unusable, apsw.Error):
                    readers[path.name] = stack.enter_context(JournalReader(path))
            names = list(readers)
            first = self._turn % max(1, len(names))
            for name in names[first:] + names[:first]:
                with suppress(apsw.Error):
                    self._add_calls(name, readers[name], made, until_us)
                    self._add_steps(name, readers, made)
        return made

    def look_again(self, waiting: Batch) -> None:
        """What of its content was deleted meanwhile, a batch that waits for the collector tells no more."""
        if self._content is None or not waiting.content_chars:
            return
        with self._content as content:
            for place, row in enumerate(waiting.rows):
                exchange_id = str((row[0].attributes or {}).get(EXCHANGE_ID, ""))
                if (bare := without_content(row)) is not None and not content.is_kept(exchange_id):
                    waiting.rows[place] = bare

    def _add_calls(self, name: str, reader: JournalReader, made: Batch, until_us: float) -> None:
        mark = made.marks[name].calls
        found = reader.exchanges(mark.seq - 1, 1)
        mark, gone = _place(mark, [(call.seq, call.exchange_id) for call in found], reader.last_written("exchange"))
        made.lost += gone
        made.marks[name] = replace(made.marks[name], calls=mark)
        for call in _rows(reader.exchanges, mark, made):
            if call.ended_unix_us > until_us:
                return
            made.add(_told(made, self._call, call), call.ended_unix_us)
            made.marks[name] = replace(made.marks[name], calls=Mark(call.seq, call.exchange_id))

    def _add_steps(self, name: str, readers: Mapping[str, JournalReader], made: Batch) -> None:
        reader, mark = readers[name], made.marks[name].outcomes
        found = reader.outcomes(mark.seq - 1, 1)
        mark, _ = _place(mark, [(row.seq, row.uuid) for row in found], reader.last_written("outcome"))
        made.marks[name] = replace(made.marks[name], outcomes=mark)
        for row in _rows(reader.outcomes, mark, made):
            is_step = row.name == self._step_event
            made.add(_told(made, self._step, row, readers) if is_step else (), row.at_unix_us)
            made.marks[name] = replace(made.marks[name], outcomes=Mark(row.seq, row.uuid))

    def _call(self, call: StoredExchange) -> Spans:
        return self._maker.of_call(recorded(call.record), self._content.of if self._content is not None else None)

    def _step(self, row: StoredOutcome, readers: Mapping[str, JournalReader]) -> Spans:
        asked: Record | None = None
        for reader in readers.values() if row.exchange_id else ():
            if (call := reader.by_exchange(row.exchange_id)) is not None:
                asked = recorded(call.record)
                break
        return self._maker.of_step(row.uuid, orjson.loads(row.body)["properties"], row.at_unix_us, asked)


def _place(mark: Mark, found: Sequence[tuple[int, str]], last_written: int) -> tuple[Mark, int]:
    """Where to go on, and how many rows in between are gone; `found` is the first row that is not before the mark."""
    seq, row_id = found[0] if found else (last_written + 1, "")
    if mark.seq and seq == mark.seq:
        return (mark, 0) if row_id == mark.id else (Mark(), 0)
    if last_written < mark.seq:
        return Mark(), 0
    return (mark if found else Mark(last_written)), max(0, seq - mark.seq - 1)


def _rows(read: Callable[[int, int], list[Row]], mark: Mark, made: Batch) -> Iterator[Row]:
    """Those after the mark, until there are no more or the batch is full."""
    seq = mark.seq
    while not made.is_full and (page := read(seq, PAGE_ROWS)):
        for row in page:
            if made.is_full:
                return
            yield row
        seq = page[-1].seq


def _told(made: Batch, make: Callable[..., Spans], *of: object) -> Spans:
    """The spans of a row; one that cannot be read, as of another release, is lost."""
    try:
        return make(*of)
    except (ValueError, KeyError, TypeError, AttributeError):
        made.lost += 1
        return ()
