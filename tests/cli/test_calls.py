import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proxy.adapters.journal import JournalSettings, SqliteJournal
from proxy.cli import calls, main
from proxy.cli.call_rows import HEADING, WIDE_HEADING
from proxy.domain import events
from proxy.domain.errors import ErrorType, Status
from proxy.domain.exchange import Fate
from proxy.domain.journal_rows import Closing
from tests.harness.exchanges import READING, attempt, caller, finished, running

POLICY = events.EventPolicy(trace_url="https://traces.example/{trace_id}")
NOW_US = time.time_ns() // 1000
SECOND_US = 1_000_000


class Folder:
    """The data folder of a proxy with two workers, while it runs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        settings = JournalSettings(directory=path, commit_ms=0, ballast_bytes=4096)
        self.journals = [SqliteJournal(replace(settings, worker=worker)) for worker in (0, 1)]

    def end(
        self,
        exchange_id: str,
        *,
        ago_s: int,
        worker: int = 0,
        fate: Fate | None = None,
        key: str | None = None,
        **of: Any,
    ) -> None:
        """A call of the worker that ended so many seconds ago."""
        model = of.pop("model", "gpt-4.1-mini")
        who = caller(key_alias=key, trace_id=of.pop("trace_id", f"trace-{exchange_id}"), **of)
        call = finished(attempt(reading=replace(READING, model=model)), exchange_id=exchange_id, caller=who)
        call.fate = fate or call.fate
        self.close(call.exchange_id, who.trace_id, events.closing(call, POLICY).record, ago_s, worker)

    def close(self, exchange_id: str, trace_id: str, record: bytes, ago_s: int, worker: int = 0) -> None:
        ended_us = NOW_US - ago_s * SECOND_US
        journal = self.journals[worker]
        journal.close(
            Closing(exchange_id=exchange_id, trace_id=trace_id, ended_unix_us=ended_us, events=(), record=record)
        )
        assert journal.flush(5)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    """The command's clock stands still, so that a call's age does not depend on how long the tests take."""
    monkeypatch.setattr(calls, "time_ns", lambda: NOW_US * 1000)
    made = Folder(tmp_path)
    for journal in made.journals:
        journal.start()
    yield made
    for journal in made.journals:
        journal.close_journal(5)


@pytest.fixture
def busy(folder: Folder) -> Folder:
    """Six calls, of which one is two days old."""
    folder.end("c0", ago_s=172_800)
    folder.end("c1", ago_s=50, prompt_name="support", prompt_version_id="v1", key="web-app")
    folder.end("c2", ago_s=40, worker=1, prompt_name="support", prompt_version_id="v2", model="claude-haiku-4-5")
    refused = Fate(status=Status.ERROR, error_type=ErrorType.PROVIDER_RATE_LIMIT)
    folder.end("c3", ago_s=30, fate=refused, trace_id="task-7")
    folder.end("c4", ago_s=20, worker=1, trace_id="task-7")
    folder.close("c5", "trace-c5", events.opening(running(exchange_id="c5"), POLICY).facts, 10)
    return folder


def calls_of(folder: Folder, *words: str) -> list[str]:
    return [*words, "--data", str(folder.path)]


def listed(folder: Folder, capsys: pytest.CaptureFixture[str], *filters: str) -> list[str]:
    """Exchange ids in the order of `calls ls --json`."""
    assert main(["calls", "ls", "--json", *calls_of(folder, *filters)]) == 0
    return [json.loads(line)["exchange_id"] for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ((), ["c1", "c2", "c3", "c4", "c5"]),
        (("--since", "3d"), ["c0", "c1", "c2", "c3", "c4", "c5"]),
        (("--since", "35s"), ["c3", "c4", "c5"]),
        (("--limit", "2"), ["c4", "c5"]),
        (("--prompt", "support"), ["c1", "c2"]),
        (("--prompt", "supp*", "--limit", "1"), ["c2"]),
        (("--version", "v2"), ["c2"]),
        (("--model", "claude-*"), ["c2"]),
        (("--model", "gpt-4.1-mini", "--limit", "9"), ["c1", "c2", "c3", "c4", "c5"]),  # c2 asked for it
        (("--target", "openai"), ["c1", "c2", "c3", "c4"]),
        (("--status", "error"), ["c3", "c5"]),
        (("--status", "success", "--key", "web-*"), ["c1"]),
        (("--trace", "task-7"), ["c3", "c4"]),
        (("--trace", "task-*"), ["c3", "c4"]),
        (("--trace", "task-7", "--status", "error"), ["c3"]),
        (("--trace", "task-7", "--limit", "1"), ["c4"]),
        (("--trace", "trace-c0"), ["c0"]),  # by the index, however old
        (("--model", "gpt"), []),
    ],
)
def test_filters(busy: Folder, filters: tuple[str, ...], found: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert listed(busy, capsys, *filters) == found


def test_the_table_has_the_newest_last_and_says_where_a_day_begins(
    busy: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["calls", "ls", *calls_of(busy, "--since", "3d")]) == 0
    heading, day_one, oldest, day_two, *rest = capsys.readouterr().out.splitlines()
    assert heading == HEADING
    assert day_one < day_two
    assert oldest.endswith("success")
    rows = [line for line in rest if not line.startswith("20") or ":" in line]  # midnight may lie between them
    assert [row.split()[-1] for row in rows] == ["success", "success", "error", "success", "error"]
    assert [row.split()[1] for row in rows[:2]] == ["v1", "v2"]
    assert "interrupted error" in rows[-1]
    assert max(map(len, rest)) <= 80


def test_a_trace_ends_with_the_address_of_its_page(busy: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calls", "ls", *calls_of(busy, "--trace", "task-7")]) == 0
    assert capsys.readouterr().out.endswith("\n\nThe trace as a page: https://traces.example/task-7\n")


def test_wide_shows_the_ids(busy: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calls", "ls", "--wide", *calls_of(busy, "--limit", "2")]) == 0
    heading, _, *rows = capsys.readouterr().out.splitlines()
    assert heading == WIDE_HEADING
    assert [row.split()[-2:] for row in rows] == [["task-7", "c4"], ["trace_1", "c5"]]


def test_where_nothing_matches_that_is_said_beside_the_output(busy: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calls", "ls", *calls_of(busy, "--model", "gpt")]) == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert "--since" in told.err


def test_a_call_whose_process_died_says_so_to_scripts_too(busy: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calls", "ls", "--json", *calls_of(busy, "--limit", "1")]) == 0
    assert json.loads(capsys.readouterr().out)["properties"]["error_type"] == "interrupted"


def test_show_finds_a_call_or_a_trace(busy: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calls", "show", *calls_of(busy, "c2")]) == 0
    shown = capsys.readouterr().out
    assert json.loads(shown)["properties"]["model"] == "claude-haiku-4-5"
    assert len(shown.splitlines()) > 30
    assert main(["calls", "show", "--json", *calls_of(busy, "task-7")]) == 0
    assert [json.loads(line)["exchange_id"] for line in capsys.readouterr().out.splitlines()] == ["c3", "c4"]
    assert main(["calls", "show", *calls_of(busy, "task-7")]) == 0
    shown = capsys.readouterr().out
    assert shown.index('"exchange_id": "c3"') < shown.index('"exchange_id": "c4"')
    assert main(["calls", "show", *calls_of(busy, "c9")]) == 1
    assert "has this id" in capsys.readouterr().err


def test_tail_begins_with_the_last_ones_and_tells_each_new_one_once(
    folder: Folder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(12):
        folder.end(f"c{number:02}", ago_s=100 - number)
    pauses = iter(
        [
            lambda: folder.end("c12", ago_s=5, worker=1),
            lambda: folder.end("c13", ago_s=4, fate=Fate(status=Status.TIMEOUT)),
            lambda: None,
        ]
    )

    def pause(_: float) -> None:
        happens = next(pauses, None)
        if happens is None:
            raise KeyboardInterrupt
        happens()

    monkeypatch.setattr(calls, "sleep", pause)
    assert main(["calls", "tail", "--json", *calls_of(folder, "--status", "success")]) == 0
    told = [json.loads(line)["exchange_id"] for line in capsys.readouterr().out.splitlines()]
    assert told == [f"c{number:02}" for number in range(2, 13)]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("ls", "--limit", "0"), "write 1 or more"),
        (("ls", "--since", "5"), "write 7d"),
        (("ls", "--status", "bad"), "choose from"),
        (("tail", "--limit", "5"), "--limit"),
        (("show",), "ID"),
    ],
)
def test_misuse(words: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["calls", *words])
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_ctrl_c_in_a_long_search_is_no_traceback(busy: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(calls, "newest_first", interrupted)
    assert main(["calls", "ls", *calls_of(busy)]) == 130
