"""The README's first screen, run as it stands: its Python, Node and curl examples against the proxy."""

import asyncio
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.harness.provider import ScriptedProvider
from tests.harness.serve import Served

pytestmark = pytest.mark.asyncio(loop_scope="module")

README = (Path(__file__).parents[2] / "README.md").read_text()
WORDS = "word0 word1 word2 word3 word4 word5 word6 word7"


def example(language: str, proxy: Served) -> str:
    """The first block in that language that points an app at the proxy, at the port where this one listens."""
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    block = next(block for block in found if "127.0.0.1:4000/v1" in block)
    return block.replace("127.0.0.1:4000", f"127.0.0.1:{proxy.port}")


async def run(*command: str, cwd: Path) -> str:
    environment = {**os.environ, "OPENAI_API_KEY": "sk-any", "NO_PROXY": "127.0.0.1"}
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    stdout, stderr = await process.communicate()
    assert process.returncode == 0, stderr.decode()
    return stdout.decode()


async def test_python(provider: ScriptedProvider, proxy: Served, tmp_path: Path) -> None:
    assert WORDS in await run(sys.executable, "-c", example("python", proxy), cwd=tmp_path)
    assert provider.ledger[-1].target == "/v1/responses"


async def test_node(proxy: Served, node_folder: Path) -> None:
    (node_folder / "readme.mjs").write_text(example("js", proxy))
    assert WORDS in await run("node", "readme.mjs", cwd=node_folder)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_curl(provider: ScriptedProvider, proxy: Served, tmp_path: Path) -> None:
    assert WORDS in await run("bash", "-euc", example("sh", proxy), cwd=tmp_path)
    assert provider.ledger[-1].head.get("authorization") == "Bearer sk-any"


@pytest.mark.parametrize("language", ["python", "js"])
async def test_an_example_has_three_lines(language: str) -> None:
    block = next(iter(re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)))
    assert len(block.strip().splitlines()) == 3
