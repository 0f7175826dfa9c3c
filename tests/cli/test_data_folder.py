import argparse
from pathlib import Path

import apsw
import pytest

from proxy.adapters.journal import JournalSettings, SqliteJournal
from proxy.adapters.journal.schema import Unusable
from proxy.cli.data_folder import FAILED, WELL, add_data, age_in_s, count, guarded, readers


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One with the journal of a proxy that has ended."""
    SqliteJournal(JournalSettings(directory=tmp_path, ballast_bytes=4096)).close_journal(5)
    return tmp_path


def run_verb(directory: Path, error: Exception | None = None) -> int:
    def verb(args: argparse.Namespace) -> int:
        if error is not None:
            raise error
        with readers(args.data) as opened:
            assert [path.name for path, _ in opened] == ["journal-0.db"]
        return WELL

    return guarded(verb)(argparse.Namespace(data=directory))


def test_a_verb_reads_each_file(folder: Path) -> None:
    assert run_verb(folder) == WELL


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Unusable("is damaged"), "is damaged."),
        (apsw.BusyError(), "cannot be read (BusyError)."),
        (PermissionError(), "cannot be read (PermissionError)."),
    ],
)
def test_what_is_wrong_is_told_in_a_line(
    folder: Path, error: Exception, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_verb(folder, error) == FAILED
    assert capsys.readouterr().err == f"A journal in {folder}/ {told}\n"


def test_a_reader_of_the_output_that_has_enough_is_no_fault_of_the_files(folder: Path) -> None:
    with pytest.raises(BrokenPipeError):
        run_verb(folder, BrokenPipeError())


def test_a_folder_without_a_journal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_verb(tmp_path) == FAILED
    assert "There is no journal" in capsys.readouterr().err


def test_the_folder_is_that_of_serve_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def chosen(*words: str) -> Path:
        parser = argparse.ArgumentParser()
        add_data(parser)
        found: Path = parser.parse_args(words).data
        return found

    monkeypatch.delenv("PROMPTLANE_DATA", raising=False)
    assert chosen() == Path("data")
    monkeypatch.setenv("PROMPTLANE_DATA", "/srv/promptlane")
    assert chosen() == Path("/srv/promptlane")
    assert chosen("--data", "here") == Path("here")


def test_ages() -> None:
    assert [age_in_s(text) for text in ("45s", "30m", "12h", "7d")] == [45, 1800, 43_200, 604_800]


@pytest.mark.parametrize("text", ["", "7", "d", "-1d", "1w", "1.5h", "1 h", "1" * 10 + "d"])
def test_an_age_needs_its_unit(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="write 7d"):
        age_in_s(text)


def test_counts() -> None:
    assert [count(text) for text in ("1", "007", "999999999")] == [1, 7, 999_999_999]


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "٣", "1" * 10])
def test_a_count_is_a_whole_number_from_1_on(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="write 1 or more"):
        count(text)
