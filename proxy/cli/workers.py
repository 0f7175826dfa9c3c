"""Several workers on one port: child processes of `promptlane serve`, restarted when they die.

The parent holds a bound but never listening socket, so that `--port 0` means one port for all. Each child has a
journal file of its own, by its number: a restarted one picks up where its predecessor was killed.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from types import FrameType

RESTART_PAUSE_S = 0.5
"""So that a child that cannot start does not spin."""


def supervise(host: str, port: int, count: int) -> int:
    """Run the children until SIGTERM or SIGINT, which is passed on; returns 0 when all ended well."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            reserved.bind((host, port))
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else "it cannot be had"
            print(f"cannot listen on {host}:{port}: {reason}; choose another --port", file=sys.stderr)
            return 1
        return _Supervisor(reserved.getsockname()[1], count).run()


class _Supervisor:
    """Owns the children."""

    def __init__(self, port: int, count: int) -> None:
        self._port = port
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._count = count
        self._is_stopping = False

    def run(self) -> int:
        """Start, watch, restart; see `supervise`."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._pass_on)
        for worker in range(self._count):
            self._start(worker)
        while not self._is_stopping:
            pid, _ = os.waitpid(-1, 0)
            ended = [worker for worker, child in self._children.items() if child.pid == pid]
            if ended and not self._is_stopping:
                time.sleep(RESTART_PAUSE_S)
                self._start(ended[0])
        return max((child.wait() for child in self._children.values()), default=0)

    def _start(self, worker: int) -> None:
        given = sys.argv[1:]
        command = [sys.executable, "-m", "proxy.cli", *given, "--worker", str(worker), "--port", str(self._port)]
        self._children[worker] = subprocess.Popen(  # noqa: S603 - our own command line, no shell
            command,
            stdin=subprocess.PIPE,  # its end tells the child that this process is gone
            start_new_session=True,  # a terminal's Ctrl-C reaches the children once, through this process
        )

    def _pass_on(self, number: int, _: FrameType | None) -> None:
        self._is_stopping = True
        for child in self._children.values():
            if child.poll() is None:
                child.send_signal(number)
