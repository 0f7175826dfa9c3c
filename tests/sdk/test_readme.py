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

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PATIENCE_S = 30
WORDS = "word0 word1 word2 word3 word4 word5 word6 word7"


def example(language: str, port: int) -> str:
    """The first block in that language that points an app at the proxy, at this port."""
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    block = next(block for block in found if "127.0.0.1:4000/v1" in block)
    return block.replace("127.0.0.1:4000", f"127.0.0.1:{port}")


async def run(*command: str, cwd: Path) -> str:
    environment = {**os.environ, "OPENAI_API_KEY": "sk-any", "NO_PROXY": "127.0.0.1"}
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    stdout, stderr = await process.communicate()
    assert process.returncode == 0, stderr.decode()
    return stdout.decode()


async def test_python(provider: ScriptedProvider, proxy: Served, tmp_path: Path) -> None:
    assert WORDS in await run(sys.executable, "-c", example("python", proxy.port), cwd=tmp_path)
    assert provider.ledger[-1].target == "/v1/responses"


async def test_node(proxy: Served, node_folder: Path) -> None:
    (node_folder / "readme.mjs").write_text(example("js", proxy.port))
    assert WORDS in await run("node", "readme.mjs", cwd=node_folder)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_curl(provider: ScriptedProvider, proxy: Served, tmp_path: Path) -> None:
    assert WORDS in await run("bash", "-euc", example("sh", proxy.port), cwd=tmp_path)
    assert provider.ledger[-1].head.get("authorization") == "Bearer sk-any"


async def test_demo_takes_any_key(tmp_path: Path) -> None:
    """What `make run` starts answers the same example, and shows the call."""
    command = [sys.executable, "-m", "proxy.cli", "demo", "--port", "0", "--calls", "0"]
    demo = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    try:
        assert demo.stdout is not None
        port = int((await line_with(demo.stdout, r"listening on http://127\.0\.0\.1:(\d+)"))[1])
        assert (await run(sys.executable, "-c", example("python", port), cwd=tmp_path)).strip()
        assert "success" in (await line_with(demo.stdout, r"support_v3 .*"))[0]
    finally:
        demo.terminate()
        await demo.wait()


async def line_with(stream: asyncio.StreamReader, pattern: str) -> re.Match[str]:
    """The match in the next line that has one."""
    async with asyncio.timeout(PATIENCE_S):
        while line := await stream.readline():
            if found := re.search(pattern, line.decode()):
                return found
    raise AssertionError(f"no line has {pattern}")


@pytest.mark.parametrize("language", ["python", "js"])
async def test_an_example_has_three_lines(language: str) -> None:
    block = next(iter(re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)))
    assert len([line for line in block.splitlines() if line]) == 3
