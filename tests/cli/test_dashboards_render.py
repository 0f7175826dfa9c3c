from datetime import UTC, datetime
from pathlib import Path

import pytest

from proxy.cli import main
from tools.bench.store import fill


def test_pictures_of_what_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(tmp_path / "data", 300, until=datetime.now(UTC))
    words = ["dashboards", "render", "--data", str(tmp_path / "data"), "--only", "agents", "--format", "svg"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    picture = tmp_path / "out" / "agents.svg"
    assert capsys.readouterr().out == f"{picture}\n"
    assert "Failed tool calls, by tool" in picture.read_text()
    (tmp_path / "file").write_text("")
    assert main([*words, "--out", str(tmp_path / "file")]) == 1
    assert "cannot write" in capsys.readouterr().err


def test_without_a_journal_there_is_nothing_to_draw(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dashboards", "render", "--data", str(tmp_path), "--out", str(tmp_path)]) == 1
    assert "There is no journal" in capsys.readouterr().err
