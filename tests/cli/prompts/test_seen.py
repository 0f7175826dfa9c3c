import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proxy.adapters.journal import JournalSettings, SqliteJournal
from proxy.cli import main
from proxy.domain import events
from proxy.domain.errors import Status
from proxy.domain.exchange import Fate
from proxy.domain.journal_rows import Closing
from tests.harness.exchanges import EMBEDDINGS, READING, attempt, caller, finished

POLICY = events.EventPolicy()
HOUR_US = 3_600_000_000


class Folder:
    """The data folder of a proxy."""

    def __init__(self, path: Path) -> None:
        self._journal = SqliteJournal(JournalSettings(directory=path, commit_ms=0, ballast_bytes=4096))
        self._journal.start()
        self._count = 0
        self.path = path

    def ran(self, *, ago_h: int = 1, model: str = "gpt-4.1-mini", fate: Fate | None = None, **of: Any) -> None:
        self._count += 1
        endpoint = of.pop("endpoint", None)
        call = finished(
            attempt(reading=replace(READING, model=model)),
            exchange_id=f"call-{self._count}",
            caller=caller(**{"prompt_version_source": "header", **of}),
            received_unix_us=time.time_ns() // 1000 - ago_h * HOUR_US,
            **({"endpoint": endpoint} if endpoint else {}),
        )
        call.fate = fate or call.fate
        closing = events.closing(call, POLICY)
        self._journal.close(
            Closing(
                exchange_id=call.exchange_id,
                trace_id="t",
                ended_unix_us=closing.ended_unix_us,
                events=(),
                record=closing.record,
            )
        )

    def settle(self) -> None:
        assert self._journal.flush(5)

    def close(self) -> None:
        self._journal.close_journal(5)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    made = Folder(tmp_path)
    yield made
    made.close()


def seen(folder: Folder, *options: str) -> int:
    folder.settle()
    return main(["prompts", "seen", "--data", str(folder.path), *options])


def test_versions_stand_by_their_volume_with_hashes_models_and_failures(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    support: dict[str, Any] = {"prompt_name": "support", "prompt_version_id": "pv_1"}
    for text_hash, model in (("aaaaaaaa", "gpt-4.1-mini"), ("bbbbbbbb", "gpt-4.1"), ("aaaaaaaa", "gpt-4.1")):
        folder.ran(**support, prompt_hash=f"sha256:{text_hash}00", model=model)
    folder.ran(**support, fate=Fate(status=Status.ERROR))
    folder.ran(prompt_version_id="fp_0123456789ab", prompt_version_source="inferred", prompt_hash="sha256:01234567")
    folder.ran(prompt_version_source="missing", ago_h=30)
    folder.ran(endpoint=EMBEDDINGS)
    assert seen(folder) == 0
    heading, first, second, third = capsys.readouterr().out.splitlines()
    assert heading.split()[:2] == ["prompt", "version"]
    assert first.split()[:5] == ["support", "pv_1", "header", "4", "25%"]
    assert first.endswith("aaaaaaaa +1 gpt-4.1 +1")
    assert second.split()[:5] == ["-", "fp_0123456789ab", "inferred", "1", "-"]
    assert third.split()[:4] == ["-", "-", "missing", "1"]


def test_json_says_all_and_filters_narrow(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.ran(prompt_name="support", prompt_version_id="pv_1", prompt_hash="sha256:aa")
    folder.ran(prompt_name="router", prompt_version_id="pv_9")
    folder.ran(prompt_name="support", prompt_version_id="pv_0", ago_h=200)
    assert seen(folder, "--json", "--prompt", "supp*") == 0
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert (told["prompt_version_id"], told["calls"], told["hashes"]) == ("pv_1", 1, ["sha256:aa"])
    assert told["last_seen"].endswith("+00:00")
    assert seen(folder, "--since", "30d", "--limit", "1") == 0
    assert "… 2 more with 2 calls" in capsys.readouterr().out


def test_a_prompt_that_changes_at_every_call_is_told(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(20):
        folder.ran(prompt_version_id=f"fp_{number}", prompt_version_source="inferred")
    assert seen(folder) == 0
    told = capsys.readouterr()
    assert "20 inferred versions ran once each" in told.err
    assert "fp_" not in told.out
    assert seen(folder, "--json") == 0
    assert len(capsys.readouterr().out.splitlines()) == 20


def test_nothing_seen_is_said(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    assert seen(folder) == 0
    assert "--since 90d" in capsys.readouterr().err


def test_wrong_usage_is_told(folder: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options in (["--limit", "0"], ["--since", "soon"], ["--model", "x"]):
        with pytest.raises(SystemExit) as left:
            seen(folder, *options)
        assert left.value.code == 2
    assert main(["prompts", "seen", "--data", str(tmp_path / "nowhere")]) == 1
    assert "no journal" in capsys.readouterr().err
