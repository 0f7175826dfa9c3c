from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.adapters.journal import JournalSettings, SqliteJournal
from proxy.adapters.trace_marks import FILE_NAME, FileMarks, Mark, begin, end, read_marks, write_marks
from tests.harness.rows import closing, event, outcome, uuid_of

MARKS = {"journal-0.db": FileMarks(Mark(7, "c7"), Mark(2, "u2")), "journal-1.db": FileMarks()}


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    made = SqliteJournal(JournalSettings(directory=tmp_path, commit_ms=0, ballast_bytes=4096))
    made.start()
    yield made
    made.close_journal(5)


def test_marks_are_read_as_they_were_written(tmp_path: Path) -> None:
    assert read_marks(tmp_path) is None
    write_marks(tmp_path, MARKS)
    assert read_marks(tmp_path) == MARKS
    assert [(path.name, path.stat().st_mode & 0o077) for path in tmp_path.iterdir()] == [(FILE_NAME, 0)]
    end(tmp_path)
    end(tmp_path)
    assert read_marks(tmp_path) is None


@pytest.mark.parametrize("broken", [b"", b"{", b"[]", b'{"v":2,"files":{}}', b'{"v":1}', b'{"v":1,"files":{"a":{}}}'])
def test_a_damaged_file_counts_as_none(tmp_path: Path, broken: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(broken)
    assert read_marks(tmp_path) is None


def test_a_beginning_passes_over_what_is_there_and_a_second_one_changes_nothing(
    journal: SqliteJournal, tmp_path: Path
) -> None:
    journal.close(closing("c1"))
    journal.close(closing("c2"))
    journal.note(outcome([event("c2", "llm_agent_step")]))
    assert journal.flush(5)
    begin(tmp_path)
    begun = {"journal-0.db": FileMarks(Mark(2, "c2"), Mark(1, uuid_of("c2", "llm_agent_step")))}
    assert read_marks(tmp_path) == begun
    journal.close(closing("c3"))
    assert journal.flush(5)
    begin(tmp_path)
    assert read_marks(tmp_path) == begun


def test_before_the_first_call_all_is_still_to_be_told(journal: SqliteJournal, tmp_path: Path) -> None:
    begin(tmp_path)
    assert read_marks(tmp_path) == {"journal-0.db": FileMarks()}


def test_a_folder_that_cannot_be_written_keeps_what_it_had(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        write_marks(tmp_path / "absent", MARKS)
