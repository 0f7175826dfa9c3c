"""Several workers on one port: child processes of `promptlane serve`, started again when they die.

The parent holds a bound but never listening socket, so that `--port 0` means one port for all. Each child has a
journal file of its own, by its number: one that is started again picks up where its predecessor was killed, and while
it cannot start the others take over what waits in its outbox. All share a folder that lasts as long as the parent:
there they count their metrics together, and keep the configuration that runs, so that a worker which dies while a
file on the disk is broken or gone comes back with what the others run.
"""

import asyncio
import fcntl
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import orjson

from proxy.adapters.children import environment, python_module
from proxy.adapters.metric_files import forget_gauges, lay_out
from proxy.config import Configuration

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 10.0
"""Before a worker is started again; doubled each time, so that one which cannot start does not spin."""
SETTLED_S = 10.0
"""A worker that has lived so long died of something new."""
FOLDER_PREFIX = "promptlane-"

log = logging.getLogger(__name__)


class KeptConfiguration:
    """The files of the configuration that the workers run, in their common folder."""

    def __init__(self, runtime_dir: Path) -> None:
        self._path = runtime_dir / "configuration.json"

    def keep(self, configuration: Configuration) -> None:
        """Replace what is kept, at once and whole, or let it be where the folder is full. Never raises."""
        text = {str(path): raw.decode("utf-8", "surrogateescape") for path, raw in configuration.files.items()}
        draft = self._path.with_suffix(f".{os.getpid()}")
        try:
            draft.write_bytes(orjson.dumps(text))
            draft.replace(self._path)
        except OSError as error:
            log.warning(
                "the configuration that runs could not be kept for workers that start later",
                extra={"folder": str(draft.parent), "error": type(error).__name__},
            )

    def files(self) -> dict[Path, bytes]:
        """What is kept. Raises OSError where nothing is, and ValueError where that is broken."""
        return {Path(path): text.encode() for path, text in orjson.loads(self._path.read_bytes()).items()}


@contextmanager
def shared_folder(workers: int) -> Iterator[Path]:
    """What the workers share, with room for all of it. Raises OSError where it cannot be made.

    The lock keeps those out who tidy folders for temporary files from time to time.
    """
    with tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX, ignore_cleanup_errors=True) as name:
        lock = os.open(name, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            lay_out(Path(name), workers)
            yield Path(name)
        finally:
            os.close(lock)


def remove_shared_folder(folder: Path) -> None:
    """For the last to leave, where the supervisor died before it could."""
    if folder.name.startswith(FOLDER_PREFIX):
        shutil.rmtree(folder, ignore_errors=True)


class Supervisor:
    """Owns the children. Raises OSError when the address cannot be had."""

    def __init__(self, host: str, port: int, count: int, runtime_dir: Path) -> None:
        """`runtime_dir` is for the workers, see `shared_folder`."""
        _bound(host, port, shares=False).close()  # whose port it is already must be refused, not shared with
        self._reserved = _bound(host, port, shares=True)
        self._count = count
        self._runtime_dir = runtime_dir
        self._children: dict[int, asyncio.subprocess.Process] = {}
        self._stopping = asyncio.Event()

    def run(self) -> int:
        """Run the children until SIGTERM or SIGINT; returns 0 when all ended well, else 1."""
        try:
            return asyncio.run(self._run())
        finally:
            self._reserved.close()

    async def _run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._signal, signal.SIGHUP)
        codes = await asyncio.gather(*(self._keep_alive(worker) for worker in range(self._count)))
        return int(any(codes))

    def _stop(self) -> None:
        """The first signal is passed on; a second one ends all at once, and what has ended is on disk already."""
        self._signal(signal.SIGKILL if self._stopping.is_set() else signal.SIGTERM)
        self._stopping.set()

    def _signal(self, number: int) -> None:
        for child in self._children.values():
            if child.returncode is None:
                with suppress(ProcessLookupError):
                    child.send_signal(number)

    async def _keep_alive(self, worker: int) -> int:
        """Run one worker, again and again, until it is asked to end; returns its last exit code."""
        pause_s = FIRST_PAUSE_S
        while True:
            began_s = time.monotonic()
            exit_code = await self._run_once(worker)
            if self._stopping.is_set():
                return 0 if exit_code == -signal.SIGTERM else exit_code  # it had not begun to serve
            if time.monotonic() - began_s > SETTLED_S:
                pause_s = FIRST_PAUSE_S
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._stopping.wait()
                    return 0
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _run_once(self, worker: int) -> int:
        """From its start to its death; returns its exit code."""
        try:
            child = await self._start(worker)
        except OSError as error:
            told = {"worker": worker, "reason": os.strerror(error.errno or 0)}
            log.warning("a worker could not be started; it is tried again", extra=told)
            return 1
        exit_code = await child.wait()
        forget_gauges(self._runtime_dir, worker)
        if not self._stopping.is_set():
            log.error("a worker died and is started again", extra={"worker": worker, "exit_code": exit_code})
        return exit_code

    async def _start(self, worker: int) -> asyncio.subprocess.Process:
        port = str(self._reserved.getsockname()[1])
        own = ["--worker-number", str(worker), "--port", port, "--runtime-dir", str(self._runtime_dir)]
        with _hangups_wait():
            child = await asyncio.create_subprocess_exec(
                *python_module("proxy.cli", *sys.argv[1:], *own),
                env=environment(PROMETHEUS_MULTIPROC_DIR=str(self._runtime_dir)),
                stdin=asyncio.subprocess.PIPE,  # its end tells the child that this process is gone
                start_new_session=True,  # a terminal's Ctrl-C reaches the children once, through this process
            )
        self._children[worker] = child
        if self._stopping.is_set():  # the signal came before there was a child to pass it on to
            child.terminate()
        return child


@contextmanager
def _hangups_wait() -> Iterator[None]:
    """A SIGHUP to a child that is made herein waits until the child allows it: one that only starts would die of it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})


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
