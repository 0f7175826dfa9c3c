import json
from pathlib import Path

import pytest

from proxy.cli.new_files import may_write, write_all


def test_a_link_that_leads_nowhere_is_a_file_that_exists(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "elsewhere")
    assert not may_write(tmp_path, {"a": "", "b": ""}, force=False)
    assert may_write(tmp_path, {"a": "", "b": ""}, force=True)
    assert capsys.readouterr().err.splitlines()[0] == f"{tmp_path / 'a'}: this file exists"


def test_a_folder_that_is_a_file_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config").write_text("")
    assert not write_all(tmp_path, {"config/a.yaml": "text"})
    assert capsys.readouterr().err == f"{tmp_path / 'config' / 'a.yaml'}: File exists\n"


def test_the_schemas_lie_where_the_files_look_for_them(tmp_path: Path) -> None:
    assert write_all(tmp_path, {"a.yaml": "text"})
    assert json.loads((tmp_path / "config" / "schemas" / "routing.schema.json").read_text())["title"]
