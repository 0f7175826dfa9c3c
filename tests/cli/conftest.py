import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """An empty folder, none of the developer's variables, and the process's own logging put back afterwards."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith(("PROMPTLANE_", "POSTHOG_")) or name.endswith("_UPSTREAM_URL"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PROMPTLANE_SECRET", "0123456789abcdef")
    root = logging.getLogger()
    handlers, level, raises = root.handlers[:], root.level, logging.raiseExceptions
    yield
    root.handlers[:], logging.raiseExceptions = handlers, raises
    root.setLevel(level)
