"""Finds calls for what comes of them later, in the journals of all workers while these write them.

It reads in threads of its own, two of them: a slow disk holds up those who ask here, and nobody else.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import apsw
import orjson

from proxy.adapters.journal import JournalReader, StoredExchange, journal_files
from proxy.adapters.journal.reader import RunningCall
from proxy.adapters.journal.schema import Unusable
from proxy.domain.errors import Overloaded
from proxy.domain.events import recorded
from proxy.domain.outcome_context import Found, Record, Sees
from proxy.domain.outcomes import Reference

MOST_CALLS = 1_000
"""Of one trace, in one file."""
MOST_OF_ONE_REQUEST = 20
"""Of the calls with one request id, as many are looked at, the newest ones."""


MOST_AT_ONCE = 500
"""Calls whose questions wait: some seconds' work. Keys in pages can be had by anybody."""


class CallFinder:
    """Satisfies `pipeline.ports.CallFinder`."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="call-finder")
        self._asked = 0

    async def find(self, abouts: Sequence[Reference], sees: Sees) -> Sequence[Found]:
        """Look once for each, as of now. Raises Overloaded."""
        if self._asked >= MOST_AT_ONCE:
            raise Overloaded("Too many outcomes come at once. Send it again a little later.", code="overloaded")
        loop = asyncio.get_running_loop()
        self._asked += 1
        asked = loop.run_in_executor(self._threads, partial(look, self._data_dir, abouts, sees))
        asked.add_done_callback(self._answered)
        return await asked

    def _answered(self, _: "asyncio.Future[list[Found]]") -> None:
        self._asked -= 1

    def close(self) -> None:
        """Take no more questions; one that is being answered is let finish."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def look(data_dir: Path, abouts: Sequence[Reference], sees: Sees) -> list[Found]:
    """What each reference means. Blocks."""
    with ExitStack() as leaving:
        readers = []
        for path in journal_files(data_dir):
            with suppress(Unusable, apsw.Error):
                readers.append(leaving.enter_context(JournalReader(path)))
        return [_meant_by(about, readers, sees) for about in abouts]


def _meant_by(about: Reference, readers: Sequence[JournalReader], sees: Sees) -> Found:
    """The call of that id, else the last one of that request's, else the last one of the trace."""
    meant = _last(_candidates(readers, about), sees)
    trace_id = meant["trace_id"] if meant is not None else about.trace_id
    return Found() if trace_id is None else _of_trace(readers, trace_id, meant, sees)


def _candidates(readers: Sequence[JournalReader], about: Reference) -> Iterator[Record]:
    """What the reference names by more than a trace. Who runs is asked for first: a call that ends in between is seen
    twice and not never.
    """
    for reader in readers:
        if about.exchange_id is not None:
            yield from map(_begun, reader.running(exchange_id=about.exchange_id))
            yield from map(_ended, filter(None, [reader.by_exchange(about.exchange_id)]))
        elif about.request_id is not None:
            yield from map(_begun, reader.running_with(b'"request_id":%b' % orjson.dumps(about.request_id)))
            yield from map(_ended, reader.by_request(about.request_id, MOST_OF_ONE_REQUEST))


def _of_trace(readers: Sequence[JournalReader], trace_id: str, meant: Record | None, sees: Sees) -> Found:
    calls: dict[str, Record] = {}
    is_whole = True
    for reader in readers:
        calls |= {call.exchange_id: _begun(call) for call in reader.running(trace_id=trace_id)}
        ended = reader.by_trace(trace_id, MOST_CALLS + 1)
        calls |= {call.exchange_id: _ended(call) for call in ended}
        is_whole = is_whole and len(ended) <= MOST_CALLS
    trace = tuple(call for call in calls.values() if sees(call))
    meant = _last(trace, sees) if meant is None else calls.get(meant["exchange_id"], meant)
    return Found(
        meant=meant,
        trace=trace,
        is_running=any("status" not in call["properties"] for call in trace),
        is_whole=is_whole,
    )


def _begun(call: RunningCall) -> Record:
    facts: Record = orjson.loads(call.facts)
    return facts


def _ended(call: StoredExchange) -> Record:
    return recorded(call.record)


def _last(calls: Iterable[Record], sees: Sees) -> Record | None:
    """The one that began last, of those that may be seen."""
    return max(filter(sees, calls), key=lambda call: call["received_unix_us"], default=None)
