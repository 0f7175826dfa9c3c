"""One scripted provider and one real proxy in front of it, for all tests of a module.

Each scenario runs twice, straight to the provider and through the proxy, and an SDK must see the same both times.
"""

import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from tests.harness.provider import ScriptedProvider
from tests.harness.serve import Served, upstream_environment

Scenario = Callable[[str], Awaitable[object]]
Same = Callable[[Scenario], Awaitable[object]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider() -> AsyncIterator[ScriptedProvider]:
    async with ScriptedProvider() as provider:
        yield provider


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxy(provider: ScriptedProvider, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with Served(tmp_path_factory.mktemp("served"), upstream_environment(provider.url)) as served:
        yield served


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def same(provider: ScriptedProvider, proxy: Served) -> Same:
    """Runs a scenario, given the base URL without a path, against both; returns what it saw, which is equal."""

    async def run(scenario: Scenario) -> object:
        directly = await scenario(provider.url)
        through = await scenario(proxy.url)
        assert through == directly
        return through

    return run


@pytest.fixture(scope="session")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the locked Node packages and the scenarios. Skips where there is no node."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    folder = tmp_path_factory.mktemp("node")
    for name in ("package.json", "package-lock.json", ".npmrc", "scenarios.mjs"):
        shutil.copy(Path(__file__).parent / "node" / name, folder)
    subprocess.run(["npm", "ci", "--ignore-scripts"], cwd=folder, check=True, capture_output=True)
    return folder
