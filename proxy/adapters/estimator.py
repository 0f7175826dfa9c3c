"""Token counts made here, for replies whose provider reported none.

`Estimator` is one thread and one queue. The queue is bounded in jobs and in bytes, and a full one refuses at once:
the caller marks its tokens unknown. What is counted of one job is bounded and the rest extrapolated. Texts are
dropped as soon as they are counted.

`CountingProcess` asks a child process that holds the vocabulary, started with the first count. While it loads, and
where none can be had, counts are a heuristic: the end of a call waits for its estimate, and must not wait long.
"""

import asyncio
import logging
import subprocess
import time
from collections import deque
from collections.abc import Callable, Sequence
from select import POLLIN, poll
from threading import Condition, Thread

from proxy.adapters.children import environment, python_module
from proxy.domain.estimate import Estimate, TextToCount, countable_input, heuristic_tokens

COUNTED_CHARS = 256 * 1024
"""How much of one input or output is tokenized; the rest is taken to be like it."""
ROUGH_S = 60.0
"""How long counts stay rough after a child has died before another is tried."""
PATIENCE_S = 1.0
"""For an answer, and for a child that was told to end."""

READY = b"ready\n"
"""What the child says once it has loaded."""

_log = logging.getLogger(__name__)

Count = Callable[[Sequence[str]], int]
"""Tokens of all texts together."""


class Uncounted(Exception):
    """The texts were looked at, and could not be counted."""


class CountingProcess:
    """The child and its two pipes. `count` is for one thread."""

    def __init__(self, module: str = "proxy.adapters.tokenizer") -> None:
        self._module = module
        self._child: subprocess.Popen[bytes] | None = None
        self._is_ready = False
        self._rough_until_s = 0.0

    def count(self, texts: Sequence[str]) -> int:
        """Blocks for a short time. Raises `Uncounted`."""
        if time.monotonic() >= self._rough_until_s:
            try:
                if self._has_loaded():
                    return self._ask(texts)
            except (OSError, ValueError):
                self.close()
                self._rough_until_s = time.monotonic() + ROUGH_S
                _log.error("no process counts tokens: estimates stay rough for a while")
        return sum(map(heuristic_tokens, texts))

    def close(self) -> None:
        """End the child."""
        child, self._child, self._is_ready = self._child, None, False
        if child is None:
            return
        try:
            child.communicate(timeout=PATIENCE_S)
        except (subprocess.TimeoutExpired, OSError, ValueError):
            child.kill()
            child.wait()
            for pipe in filter(None, (child.stdin, child.stdout)):
                pipe.close()

    def _has_loaded(self, timeout_s: float = 0.0) -> bool:
        """Start the child where there is none; True once it has said that it is ready. Raises OSError, ValueError."""
        if self._child is None:
            self._child = subprocess.Popen(  # noqa: S603 - our own module, no shell
                python_module(self._module),
                env=environment(),
                bufsize=0,
                stdin=subprocess.PIPE,  # its end, also when this process is killed, is the child's end
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # what it might say of a text is for nobody
                start_new_session=True,  # a terminal's Ctrl-C is not for it
            )
        if not self._is_ready and (line := self._line(timeout_s)) is not None:
            if line != READY:
                raise ValueError("the child does not count")
            self._is_ready = True
        return self._is_ready

    def _ask(self, texts: Sequence[str]) -> int:
        assert self._child is not None
        assert self._child.stdin is not None
        pieces = [text.encode("utf-8", "surrogatepass") for text in texts]
        question = [b"%d\n" % len(pieces), *(b"%d\n%b" % (len(piece), piece) for piece in pieces)]
        self._child.stdin.write(b"".join(question))
        if (line := self._line(PATIENCE_S)) is None:
            raise ValueError("the child does not answer")
        if (tokens := int(line)) < 0:
            raise Uncounted
        return tokens

    def _line(self, timeout_s: float) -> bytes | None:
        """The child's next line, empty where it has ended; None where none comes in time."""
        assert self._child is not None
        assert self._child.stdout is not None
        waiting = poll()  # select() refuses the numbers that files have in a busy proxy
        waiting.register(self._child.stdout, POLLIN)
        return self._child.stdout.readline() if waiting.poll(timeout_s * 1000) else None


Done = Callable[[Estimate], None]


