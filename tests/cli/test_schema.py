import json
import re
from pathlib import Path

import pytest

from proxy.cli import main
from proxy.config.json_schema import FILES, schema_text
from tests.harness.pages import ROOT, blocks


def test_one_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "analytics"]) == 0
    assert capsys.readouterr().out == schema_text("analytics")


def test_without_a_name_it_tells_how_to_use_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert "routing, analytics, prompts, alerts, pricing" in capsys.readouterr().out


def test_the_lines_that_it_shows_lead_to_what_it_writes_and_are_those_of_the_guide(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["schema"]) == 0
    shown = re.findall(
        r"^  (\S+\.yaml) +(# yaml-language-server: \$schema=(\S+))$", capsys.readouterr().out, re.MULTILINE
    )
    assert main(["schema", "--out", str(tmp_path / "config" / "schemas")]) == 0
    for name, (file, _, schema) in zip(FILES, shown, strict=True):
        assert ((tmp_path / file).parent / schema).read_text() == schema_text(name)
    examples = [block.text for block in blocks(ROOT / "docs" / "configuration.md") if block.language == "yaml"]
    assert [text.splitlines()[0] for text in examples] == [line for _, line, _ in shown]


@pytest.mark.parametrize(("names", "written"), [([], list(FILES)), (["pricing"], ["pricing"])])
def test_files_are_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], names: list[str], written: list[str]
) -> None:
    folder = tmp_path / "a" / "b"
    assert main(["schema", *names, "--out", str(folder)]) == 0
    paths = [folder / f"{name}.schema.json" for name in written]
    assert capsys.readouterr().out.splitlines() == [str(path) for path in paths]
    assert sorted(folder.iterdir()) == sorted(paths)
    assert all(json.loads(path.read_text())["title"].startswith("Promptlane") for path in paths)


def test_a_folder_that_cannot_be_written_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["schema", "--out", str(tmp_path / "file")]) == 1
    assert capsys.readouterr().err == f"cannot write to {tmp_path}/file: File exists\n"


def test_an_unknown_name_is_misuse(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["schema", "prices"])
    assert caught.value.code == 2
    assert "choose from 'routing', 'analytics', 'prompts', 'alerts', 'pricing'" in capsys.readouterr().err
