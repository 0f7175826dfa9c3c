"""Starting parts of the proxy as processes of their own."""

import os
import sys
from contextlib import suppress
from pathlib import Path

import proxy

NICENESS = 10


def python_module(name: str, *arguments: str) -> list[str]:
    """The command that runs a module of this package; `environment` is its other half."""
    return [sys.executable, "-P", "-m", name, *arguments]


def give_way(pid: int) -> None:
    """Let calls go first, where there is not enough for both. For a child that has just begun: its threads inherit it.

    Where Linux schedules by session, as on desktops and many servers, niceness counts within the child's own session
    alone, and the session has one of its own: sched(7), "The autogroup feature".
    """
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, NICENESS)
    with suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(NICENESS))


def environment(**extra: str) -> dict[str, str]:
    """Ours, with the place of this very package first, also where the current folder has another one of its name."""
    paths = (str(Path(proxy.__file__).parents[1]), os.environ.get("PYTHONPATH", ""))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **extra}
