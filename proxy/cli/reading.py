"""The configuration, read by another process.

What reads it (YAML, pydantic, our models of the files) is a third of the time of a start and 13 MB, and none of it is
needed once the configuration is there. So whoever serves has it read: at the start by a copy of itself, which reads
while this process imports what serves, and which lacks nothing, for there are no threads yet; later by a program of
its own, while calls go on. Where no process can be had it is read here.
"""

import logging
import os
import pickle
import subprocess
from collections.abc import Callable, Mapping
from functools import partial

from proxy.adapters.children import environment, python_module
from proxy.cli.workers import KeptConfiguration
from proxy.config import ConfigError, Configuration, Places, Refused, Seen, lost_files
from proxy.config.changes import UNKNOWN

log = logging.getLogger(__name__)

PATIENCE_S = 30.0
"""For one look. It takes half a second, and longer where all workers look at once."""


def begin_first_look(places: Places, env: Mapping[str, str], kept: KeptConfiguration | None) -> Callable[[], Seen]:
    """Let a copy of this process look; what is returned waits for what it has seen. For a process without threads.

    A worker sees what lies on disk, or, where that cannot be used, what the others run.
    """
    look = partial(_first_look, places, env, kept)
    receiver, sender = os.pipe()
    try:
        child = os.fork()
    except OSError as error:
        os.close(receiver)
        os.close(sender)
        _say_it_is_read_here(type(error).__name__)
        return look
    if child == 0:
        os.close(receiver)  # else who writes would wait for ever for itself, were the original killed meanwhile
        _tell(sender, look)
    os.close(sender)

    def wait() -> Seen:
        with os.fdopen(receiver, "rb") as pipe:
            told = pipe.read()
        _, status = os.waitpid(child, 0)
        if status != 0:
            _say_it_is_read_here(f"exit code {os.waitstatus_to_exitcode(status)}")
            return look()
        return _unpickled(told)

    return wait


def _tell(sender: int, look: Callable[[], Seen]) -> None:
    """The life of the copy. What breaks it is told by the original, which then looks by itself."""
    try:
        with os.fdopen(sender, "wb") as pipe:
            pickle.dump(look(), pipe)
        os._exit(0)
    finally:
        os._exit(1)  # no step further: what a process does at its end is for the original


def _first_look(places: Places, env: Mapping[str, str], kept: KeptConfiguration | None) -> Seen:
    from proxy.config.load import look  # what this brings along is what shall not stay

    seen = look(places.config_dir, places.pricing_file, env)
    running = _running(kept, env) if kept is not None else None
    if kept is None or running is None:
        return seen
    if isinstance(seen.found, Refused) or lost_files(seen.found, running):
        log.error("the configuration on disk cannot be used: this worker starts with the one that the others run")
        return Seen(dict.fromkeys(seen.marks, UNKNOWN), running)
    if seen.found.digest != running.digest:
        kept.keep(seen.found)
    return seen


def _running(kept: KeptConfiguration, env: Mapping[str, str]) -> Configuration | None:
    """None where nothing usable is kept."""
    from proxy.config.load import compile_files

    try:
        return compile_files(kept.files(), env)
    except (OSError, ValueError, ConfigError):
        return None


def look_again(places: Places) -> Seen:
    """Let a program look, in our environment, and wait for it."""
    files = (str(places.config_dir), str(places.pricing_file))
    try:
        ended = subprocess.run(  # noqa: S603 - our own module, no shell
            python_module("proxy.cli.config_reader", *files),
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=PATIENCE_S,
            start_new_session=True,  # a terminal's Ctrl-C is not for it
        )
    except subprocess.CalledProcessError as error:
        reason = f"exit code {error.returncode}"
    except (OSError, subprocess.SubprocessError) as error:
        reason = type(error).__name__
    else:
        return _unpickled(ended.stdout)
    from proxy.config.load import look

    _say_it_is_read_here(reason)
    return look(places.config_dir, places.pricing_file, os.environ)


def _say_it_is_read_here(reason: str) -> None:
    log.warning("no other process could read the configuration: it is read here", extra={"reason": reason})


def _unpickled(told: bytes) -> Seen:
    seen: Seen = pickle.loads(told)  # noqa: S301  our own process
    return seen
