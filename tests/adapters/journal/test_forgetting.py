"""A forgotten user is nowhere in the file: not in a table, a free page or the log; and the counts still add up."""

from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from proxy.adapters.journal import JournalReader, JournalSettings, SqliteJournal, forgetting
from proxy.adapters.journal.requests import Request, do_now, leave
from proxy.domain.journal_rows import Closing, JournalEvent
from tests.harness.rows import ENDED_UNIX_US, closing, event, outcome

GONE, STAYS = "user_«gone»", "user_stays"
NOW_US = ENDED_UNIX_US
REQUEST = Request(verb="forget", before_unix_us=0, distinct_id=GONE)


def of_user(made: JournalEvent, user: str) -> JournalEvent:
    return replace(made, body=orjson.dumps({**orjson.loads(made.body), "distinct_id": user}))


def end(number: int, user: str) -> Closing:
    made = closing(f"c{number}", record_bytes=5_000)
    record = orjson.dumps({**orjson.loads(made.record), "distinct_id": user, "own": {"friend": STAYS}})
    return replace(made, record=record, events=tuple(of_user(one, user) for one in made.events))


def settings(tmp_path: Path) -> JournalSettings:
    return JournalSettings(directory=tmp_path, commit_ms=0, ballast_bytes=4096)


async def filled(tmp_path: Path) -> SqliteJournal:
    """Each kind of row, of both users: ended calls, outcomes, pending, dead and delivered events."""
    journal = SqliteJournal(settings(tmp_path), wall_unix_us=lambda: NOW_US)
    journal.start()
    for number in range(40):
        user = (GONE, STAYS)[number % 2]
        journal.close(end(number, user))
        journal.note(outcome([of_user(event(f"o{number}", size_bytes=3_000), user)]))
    assert journal.flush(5)
    sent = await journal.lease(20)
    await journal.ack(sent.uuids, "verified")  # type: ignore[arg-type]
    refused = await journal.lease(20)
    await journal.bury(refused.uuids, "quota")
    return journal


def check(tmp_path: Path) -> None:
    needle = orjson.dumps(GONE)[1:-1]
    files = {path.name: path.read_bytes() for path in tmp_path.glob("journal-0.db*")}
    assert [name for name, data in files.items() if needle in data] == []
    with JournalReader(tmp_path / "journal-0.db") as reader:
        stats = reader.stats()
        assert stats.unbalanced == 0
        assert stats.exchanges == len(reader.exchanges(limit=99)) == 20
        assert len(reader.outcomes(limit=99)) == 20
        kept = [*reader.pending(), *reader.dead()]
        assert {orjson.loads(one.body)["distinct_id"] for one in kept} == {STAYS}
        assert stats.pending + sum(stats.dead.values()) == len(kept)
        assert stats.dropped["forgotten"] + len(kept) + sum(stats.delivered.values()) == 80
        records = sum(len(call.record) for call in reader.exchanges(limit=99))
        bodies = sum(len(one.body) for one in reader.outcomes(limit=99))
        assert stats.store_bytes == records + bodies + 40 * 256


@pytest.mark.parametrize("is_running", [False, True])
async def test_all_of_a_user_goes_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_running: bool
) -> None:
    monkeypatch.setattr(forgetting, "STRETCH_ROWS", 7)
    journal = await filled(tmp_path)
    path = tmp_path / "journal-0.db"
    if is_running:
        request = leave(path, REQUEST)
        while request.exists():
            journal.flush(5)
    assert journal.close_journal(5)
    if not is_running:
        assert do_now(path, REQUEST, settings(tmp_path), NOW_US) is not None
    check(tmp_path)


async def test_a_file_that_holds_no_such_user_stays_as_it_is(tmp_path: Path) -> None:
    journal = await filled(tmp_path)
    assert journal.close_journal(5)
    path = tmp_path / "journal-0.db"
    with JournalReader(path) as reader:
        before = reader.stats()
    assert do_now(path, replace(REQUEST, distinct_id="friend"), settings(tmp_path), NOW_US) is not None
    with JournalReader(path) as reader:
        assert reader.stats() == before
