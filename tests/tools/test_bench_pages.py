"""The bench of the pages works; what it measures is for another day."""

from pathlib import Path

import pytest

from tools.bench.pages import PAGES, READERS, main
from tools.bench.rig import compiler


@pytest.mark.skipif(compiler() is None, reason="no C compiler: the rig of the benchmark is written in C")
def test_every_page_is_asked_and_calls_run_meanwhile(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "--calls", "60", "--rounds", "1", "--window", "0.2"]) == 0
    told = capfd.readouterr().out
    assert [path for path in PAGES if path not in told] == []
    assert [who for who in READERS if f"calls, {who}" not in told] == []
