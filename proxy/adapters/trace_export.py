"""Traces for a collector, as this process sees it: a child that follows the journals, and what it says of itself.

The child does all of it (`otel.exporter`); here it is started, started anew when it has died, and ended. What it had
not told by then, it tells the next time: how far it was lies on disk.
"""

import logging
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any

import orjson

from proxy.adapters.children import environment, python_module
from proxy.adapters.collector_watch import CollectorWatch

PAUSES_S = (1.0, 60.0)
"""Before a child that has died is started again: at first, and at most."""
STOP_S = 2.0
"""How long, at the end, a child may take."""
ALARM_S = 60.0
"""A collector that takes nothing for so long is worth an alarm."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceSettings:
    """What the child is told. `servers` are host and port of each configured provider."""

    directory: Path
    environment: str
    step_event: str
    content: bool = False
    """Spans tell what is kept of it."""
    servers: Mapping[str, tuple[str | None, int]] = field(default_factory=dict)
    every_s: float
    batch_spans: int

    def line(self) -> bytes:
        """As the child reads it."""
        told = {
            "directory": str(self.directory),
            "environment": self.environment,
            "step_event": self.step_event,
            "content": self.content,
            "servers": self.servers,
            "every_s": self.every_s,
            "batch_spans": self.batch_spans,
        }
        return orjson.dumps(told) + b"\n"


class TraceExport:
    """Runs from its making to `stop`. The numbers may be read at any time."""

    def __init__(
        self,
        settings: TraceSettings,
        module: str = "proxy.adapters.otel.exporter",
        now_s: Callable[[], float] = time.monotonic,
        wall_unix_s: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._module = module
        self._now_s = now_s
        self._wall_unix_s = wall_unix_s
        self._watch = CollectorWatch("traces")
        self._ending = Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._failing_since_s: float | None = None
        self._oldest_unix_us: int | None = None
        self._lost_before = 0
        self._lost = 0
        self._thread = Thread(target=self._work, name="traces", daemon=True)
        self._thread.start()

    @property
    def lost_spans(self) -> int:
        """Spans that can never be told: refused, or older than the store keeps calls."""
        return self._lost_before + self._lost

    @property
    def lag_s(self) -> float:
        """How long ago the oldest call ended that the collector could not be told of; 0 where there is none."""
        oldest_us = self._oldest_unix_us
        return 0.0 if oldest_us is None else max(0.0, self._wall_unix_s() - oldest_us / 1e6)

    @property
    def is_alarming(self) -> bool:
        """The collector has taken nothing for `ALARM_S`, though there is something."""
        since_s = self._failing_since_s
        return since_s is not None and self._now_s() - since_s >= ALARM_S

    def stop(self) -> None:
        """Let the child tell what is new, within `STOP_S`. Blocks."""
        self._ending.set()
        child = self._child
        if child is not None and child.stdin is not None:
            child.stdin.close()
        self._thread.join(STOP_S)
        if self._thread.is_alive() and (child := self._child) is not None:
            child.kill()
            self._thread.join(STOP_S)

    def _work(self) -> None:
        pause_s, longest_s = PAUSES_S
        while not self._ending.is_set():
            began_s = self._now_s()
            self._run_child()
            if self._ending.is_set():
                return
            _log.error("the process that exports traces has died: it is started again")
            if self._now_s() - began_s > longest_s:
                pause_s = PAUSES_S[0]
            self._ending.wait(pause_s)
            pause_s = min(longest_s, 2 * pause_s)

    def _run_child(self) -> None:
        try:
            child = subprocess.Popen(  # noqa: S603 - our own module, no shell
                python_module(self._module),
                env=environment(),
                stdin=subprocess.PIPE,  # its end, also when this process is killed, is the child's end
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # a terminal's Ctrl-C is not for it
            )
        except OSError:
            return
        self._child = child
        assert child.stdin is not None
        assert child.stdout is not None
        with suppress(OSError, ValueError):  # it has died, or `stop` was faster
            child.stdin.write(self._settings.line())
            child.stdin.flush()
            if self._ending.is_set():
                child.stdin.close()
            for line in child.stdout:
                self._hear(orjson.loads(line))
        with suppress(OSError):
            child.stdin.close()
        child.stdout.close()
        child.wait()
        self._lost_before, self._lost = self.lost_spans, 0
        self._failing_since_s = self._failing_since_s or self._now_s()

    def _hear(self, told: dict[str, Any]) -> None:
        self._lost, self._oldest_unix_us = told["lost"], told["oldest_unix_us"]
        is_failing = bool(told["is_failing"])
        self._failing_since_s = (self._failing_since_s or self._now_s()) if is_failing else None
        self._watch.note(is_good=not is_failing, lost=self.lost_spans)
