import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.adapters.journal import Certainty, JournalSettings, SqliteJournal
from proxy.cli import main
from tests.harness.rows import closing, event, opening, uuid_of


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    """Three calls, of which one event is dead and one delivered; the proxy runs."""
    journal = SqliteJournal(JournalSettings(directory=tmp_path, commit_ms=0, ballast_bytes=4096))
    journal.start()
    for number in range(3):
        journal.open(opening(f"call-{number}"))
        journal.close(closing(f"call-{number}", ended_unix_us=1_800_000_000_000_000 + number * 1_000_000))
    journal.flush(5)
    yield journal
    journal.close_journal(5)


async def settle(journal: SqliteJournal) -> None:
    await journal.lease()
    await journal.bury([event("call-0").uuid], "quota")
    await journal.ack([event("call-1").uuid], Certainty.UNVERIFIED)
    await journal.release_all()


def outbox(capsys: pytest.CaptureFixture[str], tmp_path: Path, *args: str, code: int = 0) -> str:
    verb, *rest = args
    assert main(["outbox", verb, "--data", str(tmp_path), *rest]) == code
    out, err = capsys.readouterr()
    assert max((len(line) for line in out.splitlines() if not out.startswith(("{", "["))), default=0) <= 80
    return out or err


async def test_stats_says_what_lies_where(
    journal: SqliteJournal, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await settle(journal)
    lines = outbox(capsys, tmp_path, "stats").splitlines()
    assert lines[0] == "journal-0.db"
    assert [line.split()[:2] for line in lines[1:7]] == [
        ["admitted", "6"], ["pending", "4"], ["delivered", "1"], ["dead", "1"], ["dropped", "0"], ["calls", "3"]
    ]  # fmt: skip
    assert "quota 1" in lines[4]
    (document,) = json.loads(outbox(capsys, tmp_path, "stats", "--json"))
    assert document["dead"] == {"quota": 1}
    assert document["unbalanced"] == 0


async def test_stats_says_how_long_an_outage_fits(
    journal: SqliteJournal, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert journal.close_journal(5)
    (document,) = json.loads(outbox(capsys, tmp_path, "stats", "--json"))
    assert document["events_per_s"] == 2.0  # two events a call, one call a second
    room_bytes = document["outbox_max_bytes"] - document["pending_bytes"]
    assert document["outage_fits_s"] == round(room_bytes / (2.0 * document["pending_bytes"] / 6))
    assert "an outage of " in outbox(capsys, tmp_path, "stats")


async def test_ls_and_dead_list(journal: SqliteJournal, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    await settle(journal)
    lines = outbox(capsys, tmp_path, "ls").splitlines()
    assert len(lines) == 4
    assert lines[0].startswith(uuid_of("call-0", "llm_request_started"))
    assert lines[0].endswith("llm_request_started")
    assert len(outbox(capsys, tmp_path, "ls", "--limit", "2").splitlines()) == 2
    (dead,) = outbox(capsys, tmp_path, "dead").splitlines()
    assert "quota" in dead
    assert outbox(capsys, tmp_path, "dead", "--reason", "poison") == "None.\n"
    assert [row["state"] for row in json.loads(outbox(capsys, tmp_path, "dead", "--json"))] == ["dead"]


async def test_show_finds_pending_and_dead(
    journal: SqliteJournal, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await settle(journal)
    shown = json.loads(outbox(capsys, tmp_path, "show", event("call-0").uuid))
    assert (shown["state"], shown["reason"]) == ("dead", "quota")
    assert shown["event"] == json.loads(event("call-0").body)
    assert json.loads(outbox(capsys, tmp_path, "show", event("call-2").uuid))["state"] == "pending"
    assert "No pending or dead" in outbox(capsys, tmp_path, "show", event("call-1").uuid, code=1)


async def test_export_is_what_posthog_would_get(
    journal: SqliteJournal, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await settle(journal)
    assert main(["outbox", "export", "--data", str(tmp_path)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 5
    assert main(["outbox", "export", "--state", "dead", "--data", str(tmp_path)]) == 0
    assert capsys.readouterr().out.encode() == event("call-0").body + b"\n"


async def test_replay_while_the_proxy_runs(
    journal: SqliteJournal, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await settle(journal)
    said = outbox(capsys, tmp_path, "replay", "--reason", "quota")
    assert said == "Done by the running proxy: what matched was replayed.\n"
    assert outbox(capsys, tmp_path, "dead") == "None.\n"
    assert journal.flush(5)
    assert (journal.stats().pending, journal.stats().unbalanced) == (5, 0)


async def test_replay_and_purge_while_it_does_not(
    journal: SqliteJournal, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await settle(journal)
    await journal.lease()
    await journal.bury([event("call-2").uuid], "poison")
    journal.close_journal(5)
    assert outbox(capsys, tmp_path, "replay", "--uuid", event("call-0").uuid).startswith("1 replayed;")
    assert json.loads(outbox(capsys, tmp_path, "replay", "--reason", "quota", "--json"))["done"] == 0
    assert outbox(capsys, tmp_path, "purge", "--older-than", "1h").startswith("0 purged;")
    assert outbox(capsys, tmp_path, "purge", "--older-than", "0s").startswith("1 purged;")
    (document,) = json.loads(outbox(capsys, tmp_path, "stats", "--json"))
    assert (document["dead"], document["dropped"], document["unbalanced"]) == ({}, {"purged": 1}, 0)


def test_a_folder_without_a_journal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "There is no journal" in outbox(capsys, tmp_path, "stats", code=1)


def test_a_file_that_is_no_journal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "journal-0.db").write_bytes(b"not a database, and long enough to be taken for one" * 100)
    said = outbox(capsys, tmp_path, "stats", code=1)
    assert said.count("\n") == 1
    assert "cannot be read" in said


def test_an_age_needs_its_unit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["outbox", "purge", "--older-than", "7"])
    assert "write 7d" in capsys.readouterr().err


def test_no_thread_is_left(journal: SqliteJournal) -> None:
    assert any(thread.name == "journal" for thread in threading.enumerate())
    assert journal.close_journal(5)
    assert not any(thread.name == "journal" for thread in threading.enumerate())
