from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from proxy.adapters.analysis import open_analysis
from proxy.cli.report_figures import Periods, by_day, compare, totals
from tools.bench.store import VERSIONS, fill

END = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    fill(folder, 1_200, until=END)  # 40 a day, for 30 days
    return folder


def test_both_periods_are_whole_and_meet(folder: Path) -> None:
    with open_analysis(folder) as analysis:
        whole, parts = compare(analysis, Periods(end=END, length=timedelta(days=10)))
    assert (whole.now.calls, whole.before.calls) == (400, 400)
    assert whole.now.failed == sum(part.now.failed for part in parts) > 0
    assert whole.now.cost_usd == pytest.approx(sum(part.now.cost_usd or 0 for part in parts))
    assert {part.name for part in parts if part.now.calls} == {f"support_answer {version}" for version in VERSIONS}
    assert whole.now.tasks >= whole.now.completed_tasks > 0
    assert (whole.now.p50_ms or 0) < (whole.now.p95_ms or 0)


def test_days_or_hours(folder: Path) -> None:
    with open_analysis(folder) as analysis:
        days = by_day(analysis, Periods(end=END, length=timedelta(days=3)))
        hours = by_day(analysis, Periods(end=END, length=timedelta(hours=12)))
    assert set(totals(days, "calls").values()) == {40.0}
    assert len(totals(hours, "calls")) == 24


def test_nothing_is_no_error(tmp_path: Path) -> None:
    fill(tmp_path, 0, until=END)
    with open_analysis(tmp_path) as analysis:
        whole, parts = compare(analysis, Periods(end=END, length=timedelta(days=10)))
    assert (whole.now.calls, parts) == (0, [])
