import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from proxy.app.child_verbs import succeeds, verb
from proxy.config import Places
from tests.harness.call import PATIENCE_S


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def test_places_that_exist_are_named(tmp_path: Path) -> None:
    places = Places(config_dir=tmp_path, pricing_file=tmp_path / "absent.yaml", data_dir=tmp_path / "data")
    command = verb(places, "alerts", "check")
    assert command[-6:] == ["alerts", "check", "--config", str(tmp_path), "--data", str(tmp_path / "data")]


@pytest.mark.parametrize(
    ("command", "is_well"), [(python(""), True), (python("raise SystemExit(2)"), False), (["/nowhere/at-all"], False)]
)
async def test_how_it_ended_is_told(command: list[str], is_well: bool) -> None:
    assert await succeeds(command) is is_well


async def test_one_that_hangs_is_ended() -> None:
    async with asyncio.timeout(PATIENCE_S):
        assert not await succeeds(python("import time; time.sleep(1000)"), longest_s=0.01)


async def test_nobody_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    children, start = [], asyncio.create_subprocess_exec
    started = asyncio.Event()

    async def keeping(*command: str, **options: Any) -> asyncio.subprocess.Process:
        children.append(await start(*command, **options))
        started.set()
        return children[0]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", keeping)
    running = asyncio.ensure_future(succeeds(python("import time; time.sleep(1000)")))
    async with asyncio.timeout(PATIENCE_S):
        await started.wait()
        running.cancel()
        await asyncio.wait([running])
    assert children[0].returncode == -signal.SIGKILL
