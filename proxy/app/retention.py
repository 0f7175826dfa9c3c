"""Records in the files that pages read grow old as the journals' do: once an hour a process of its own deletes them."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from proxy.adapters.children import python_module
from proxy.app.child_verbs import succeeds

FIRST_S = 60.0
INTERVAL_S = 3600.0


async def expire_for_ever(directory: Path, max_age_s: Callable[[], float], first_s: float = FIRST_S) -> None:
    """Until cancelled. Nothing is started while nobody has ever looked at a page."""
    pause_s = first_s
    while True:
        await asyncio.sleep(pause_s)
        pause_s = INTERVAL_S
        if not (directory / "store" / "manifest.json").exists():
            continue
        await succeeds(python_module("proxy.adapters.analysis.expiry", str(directory), str(max_age_s())))
