import os
import subprocess
from pathlib import Path

import pytest

import proxy
from proxy.adapters.children import NICENESS, environment, give_way, python_module


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


def test_a_child_gives_way_and_one_that_is_gone_is_no_trouble() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        give_way(child.pid)
        assert os.getpriority(os.PRIO_PROCESS, child.pid) >= NICENESS
        assert child.stdin is not None
        child.stdin.close()
    give_way(child.pid)
