import subprocess
from pathlib import Path

import pytest

import proxy
from proxy.adapters.children import environment, python_module


def test_a_child_runs_this_very_package_also_where_another_of_its_name_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "proxy").mkdir()
    (tmp_path / "proxy" / "__init__.py").write_text("raise ImportError('not this one')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    told = subprocess.run(
        python_module("proxy.cli", "--version"),
        cwd=tmp_path,
        env=environment(EXTRA="x"),
        capture_output=True,
        check=True,
    )
    assert told.stdout.decode().split() == ["promptlane", proxy.__version__]
    assert environment(EXTRA="x")["EXTRA"] == "x"
