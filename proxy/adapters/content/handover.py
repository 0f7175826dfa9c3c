"""From the event loop to the child that keeps content: one bounded queue, one thread that writes to the child's pipe.

Whoever hands something over gives references and goes on. What the queue has no room for is let go and counted, for
content is worth less than a call. The child is started with the first content, or at once where files are there that
must not grow old; when it dies, what was on its way is lost, and another one is tried a while later.
"""

import logging
import subprocess
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from threading import Condition, Thread

import orjson

from proxy.adapters.children import environment, python_module
from proxy.domain.capture import Captured, CapturePolicy

MAX_BYTES = 64 << 20
"""What may wait, references to requests and replies together."""
PAUSE_S = 60.0
"""How long nothing is kept after a child has died."""
END_S = 1.0
"""At the stop, for the thread to end once nothing waits any more; a child that takes nothing is then killed."""
CHECK_S = 30.0
"""How often an idle thread looks whether the child still lives."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepingSettings:
    """What the child is told. `max_bytes` is this worker's share of the store."""

    directory: Path
    worker: int
    policy: CapturePolicy
    max_bytes: int

    def line(self) -> bytes:
        """As the child reads it."""
        told = {
            "directory": str(self.directory),
            "worker": self.worker,
            "max_bytes": self.max_bytes,
            "max_age_s": self.policy.store_max_age_s,
            "redact": self.policy.redact,
            "patterns": self.policy.patterns,
        }
        return orjson.dumps(told) + b"\n"


class ContentHandover:
    """Satisfies `pipeline.ports.ContentKeeper`. `keep` and `take_up` are for one thread, the event loop's."""

    def __init__(self, settings: KeepingSettings, module: str = "proxy.adapters.content.keeper") -> None:
        self._settings = settings
        self._module = module
        self._waiting: deque[Captured] = deque()
        self._waiting_bytes = 0
        self._changed = Condition()
        self._is_closing = False
        self._must_start = False
        self._child: subprocess.Popen[bytes] | None = None
        self._resting_until_s = 0.0
        self._thread: Thread | None = None
        self.lost = 0
        """Calls whose content was asked for and is not kept."""

    def keep(self, captured: Captured) -> None:
        """Queue it, or count it as lost. Returns at once."""
        size = _size(captured)
        with self._changed:
            if self._is_closing or self._waiting_bytes + size > MAX_BYTES:
                self.lost += 1
                return
            self._waiting.append(captured)
            self._waiting_bytes += size
            self._changed.notify()
        self._run_thread()

    def begin(self) -> None:
        """Start the child now, so that what is kept already is deleted in time."""
        with self._changed:
            self._must_start = True
            self._changed.notify()
        self._run_thread()

    def take_up(self, settings: KeepingSettings) -> None:
        """Other settings hold from now on; a child that runs is replaced."""
        with self._changed:
            if settings == self._settings:
                return
            self._settings = settings
            self._must_start = True
            self._changed.notify()
        self._run_thread()

    def close(self, timeout_s: float) -> None:
        """Write what waits and let the child finish; what is not written in time is let go. Blocks."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout_s)
            if self._thread.is_alive():
                self._give_up(self._thread)
        self._end_child(timeout_s)

    def _give_up(self, thread: Thread) -> None:
        """The child is the thread's as long as that runs."""
        with self._changed:
            left = len(self._waiting)
            self._waiting.clear()
            self._waiting_bytes = 0
            self.lost += left
        _log.warning("content of calls was let go: there was no time to write it", extra={"calls": left})
        thread.join(END_S)
        if thread.is_alive() and (child := self._child) is not None:
            child.kill()
        thread.join(END_S)

    def _run_thread(self) -> None:
        if self._thread is None:
            self._thread = Thread(target=self._work, name="content", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        told: KeepingSettings | None = None
        while True:
            with self._changed:
                if not (self._waiting or self._is_closing or self._must_start):
                    self._changed.wait(CHECK_S)
                captured = self._waiting.popleft() if self._waiting else None
                self._waiting_bytes -= _size(captured) if captured is not None else 0
                wants_child = captured is not None or self._must_start or told is not None
                self._must_start, settings = False, self._settings
                if captured is None and self._is_closing:
                    return
            if wants_child:
                told = self._pass_on(captured, settings, told)

    def _pass_on(
        self, captured: Captured | None, settings: KeepingSettings, told: KeepingSettings | None
    ) -> KeepingSettings | None:
        """Write to a living child that has these settings; what it has now been told, None while there is none."""
        try:
            if told is not settings and self._child is not None:
                self._end_child(PAUSE_S)
            if self._child is None:
                self._start_child(settings)
            elif self._child.poll() is not None:
                raise BrokenPipeError
            if captured is not None:
                self._write(captured)
        except OSError:
            self.lost += captured is not None
            if self._child is not None:
                _log.error("the process that keeps content has died: none is kept for a while")
                self._resting_until_s = time.monotonic() + PAUSE_S
                self._end_child(0.0)
        return settings

    def _start_child(self, settings: KeepingSettings) -> None:
        """Raises OSError, also while there is a pause."""
        if time.monotonic() < self._resting_until_s:
            raise BlockingIOError
        self._child = subprocess.Popen(  # noqa: S603 - our own module, no shell
            python_module(self._module),
            env=environment(),
            stdin=subprocess.PIPE,  # its end, also when this process is killed, is the child's end
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # what it might say of content is for nobody
            start_new_session=True,  # a terminal's Ctrl-C is not for it
        )
        self._send(settings.line())

    def _write(self, captured: Captured) -> None:
        reply = b"".join(captured.reply)
        head = {
            "exchange_id": captured.exchange_id,
            "trace_id": captured.trace_id,
            "distinct_id": captured.distinct_id,
            "ended_unix_us": captured.ended_unix_us,
            "level": str(captured.level),
            "max_bytes": captured.max_bytes,
            "request_bytes": len(captured.request) if captured.request is not None else None,
            "reply_bytes": len(reply),
        }
        self._send(orjson.dumps(head) + b"\n", captured.request or b"", reply)

    def _send(self, *parts: bytes) -> None:
        assert self._child is not None
        assert self._child.stdin is not None
        for part in parts:
            self._child.stdin.write(part)
        self._child.stdin.flush()

    def _end_child(self, patience_s: float) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        try:
            child.communicate(timeout=patience_s)
        except (subprocess.TimeoutExpired, OSError, ValueError):
            child.kill()
            child.wait()


def _size(captured: Captured) -> int:
    return len(captured.request or b"") + sum(map(len, captured.reply))
