"""A walk through a page: its command blocks, run in order as a reader would, who begins in a fresh checkout.

`sh` and `python` blocks run, and a `diff` of Python as it reads afterwards; a `text` block right below is what they
print, with `…` for what differs from reader to reader. What is exported, and the folder, last from block to block.
The address 127.0.0.1:4000 becomes a free port's, and keys that a reader fills in (`sk-…`) become some; providers and
PostHog are those of the test.
"""

import asyncio
import os
import re
import shutil
import socket
import sys
from pathlib import Path
from typing import Self

from tests.harness.pages import ROOT, Block
from tests.harness.serve import posthog_environment, upstream_environment

PATIENCE_S = 60
_TERMINAL = Path(__file__).parent / "walk.sh"
_SCRIPT = """
[ ! -f "$WALK/state" ] || . "$WALK/state"
cd "$(cat "$WALK/cwd")"
. "$WALK_TERMINAL"
trap 'export -p >"$WALK/state"; pwd >"$WALK/cwd"' EXIT
"""


class Walk:
    """`async with Walk(folder, provider_url, posthog_url) as walk:`."""

    def __init__(self, folder: Path, provider_url: str, posthog_url: str) -> None:
        self.values: dict[str, str] = {}
        """What stands for the words in capitals that a reader replaces, such as UUID."""
        self.said = ""
        """What the last commands printed."""
        self.port = free_port()
        self._own, self.home, self._checkout = folder / "walk", folder / "home", folder / "checkout"
        self._environment = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "OPENAI_API_KEY": "sk-test",
            "PROMPTLANE_PORT": str(self.port),
            "PYTHONUNBUFFERED": "1",
            "NO_PROXY": "127.0.0.1",
            "WALK": str(self._own),
            "WALK_ROOT": str(ROOT),
            "WALK_TERMINAL": str(_TERMINAL),
            **upstream_environment(provider_url),
            "POSTHOG_HOST": posthog_environment(posthog_url)["POSTHOG_HOST"],
        }

    async def __aenter__(self) -> Self:
        for folder in (self._own, self.home, self._checkout):
            folder.mkdir()
        (self._checkout / ".venv").symlink_to(sys.prefix)
        shutil.copytree(ROOT / "config", self._checkout / "config")
        for name in ("pricing.yaml", "Makefile"):
            shutil.copy(ROOT / name, self._checkout)
        (self._own / "cwd").write_text(str(self._checkout))
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._bash("stop_serving")

    @property
    def folder(self) -> Path:
        """Where the reader is now."""
        return Path((self._own / "cwd").read_text().strip())

    @property
    def shown(self) -> str:
        """What stands in the terminal in which the proxy or the demo runs."""
        out = self._own / "out"
        return out.read_text() if out.exists() else ""

    async def follow(self, block: Block) -> None:
        """Run a block, or compare what was printed with it. Raises AssertionError with what went wrong."""
        text = self._filled_in(block.text)
        if block.language == "sh":
            self.said = await self._bash(text)
        elif block.language in ("python", "diff"):
            (self._own / "block.py").write_text(text if block.language == "python" else afterwards(text))
            self.said = await self._bash('python "$WALK/block.py"')
        elif block.is_output:
            assert is_said(text, self.said), f"line {block.line}: the commands print\n{self.said}\nand not\n{text}"

    async def _bash(self, text: str) -> str:
        command = ("bash", "-euo", "pipefail", "-c", _SCRIPT + text)
        process = await asyncio.create_subprocess_exec(
            *command,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(PATIENCE_S):
            stdout, stderr = await process.communicate()
        assert process.returncode == 0, f"{text}\nends with {process.returncode}:\n{(stdout + stderr).decode()}"
        return stdout.decode()

    def _filled_in(self, text: str) -> str:
        for word, value in self.values.items():
            text = re.sub(rf"\b{word}\b", value, text)
        text = re.sub(r"\b(phc_|phx_|phs_|sk-)…", r"\1test", text)
        return re.sub(
            r"(127\.0\.0\.1:|--port )4000\b", rf"\g<1>{self.port}", text.replace("proxy.internal", "127.0.0.1")
        )


def is_said(expected: str, said: str) -> bool:
    """True where these lines were printed, one after the other; `…` stands for anything, also for lines."""
    pattern = re.escape(expected.strip()).replace("…", ".*?")
    return re.search(rf"^{pattern}$", said, re.MULTILINE | re.DOTALL) is not None


def afterwards(diff: str) -> str:
    """The text that a diff leads to."""
    return "".join(line[1:] or "\n" for line in diff.splitlines(keepends=True) if not line.startswith("-"))


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