class Estimator:
    """Satisfies `pipeline.ports.Estimator`. Starts its thread with the first job."""

    def __init__(self, count: Count, *, max_jobs: int = 64, max_bytes: int = 16 * 1024 * 1024) -> None:
        """`max_jobs` and `max_bytes` bound what is waiting or being counted."""
        self._count = count
        self._max_jobs = max_jobs
        self._max_bytes = max_bytes
        self._changed = Condition()
        self._waiting: deque[tuple[TextToCount, Done]] = deque()
        self._held_jobs = 0
        self._held_bytes = 0
        self._is_closing = False
        self._worker: Thread | None = None

    def submit(self, job: TextToCount, done: Done) -> bool:
        """Queue `job`; False when the queue is full or closed, and then `done` is never called.

        Else `done` is called exactly once, on the worker thread (on the closing thread for jobs that `close`
        gave up on). It should be quick; what it raises is logged by class and dropped.
        """
        size_bytes = _size_bytes(job)
        with self._changed:
            is_full = self._held_jobs >= self._max_jobs or self._held_bytes + size_bytes > self._max_bytes
            if is_full or self._is_closing:
                return False
            self._held_jobs += 1
            self._held_bytes += size_bytes
            self._waiting.append((job, done))
            self._changed.notify()
            if self._worker is None:
                self._worker = Thread(target=self._work, name="token-estimates", daemon=True)
                self._worker.start()
        return True

    def close(self, timeout_s: float) -> bool:
        """Refuse new jobs and wait for the queued ones; those not begun in time are answered as unknown.

        Returns True when every job was counted.
        """
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        if self._worker is not None:
            self._worker.join(timeout_s)
        with self._changed:
            given_up = list(self._waiting)
            self._waiting.clear()
        for _, done in given_up:
            _tell(done, _UNKNOWN)
        return not given_up and (self._worker is None or not self._worker.is_alive())

    def _work(self) -> None:
        while (next_job := self._take()) is not None:
            job, done = next_job
            size_bytes = _size_bytes(job)
            estimate = _estimate(self._count, job)
            del job, next_job  # the text goes before anyone is told
            with self._changed:
                self._held_jobs -= 1
                self._held_bytes -= size_bytes
            _tell(done, estimate)

    def _take(self) -> tuple[TextToCount, Done] | None:
        """Wait for the next job; None when there will be none."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closing)
            return self._waiting.popleft() if self._waiting else None


_UNKNOWN = Estimate(input_tokens=None, output_tokens=None)


def _size_bytes(job: TextToCount) -> int:
    return len(job.request_body) + 4 * len(job.output_text)


def _tell(done: Done, estimate: Estimate) -> None:
    try:
        done(estimate)
    except Exception as error:  # noqa: BLE001  the thread must outlive every caller's mistake
        _log.error("an estimate was lost", extra={"error": type(error).__name__})


def _estimate(count: Count, job: TextToCount) -> Estimate:
    try:
        return Estimate(input_tokens=_input_tokens(count, job), output_tokens=_output_tokens(count, job))
    except Exception as error:  # noqa: BLE001  one text that cannot be counted must not end the thread
        _log.error("an estimate failed", extra={"error": type(error).__name__})
        return _UNKNOWN


def _input_tokens(count: Count, job: TextToCount) -> int | None:
    countable = countable_input(job.api, job.request_body)
    if countable is None:
        return None
    return countable.fixed_tokens + _bounded(count, countable.texts)


def _output_tokens(count: Count, job: TextToCount) -> int | None:
    kept_chars = len(job.output_text)
    if not kept_chars:
        return None
    return round(_bounded(count, (job.output_text,)) * max(1.0, job.output_chars / kept_chars))


def _bounded(count: Count, texts: Sequence[str]) -> int:
    """Tokens of all `texts` together: bounded work, extrapolated beyond; the bound is on their sum."""
    total_chars = sum(map(len, texts))
    if not total_chars:
        return 0
    left_chars = min(COUNTED_CHARS, total_chars)
    scale = total_chars / left_chars
    counted: list[str] = []
    for text in texts:
        counted.append(text[:left_chars])
        left_chars -= len(counted[-1])
    return round(count([text for text in counted if text]) * scale)


class AnswersOnLoop:
    """An estimator whose answers arrive on the event loop, where the journal takes rows."""

    def __init__(self, estimator: Estimator, loop: asyncio.AbstractEventLoop) -> None:
        self._estimator = estimator
        self._loop = loop

    def submit(self, job: TextToCount, done: Callable[[Estimate], None]) -> bool:
        """See the port."""

        def answer(found: Estimate) -> None:
            self._loop.call_soon_threadsafe(done, found)

        return self._estimator.submit(job, answer)
