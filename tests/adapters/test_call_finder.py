"""Against journals that are being written, two of them as of two workers."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from proxy.adapters import call_finder
from proxy.adapters.call_finder import CallFinder, look
from proxy.adapters.journal import JournalSettings, SqliteJournal
from proxy.domain.errors import Overloaded
from proxy.domain.events import EventPolicy, closing, opening
from proxy.domain.exchange import Exchange
from proxy.domain.ids import new_exchange_id, request_id_of
from proxy.domain.outcome_context import Found, Record, seen_by
from proxy.domain.outcomes import Reference
from tests.harness.exchanges import RECEIVED_UNIX_US, caller, finished, running

POLICY = EventPolicy()


@pytest.fixture
def journals(tmp_path: Path) -> Iterator[list[SqliteJournal]]:
    with ExitStack() as leaving:
        made = [
            SqliteJournal(JournalSettings(directory=tmp_path, worker=worker, store_max_age_s=1e9)) for worker in (0, 1)
        ]
        for journal in made:
            journal.start()
            leaving.callback(journal.close_journal, 5)
        yield made


def exchange_id(number: int) -> str:
    return new_exchange_id(RECEIVED_UNIX_US, number.to_bytes(10))


def ended(number: int, *, trace_id: str = "t", alias: str | None = None, request_id: str | None = None) -> Exchange:
    """A call that began `number` seconds after the first."""
    name = exchange_id(number)
    sender = caller(trace_id=trace_id, key_alias=alias, request_id=request_id or request_id_of(name))
    return finished(exchange_id=name, caller=sender, received_unix_us=RECEIVED_UNIX_US + number * 1_000_000)


def write(journal: SqliteJournal, *calls: Exchange) -> None:
    for call in calls:
        journal.close(closing(call, POLICY))
    assert journal.flush(5)


def ids(calls: Sequence[Record]) -> set[str]:
    return {call["exchange_id"] for call in calls}


def find(folder: Path, alias: str | None = None, **about: str) -> Found:
    (found,) = look(folder, [Reference(**about)], seen_by(alias))
    return found


def meant(folder: Path, alias: str | None = None, **about: str) -> str | None:
    found = find(folder, alias, **about).meant
    return None if found is None else str(found["exchange_id"])


def test_a_trace_is_gathered_from_all_workers(journals: list[SqliteJournal], tmp_path: Path) -> None:
    write(journals[0], ended(1), ended(3), ended(4, trace_id="other"))
    write(journals[1], ended(2))
    found = find(tmp_path, trace_id="t")
    assert ids(found.trace) == {exchange_id(number) for number in (1, 2, 3)}
    assert found.meant is not None
    assert (found.meant["exchange_id"], found.is_running, found.is_whole) == (exchange_id(3), False, True)


def test_a_call_is_found_by_its_own_id_with_its_trace(journals: list[SqliteJournal], tmp_path: Path) -> None:
    write(journals[0], ended(1))
    write(journals[1], ended(2))
    found = find(tmp_path, exchange_id=exchange_id(1))
    assert found.meant is not None
    assert found.meant["exchange_id"] == exchange_id(1)
    assert len(found.trace) == 2


def test_of_calls_with_one_request_id_the_last_is_meant(journals: list[SqliteJournal], tmp_path: Path) -> None:
    write(journals[0], ended(1, request_id="r"), ended(5, trace_id="u", request_id="r"))
    write(journals[1], ended(3, request_id="r"), ended(9, request_id="other"))
    assert meant(tmp_path, request_id="r") == exchange_id(5)
    assert meant(tmp_path, request_id="unknown", trace_id="t") == exchange_id(9)
    assert meant(tmp_path, request_id="unknown") is None


def test_a_running_call_is_found_and_told_to_run(journals: list[SqliteJournal], tmp_path: Path) -> None:
    call = replace(running(), exchange_id=exchange_id(1), caller=caller(trace_id="t", request_id='a"b'))
    journals[1].open(opening(call, POLICY))
    assert journals[1].flush(5)
    for about in ({"exchange_id": exchange_id(1)}, {"trace_id": "t"}, {"request_id": 'a"b'}):
        found = find(tmp_path, **about)
        assert found.meant is not None
        assert (found.meant["distinct_id"], found.is_running) == ("user_8f3a", True)
    assert meant(tmp_path, request_id="a") is None


def test_what_a_key_may_not_see_is_as_good_as_unknown(journals: list[SqliteJournal], tmp_path: Path) -> None:
    write(journals[0], ended(1, alias="web", request_id="r"), ended(2, alias="batch", request_id="r"), ended(3))
    assert meant(tmp_path, "web", request_id="r") == exchange_id(1)
    assert meant(tmp_path, "batch", exchange_id=exchange_id(1)) is None
    assert ids(find(tmp_path, "web", trace_id="t").trace) == {exchange_id(1), exchange_id(3)}
    write(journals[1], ended(4, alias="batch", trace_id="theirs"))
    assert find(tmp_path, "web", trace_id="theirs") == find(tmp_path, "web", trace_id="nobody's") == Found()


def test_of_a_trace_without_end_no_sum_can_be_told(
    journals: list[SqliteJournal], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_finder, "MOST_CALLS", 2)
    write(journals[0], *map(ended, (1, 2, 3)))
    assert not find(tmp_path, trace_id="t").is_whole


def test_a_call_whose_process_died_has_ended(journals: list[SqliteJournal], tmp_path: Path) -> None:
    facts = opening(replace(running(), exchange_id=exchange_id(1)), POLICY)
    journals[0].close(
        replace(closing(ended(1, trace_id="trace_1"), POLICY), record=facts.facts)  # as `recover` writes it
    )
    assert journals[0].flush(5)
    found = find(tmp_path, trace_id="trace_1")
    assert (found.meant is not None, found.is_running) == (True, False)


def test_files_that_cannot_be_read_are_left_out(journals: list[SqliteJournal], tmp_path: Path) -> None:
    (tmp_path / "journal-7.db").write_bytes(b"not a journal")
    write(journals[0], ended(1))
    assert meant(tmp_path, trace_id="t") == exchange_id(1)
    assert find(tmp_path / "nowhere", trace_id="t") == Found()


async def test_too_many_questions_are_refused_until_some_are_answered(
    journals: list[SqliteJournal], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_finder, "MOST_AT_ONCE", 2)
    finder, about = CallFinder(tmp_path), Reference(trace_id="t")
    answers = await asyncio.gather(*(finder.find([about], seen_by(None)) for _ in range(3)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [list, list, Overloaded]
    assert await finder.find([about], seen_by(None)) == [Found()]
    finder.close()


async def test_it_reads_off_the_event_loop(journals: list[SqliteJournal], tmp_path: Path) -> None:
    write(journals[0], ended(1))
    finder = CallFinder(tmp_path)
    (found, unknown) = await finder.find([Reference(trace_id="t"), Reference(trace_id="u")], seen_by(None))
    finder.close()
    assert (found.meant is not None, unknown) == (True, Found())
    with pytest.raises(RuntimeError):
        await finder.find([Reference(trace_id="t")], seen_by(None))
