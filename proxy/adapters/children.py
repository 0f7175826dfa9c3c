"""Starting parts of the proxy as processes of their own."""

import os
import sys
from pathlib import Path

import proxy


def python_module(name: str, *arguments: str) -> list[str]:
    """The command that runs a module of this package; `environment` is its other half."""
    return [sys.executable, "-P", "-m", name, *arguments]


def environment(**extra: str) -> dict[str, str]:
    """Ours, with the place of this very package first, also where the current folder has another one of its name."""
    paths = (str(Path(proxy.__file__).parents[1]), os.environ.get("PYTHONPATH", ""))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **extra}
