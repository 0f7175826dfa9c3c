import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from proxy.cli import main
from tools.bench.store import fill


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    fill(folder, 900, until=datetime.now(UTC))
    return folder


def test_it_tells_figures_and_what_changed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--data", str(folder)]) == 0
    told = capsys.readouterr().out
    assert "all calls" in told
    assert {line[:24].rstrip()[-4:] for line in told.splitlines() if line.startswith("support")} == {
        "_001",
        "_002",
        "_003",
    }
    assert "What changed" in told


def test_json_has_everything(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--data", str(folder), "--since", "20d", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {finding["topic"] for finding in told["findings"] if not finding["part"]} >= {"volume", "cost"}
    assert len(told["prompt_versions"]) >= 3
    assert 595 <= told["whole"]["now"]["calls"] <= 600  # made a moment ago, until now


@pytest.mark.parametrize(("name", "begins"), [("a.svg", b"<svg"), ("a.png", b"\x89PNG")])
def test_a_picture(folder: Path, tmp_path: Path, name: str, begins: bytes) -> None:
    assert main(["report", "--data", str(folder), "--picture", str(tmp_path / name)]) == 0
    assert (tmp_path / name).read_bytes().startswith(begins)


def test_what_cannot_be(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--data", str(folder), "--picture", "a.gif"]) == 2
    assert main(["report", "--data", str(folder), "--picture", str(tmp_path / "no" / "a.svg")]) == 1
    assert "cannot write" in capsys.readouterr().err
    fill(tmp_path, 0, until=datetime.now(UTC))
    assert main(["report", "--data", str(tmp_path)]) == 1
    assert "--since 30d looks further back" in capsys.readouterr().err
    assert main(["report", "--data", str(tmp_path / "nothing")]) == 1
