from pathlib import Path

import pytest

from proxy.adapters.journal import JournalReader, JournalSettings, SqliteJournal, journal_files
from proxy.domain.journal_rows import Closing, JournalEvent
from proxy.pages import events
from tests.pages.conftest import Store

BODY = b'{"event":"llm_request_completed","uuid":"u1","properties":{"trace_id":"t/1"}}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One event that waits, and one that is too large to be sent."""
    journal = SqliteJournal(JournalSettings(directory=tmp_path), wall_unix_us=lambda: 1)
    waits = JournalEvent(uuid="u1", name="llm_request_completed", body=BODY)
    large = JournalEvent(uuid="u2", name="llm_request_failed", body=b'{"a":"%b"}' % (b"x" * 2_000_000))
    journal.close(Closing(exchange_id="x", trace_id="t/1", ended_unix_us=1, events=(waits, large), record=b"{}"))
    assert journal.close_journal(10)
    return tmp_path


def test_what_waits_and_what_was_refused_is_shown_as_it_stands(folder: Path) -> None:
    (waits,) = events.find(folder, "pending")
    assert (waits.name, waits.state, waits.trace) == (
        "llm_request_completed",
        "waiting, tried 0 times",
        "/ui/trace?id=t%2F1",
    )
    assert '"trace_id": "t/1"' in waits.body
    (refused,) = events.find(folder, "dead")
    assert (refused.uuid, refused.state) == ("u2", "refused: too_large")
    assert events.counts([waits, waits, refused]) == {"llm_request_completed": 2, refused.name: 1}


def test_outcomes_stay(store: Store) -> None:
    found = events.find(store.folder, "kept")
    assert len(found) == events.PAGE_ROWS
    assert {event.name for event in found} >= {"llm_task_completed", "llm_agent_step"}
    assert [event.at for event in found] == sorted((event.at for event in found), reverse=True)


def test_refused_events_are_sent_again(folder: Path) -> None:
    assert events.replay(folder, 2) == 1
    (path,) = journal_files(folder)
    with JournalReader(path) as reader:
        assert [event.uuid for event in reader.pending()] == ["u1", "u2"]


def test_a_running_proxy_is_asked_once(folder: Path) -> None:
    journal = SqliteJournal(JournalSettings(directory=folder), wall_unix_us=lambda: 1)
    journal.recover(lambda *_: pytest.fail("nothing was left open"))
    assert [events.replay(folder, 2) for _ in range(2)] == [1, 0]
    assert list(folder.glob("*.request"))
    journal.close_journal(10)
