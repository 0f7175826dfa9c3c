"""The child that tells the collector of traces: `python -m proxy.adapters.otel.exporter`, started by `trace_export`.

It reads its settings from the first line of its standard input, whose end is its own end, and follows all journals of
the data folder. Of several on one folder, one holds the lock and works; the others wait for its end. Whenever
something has changed it prints a line that says how it stands. It prints nothing of what it reads.
"""

import fcntl
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Any, BinaryIO

import orjson
from opentelemetry.sdk.trace import TracerProvider

from proxy.adapters.otel.backlog import Backlog, Batch
from proxy.adapters.otel.content import KeptContent
from proxy.adapters.otel.delivery import Delivery
from proxy.adapters.otel.sdk import resource_of
from proxy.adapters.otel.spans import SpanMaker
from proxy.adapters.trace_marks import begin, read_marks, write_marks

LOCK_NAME = "telemetry.lock"
LOCK_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
LAST_LOOK_S = 1.5
"""How long, at the end, batches are still sent; whoever started this process waits a little longer, and kills it."""
NICENESS = 10


class Exporter:
    """`look` again and again. The marks are read once: nobody else moves them."""

    def __init__(
        self,
        directory: Path,
        backlog: Backlog,
        delivery: Delivery,
        tell: Callable[[dict[str, object]], None],
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._directory = directory
        self._backlog = backlog
        self._delivery = delivery
        self._tell = tell
        self._now_s = now_s
        self._marks = read_marks(directory) or {}
        self._are_kept = True
        self._batch: Batch | None = None
        """What the collector did not take yet, so that no part of it is sent twice."""
        self._lost = self._failures = 0
        self._told: dict[str, object] = {}

    @property
    def is_failing(self) -> bool:
        """The last batch did not go, or not all of it."""
        return self._failures > 0

    def look(
        self, pause_s: float, until_s: float = float("inf"), ending: Event | None = None, *, is_last: bool = False
    ) -> float:
        """Tell what is new, until then or the end; returns how long to pause before the next look."""
        is_more = True
        while is_more and self._now_s() < until_s and not (ending is not None and ending.is_set()):
            if not self._keep_marks():
                return pause_s
            if self._batch is not None:
                self._backlog.look_again(self._batch)
            self._batch = self._batch or self._backlog.after(self._marks, is_last=is_last)
            is_more = self._batch.row_count > 0
            if self._batch.rows and (wait_s := self._deliver(self._batch)) is not None:
                self._failures += 1
                self._say()
                return max(wait_s, min(LONGEST_PAUSE_S, pause_s * 2.0 ** min(self._failures, 20)))
            self._lost += self._batch.lost
            self._are_kept = self._batch.marks == self._marks
            self._marks, self._batch, self._failures = self._batch.marks, None, 0
        self._keep_marks()
        self._say()
        return pause_s

    def _deliver(self, batch: Batch) -> float | None:
        """None when all of it is told; else how long the collector wants to be left alone."""
        done = self._delivery.deliver(batch.rows)
        del batch.rows[: done.rows]
        self._lost += done.lost
        return done.wait_s if batch.rows else None

    def _keep_marks(self) -> bool:
        """False while they cannot be written: then nothing more is sent, or a kill would repeat all of it."""
        if not self._are_kept:
            try:
                write_marks(self._directory, self._marks)
            except OSError:
                return False
            self._are_kept = True
        return True

    def _say(self) -> None:
        told: dict[str, object] = {
            "lost": self._lost,
            "is_failing": self.is_failing,
            "oldest_unix_us": self._batch.oldest_unix_us if self._batch is not None else None,
        }
        if told != self._told:
            self._told = told
            self._tell(told)


def locked(directory: Path, ending: Event) -> int | None:
    """The lock's descriptor, once no other process holds it; None where the end comes first. Raises OSError."""
    descriptor = os.open(directory / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if ending.wait(LOCK_PAUSE_S):
                os.close(descriptor)
                return None
        else:
            return descriptor


def run(settings: dict[str, Any], ending: Event, tell: Callable[[dict[str, object]], None]) -> None:
    """Work until the end. Raises OSError where the data folder cannot be used."""
    directory = Path(settings["directory"])
    if locked(directory, ending) is None:
        return
    begin(directory)
    provider = TracerProvider(resource=resource_of(settings["environment"]), shutdown_on_exit=False)
    maker = SpanMaker(provider.resource, provider.sampler, settings["servers"])
    content = KeptContent(directory) if settings["content"] else None
    backlog = Backlog(directory, maker, settings["step_event"], settings["batch_spans"], content)
    exporter = Exporter(directory, backlog, Delivery(), tell)
    pause_s = 0.0
    while not ending.wait(pause_s):
        pause_s = exporter.look(settings["every_s"], ending=ending)
    exporter.look(pause_s, time.monotonic() + LAST_LOOK_S, is_last=True)


def _print(told: dict[str, object]) -> None:
    sys.stdout.buffer.write(orjson.dumps(told) + b"\n")
    sys.stdout.buffer.flush()


def _end_with(stream: BinaryIO, ending: Event) -> None:
    stream.read()
    ending.set()


def main() -> int:
    """Serve until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICENESS)
    os.umask(0o077)
    stream, ending = sys.stdin.buffer, Event()
    settings = orjson.loads(stream.readline())
    Thread(target=_end_with, args=(stream, ending), daemon=True).start()
    run(settings, ending, _print)
    return 0


if __name__ == "__main__":
    sys.exit(main())
