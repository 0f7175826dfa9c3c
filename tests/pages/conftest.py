from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from proxy.adapters.analysis import Analysis, open_analysis
from proxy.pages.filters import Filters
from tests.pages.seeding import Seeded, seed

NOW = datetime(2026, 6, 10, 12, 0, tzinfo=UTC)
EMPTY = Filters(begin=datetime(2020, 1, 1, tzinfo=UTC), end=datetime(2020, 1, 2, tzinfo=UTC))
"""A day without calls."""


@dataclass(frozen=True)
class Store:
    """Two days of a support product, the same for all tests; nobody changes it."""

    folder: Path
    analysis: Analysis
    seeded: Seeded
    filters: Filters
    """The last day."""


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("store")
    seeded = seed(folder, calls=900, end=NOW, length=timedelta(hours=48))
    with open_analysis(folder) as analysis:
        yield Store(folder, analysis, seeded, Filters(begin=NOW - timedelta(hours=24), end=NOW, period="24h"))
