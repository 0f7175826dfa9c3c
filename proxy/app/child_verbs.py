"""Verbs of the command that the proxy runs by itself, in child processes: what they need takes time and memory."""

import asyncio
import subprocess
from collections.abc import Sequence

from proxy.adapters.children import environment, give_way, python_module
from proxy.config import Places

LONGEST_S = 600.0


def verb(places: Places, *words: str) -> list[str]:
    """The command of a verb that takes `--config`, `--pricing` and `--data`.

    Places that do not exist are not named: they are the default ones, and nobody may name such a place.
    """
    named = [
        *(("--config", str(places.config_dir)) if places.config_dir.is_dir() else ()),
        *(("--pricing", str(places.pricing_file)) if places.pricing_file.is_file() else ()),
        *("--data", str(places.data_dir)),
    ]
    return python_module("proxy.cli", *words, *named)


async def succeeds(command: Sequence[str], longest_s: float = LONGEST_S) -> bool:
    """Run it, and wait; False where it cannot be started, fails, or takes longer and is ended."""
    try:
        child = await asyncio.create_subprocess_exec(
            *command,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a terminal's Ctrl-C is not for it
        )
    except OSError:
        return False
    try:
        give_way(child.pid)
        async with asyncio.timeout(longest_s):
            return await child.wait() == 0
    except TimeoutError:
        return False
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
