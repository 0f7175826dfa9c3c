import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.harness.collector import Collector


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without variables of whoever runs the tests."""
    for name in os.environ:
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)


@pytest_asyncio.fixture
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    """One that the variables name; metrics come fast, and no export is waited for long."""
    async with Collector() as collector:
        variables = {
            "NO_PROXY": "127.0.0.1",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_EXPORTER_OTLP_TIMEOUT": "0.5",
            "OTEL_METRIC_EXPORT_INTERVAL": "20",
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        yield collector
