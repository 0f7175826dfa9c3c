import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from proxy.adapters.analysis import open_analysis, segments
from proxy.app.retention import expire_for_ever
from tools.bench.store import fill


async def test_old_files_are_deleted_by_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "BATCH_ROWS", 4)
    fill(tmp_path, 4, workers=1, until=datetime(2020, 1, 1, tzinfo=UTC))
    with open_analysis(tmp_path) as analysis:
        assert len(analysis.query("FROM calls")) == 4
    written = list((tmp_path / "store").glob("*.parquet"))
    assert written
    retention = asyncio.ensure_future(expire_for_ever(tmp_path, lambda: 86_400.0, first_s=0.0))
    async with asyncio.timeout(30):
        while any(path.exists() for path in written):  # noqa: ASYNC110 - another process deletes them
            await asyncio.sleep(0.01)
    retention.cancel()
    await asyncio.wait([retention])
    assert list((tmp_path / "store").glob("*.parquet")) == []


async def test_nothing_is_started_where_nobody_looked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio, "create_subprocess_exec", None)
    retention = asyncio.ensure_future(expire_for_ever(tmp_path, lambda: 1.0, first_s=0.0))
    done, _ = await asyncio.wait([retention], timeout=0.05)
    assert not done
    retention.cancel()
    await asyncio.wait([retention])
