from datetime import UTC, datetime
from pathlib import Path

import pytest

from proxy.adapters.analysis import open_analysis
from proxy.cli import main
from tools.bench.store import fill

END = datetime(2026, 11, 20, tzinfo=UTC)
TRUTH = (
    "SELECT CAST(call_started_at AS DATE) AS day, model, count(*) AS calls, sum(input_tokens) AS input,"
    " sum(cost_usd) AS cost FROM attempts WHERE reached_provider GROUP BY ALL"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reconcile")
    fill(folder, 600, until=END)
    return folder


def export(folder: Path, path: Path, more_input: int = 0) -> Path:
    with open_analysis(folder) as analysis:
        found = analysis.query(TRUTH)
    lines = [f"{row['day']},{row['model']},{row['calls']},{(row['input'] or 0) + more_input}" for row in found]
    path.write_text("\n".join(["date,model,requests,input_tokens", *lines]))
    return path


def test_sums_that_agree(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = export(folder, tmp_path / "usage.csv")
    assert main(["reconcile", str(path), "--data", str(folder)]) == 0
    told = capsys.readouterr().out
    assert told.splitlines()[1].split() == ["requests", "600", "600", "+0.00%"]
    assert "Both sides agree." in told


def test_what_differs_is_shown_with_likely_reasons(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = export(folder, tmp_path / "usage.csv", more_input=10_000)
    assert main(["reconcile", str(path), "--data", str(folder)]) == 1
    told = capsys.readouterr().out
    assert "… and" in told
    assert "They have more: calls that do not go through this proxy" in told
    assert main(["reconcile", str(path), "--data", str(folder), "--tolerance", "100"]) == 0
    capsys.readouterr()
    path = export(folder, tmp_path / "usage.csv")
    assert main(["reconcile", str(path), "--data", str(folder), "--provider", "anthropic"]) == 1
    assert "They have more" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"date,cost\n2026-11-20,x", 2, "usage.csv: line 2: a count or an amount is no number"),
        (b"\xff\xfe\x00", 2, "this is no CSV in UTF-8"),
        (b"date\tcost\n2026-11-20\t\n", 1, "nothing was used, by this file"),
    ],
)
def test_a_file_that_says_nothing(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, code: int, words: str
) -> None:
    (tmp_path / "usage.csv").write_bytes(content)
    assert main(["reconcile", str(tmp_path / "usage.csv"), "--data", str(folder)]) == code
    assert words in capsys.readouterr().err


def test_misuse(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reconcile", str(tmp_path / "none.csv"), "--data", str(folder)]) == 2
    assert "cannot read" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["reconcile", "a.csv", "--tolerance", "-3"])
    assert "is no percentage from 0 to 100" in capsys.readouterr().err
