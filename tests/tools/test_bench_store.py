from pathlib import Path

import pytest

from tools.bench.store import QUESTIONS, main


def test_a_filled_folder_answers_every_question(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "data"), "--calls", "400", "--rounds", "1"]) == 0
    told = capsys.readouterr().out
    assert "400 calls" in told
    assert [question for question in QUESTIONS if question not in told] == []
    assert " 0 rows" not in told
