from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from proxy.adapters.journal import JournalReader, JournalSettings, SqliteJournal
from proxy.adapters.journal.schema import connect
from tests.harness.rows import COMPLETED, STARTED, closing, event, opening, outcome


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    journal = SqliteJournal(JournalSettings(directory=tmp_path, commit_ms=0, ballast_bytes=4096))
    journal.start()
    yield journal
    journal.close_journal(5)


@pytest.fixture
def reader(journal: SqliteJournal, tmp_path: Path) -> Iterator[JournalReader]:
    with JournalReader(tmp_path / "journal-0.db") as reader:
        yield reader


async def test_it_sees_each_commit(journal: SqliteJournal, reader: JournalReader) -> None:
    assert (list(reader.pending()), reader.exchanges(), reader.rate()) == ([], [], None)
    journal.open(opening("a"))
    journal.close(closing("a"))
    journal.flush(5)
    assert [(one.name, one.state, one.exchange_id) for one in reader.pending()] == [
        (STARTED, "pending", "a"),
        (COMPLETED, "pending", "a"),
    ]
    await journal.lease()
    await journal.bury([event("a").uuid], "poison")
    (dead,) = reader.dead()
    assert (dead.state, dead.reason, dead.body) == ("dead", "poison", event("a").body)
    assert reader.find(event("a").uuid) == dead
    assert reader.find("unknown") is None
    assert list(reader.dead(reason="quota")) == []
    stats = reader.stats()
    assert (stats.admitted, stats.pending, stats.dead, stats.unbalanced) == (2, 1, {"poison": 1}, 0)
    assert stats.oldest_pending_unix_us is not None


def test_ended_calls_by_order_trace_and_id(journal: SqliteJournal, reader: JournalReader) -> None:
    for number in range(5):
        journal.close(closing(f"call-{number}", ended_unix_us=1_900_000_000_000_000))
    journal.flush(5)
    first = reader.exchanges(limit=2)
    assert [one.exchange_id for one in first] == ["call-0", "call-1"]
    rest = reader.exchanges(after_seq=first[-1].seq)
    assert [one.exchange_id for one in rest] == ["call-2", "call-3", "call-4"]
    assert [one.exchange_id for one in reader.latest(2)] == ["call-4", "call-3"]
    assert [one.exchange_id for one in reader.by_trace("trace-call-3")] == ["call-3"]
    found = reader.by_exchange("call-1")
    assert found is not None
    assert (found.trace_id, found.record) == ("trace-call-1", closing("call-1").record)
    assert reader.by_exchange("call-9") is None


def test_calls_by_the_name_that_their_clients_gave_them(journal: SqliteJournal, reader: JournalReader) -> None:
    for name in ("a", "b", "c"):
        journal.close(replace(closing(name), request_id="" if name == "b" else "mine"))
    journal.flush(5)
    assert [call.exchange_id for call in reader.by_request("mine", 5)] == ["c", "a"]
    assert [call.exchange_id for call in reader.by_request("mine", 1)] == ["c"]
    assert reader.by_request("", 5) == []


def test_calls_that_run(journal: SqliteJournal, reader: JournalReader) -> None:
    for name in ("a", "b"):
        journal.open(opening(name))
    journal.close(closing("b"))
    journal.flush(5)
    (found,) = reader.running(exchange_id="a")
    assert reader.running(trace_id=found.trace_id) == reader.running_with(found.facts[2:9]) == [found]
    assert reader.running(exchange_id="b") == reader.running_with(b"nowhere") == []


def test_outcomes_by_order_and_trace(journal: SqliteJournal, reader: JournalReader) -> None:
    journal.note(outcome([event("a", "rated"), event("a", "edited")], "a"))
    journal.note(outcome([event("b", "rated")], "b"))
    journal.flush(5)
    assert [(one.seq, one.name, one.exchange_id) for one in reader.outcomes()] == [
        (1, "rated", "a"),
        (2, "edited", "a"),
        (3, "rated", "b"),
    ]
    assert [one.seq for one in reader.outcomes(after_seq=1, limit=1)] == [2]
    assert reader.last_outcome_seq() == 3
    (found,) = reader.outcomes_of_trace("trace-b")
    assert (found.uuid, found.body) == (event("b", "rated").uuid, event("b", "rated").body)
    assert "padding" not in repr(found)


def test_a_file_of_the_first_release_has_no_outcomes(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    connection = connect(path)
    connection.execute("DROP TABLE outcome; DROP TABLE request")
    connection.close()
    with JournalReader(path) as reader:
        assert (reader.outcomes(), reader.outcomes_of_trace("t"), reader.by_request("r", 1)) == ([], [], [])
        assert reader.last_outcome_seq() == 0
    connect(path).close()
    with JournalReader(path) as reader:
        assert {"outcome", "request"} <= reader._tables


def test_rows_show_no_content(journal: SqliteJournal, reader: JournalReader) -> None:
    journal.close(closing("a"))
    journal.flush(5)
    assert "padding" not in repr([list(reader.pending()), reader.exchanges()])
