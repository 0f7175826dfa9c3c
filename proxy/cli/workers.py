"""Several workers on one port: child processes of `promptlane serve`, restarted when they die.

The parent holds a bound but never listening socket, so that `--port 0` means one port for all. Each child has a
journal file of its own, by its number: a restarted one picks up where its predecessor was killed.
"""

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

import proxy

RESTART_PAUSE_S = 0.5
"""So that a child that cannot start does not spin."""

log = logging.getLogger(__name__)


class Supervisor:
    """Owns the children. Raises OSError when the address cannot be had."""

    def __init__(self, host: str, port: int, count: int) -> None:
        _bound(host, port, shares=False).close()  # whose port it is already must be refused, not shared with
        self._reserved = _bound(host, port, shares=True)
        self._count = count
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._is_stopping = False

    def run(self) -> int:
        """Run the children until SIGTERM or SIGINT, which is passed on; returns 0 when all ended well, else 1."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._pass_on)
        for worker in range(self._count):
            self._start(worker)
        while not self._is_stopping:
            self._replace(self._next_death())
        codes = [child.wait() for child in self._children.values()]
        self._reserved.close()
        return int(any(codes))

    def _next_death(self) -> int | None:
        """Wait until a child has ended; the number of the worker that is to be started again, after a pause."""
        pid, status = os.waitpid(-1, 0)
        worker = next((worker for worker, child in self._children.items() if child.pid == pid), None)
        if worker is None:
            return None
        exit_code = os.waitstatus_to_exitcode(status)
        self._children[worker].returncode = exit_code
        if self._is_stopping:
            return None
        del self._children[worker]
        log.error("a worker died and is started again", extra={"worker": worker, "exit_code": exit_code})
        time.sleep(RESTART_PAUSE_S)
        return worker

    def _replace(self, worker: int | None) -> None:
        if worker is not None and not self._is_stopping:
            self._start(worker)

    def _start(self, worker: int) -> None:
        port = str(self._reserved.getsockname()[1])
        own = ["--worker-number", str(worker), "--port", port]
        child = subprocess.Popen(  # noqa: S603 - our own command line, no shell
            [sys.executable, "-P", "-m", "proxy.cli", *sys.argv[1:], *own],
            env=_environment(),
            stdin=subprocess.PIPE,  # its end tells the child that this process is gone
            start_new_session=True,  # a terminal's Ctrl-C reaches the children once, through this process
        )
        self._children[worker] = child
        if self._is_stopping:  # the signal came before there was a child to pass it on to
            child.terminate()

    def _pass_on(self, number: int, _: FrameType | None) -> None:
        self._is_stopping = True
        for child in self._children.values():
            if child.poll() is None:
                child.send_signal(number)


def _environment() -> Mapping[str, str]:
    """Children find this very package, also where the current folder has another one of its name."""
    paths = (str(Path(proxy.__file__).parents[1]), os.environ.get("PYTHONPATH", ""))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _bound(host: str, port: int, *, shares: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shares:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound
