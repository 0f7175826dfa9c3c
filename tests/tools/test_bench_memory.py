"""The bench of memory works; what it measures is for another day."""

import pytest

from tools.bench import memory
from tools.bench.memory import kinds, main


def test_each_kind_is_opened_and_counted(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    chosen = [kind for kind in kinds(0.0) if "MiB" in kind.name or kind.script is None]
    monkeypatch.setattr(memory, "kinds", lambda scale: chosen)
    assert main(["--settle", "0.05"]) == 0
    told = capfd.readouterr().out.splitlines()
    assert [kind.name for kind, line in zip(chosen, told, strict=True) if not line.startswith(kind.name)] == []
    assert all(" KiB each, " in line for line in told)
