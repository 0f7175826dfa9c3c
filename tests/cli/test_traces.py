import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from proxy.adapters.journal import JournalSettings, SqliteJournal
from proxy.cli import main, traces
from proxy.domain.events import event_uuid
from proxy.domain.journal_rows import JournalEvent, Outcome
from tools.bench.store import fill


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("traces")
    fill(folder, 900, until=datetime.now(UTC))
    return folder


@pytest.mark.parametrize("order", ["latest", "cost", "time", "calls", "failed"])
def test_the_first_of_the_list_is_what_was_asked_for(
    folder: Path, capsys: pytest.CaptureFixture[str], order: str
) -> None:
    assert main(["traces", "ls", "--data", str(folder), "--since", "40d", "--by", order, "--json", "--limit", "9"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    column = {"latest": "ended_at", "cost": "cost_usd", "time": "duration_s"}.get(order, order)
    values = [row[column] for row in rows]
    assert len(values) == 9
    assert values == sorted(values, reverse=True)


def test_filters_name_whole_traces(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["traces", "ls", "--data", str(folder), "--since", "40d", "--json", "--limit", "999"]
    assert main([*words, "--failed", "--model", "gpt-4.1"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows
    assert all(row["failed"] > 0 for row in rows)
    assert {row["calls"] for row in rows} == {3}  # all calls of a trace, not those of the model alone
    assert main([*words, "--user", "nobody"]) == 0
    assert capsys.readouterr().out == ""


def test_a_trace_is_shown_and_found_by_its_whole_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["traces", "show", "trace_7", "--data", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("trace trace_7\n3 calls")
    assert main(["traces", "show", "trace_7", "--data", str(folder), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["calls"]) == 3
    assert main(["traces", "show", "trace_none", "--data", str(folder)]) == 1
    assert "Nothing that has ended here is of this trace" in capsys.readouterr().err


def test_a_list_for_people(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["traces", "ls", "--data", str(folder), "--since", "40d", "--limit", "2"]) == 0
    heading, *rows = capsys.readouterr().out.splitlines()
    assert heading.startswith("last call UTC")
    assert [row.split()[-1] for row in rows] == ["trace_299", "trace_298"]
    assert main(["traces", "ls", "--data", str(folder), "--since", "1s"]) == 0
    assert "--since 7d looks further back" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["traces", "ls", "--limit", "0"])


def test_tail_tells_calls_and_outcomes_as_they_come(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = SqliteJournal(JournalSettings(directory=tmp_path, commit_ms=0, ballast_bytes=4096))
    journal.start()
    looks = iter([True, False])

    def pause(_: float) -> None:
        if not next(looks):
            raise KeyboardInterrupt
        uuid = event_uuid("x", "llm_output_rated")
        body = b'{"event":"llm_output_rated","properties":{"user_feedback":"positive"}}'
        event = JournalEvent(uuid=uuid, name="llm_output_rated", body=body)
        journal.note(Outcome(trace_id="trace-a", at_unix_us=1_795_219_200_000_000, events=(event,)))
        assert journal.flush(5)

    monkeypatch.setattr(traces, "sleep", pause)
    assert main(["traces", "tail", "--data", str(tmp_path)]) == 0
    journal.close_journal(5)
    heading, line = capsys.readouterr().out.splitlines()
    assert heading.startswith("trace        time UTC")
    assert line == "trace-a      00:00:00 llm_output_rated         user_feedback=positive"
