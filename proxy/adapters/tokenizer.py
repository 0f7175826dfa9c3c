"""Token counts made here, for replies whose provider reported none.

`Tokenizer` holds OpenAI's o200k_base vocabulary, built from the file in `proxy/data` after its hash was checked;
tiktoken's own constructors would download it. Loading takes some 0.4 s, and the last half of it holds the
interpreter's lock, which stops the event loop: call `load()` before the first request. Until the vocabulary is
there (or if its file is damaged) counts are a heuristic, so that no job waits for it.

`Estimator` is one thread and one queue. The queue is bounded in jobs and in bytes, and a full one refuses at once:
the caller marks its tokens unknown. Tokenizing releases the interpreter's lock; what is counted of one job is
bounded and the rest extrapolated. Texts are dropped as soon as they are counted.
"""

import base64
import hashlib
import logging
import re
from collections import deque
from collections.abc import Callable, Sequence
from importlib.resources import files
from threading import Condition, Lock, Thread
from time import monotonic

import tiktoken
import zstandard

from proxy.domain.estimate import Estimate, TextToCount, countable_input

COUNTED_CHARS = 256 * 1024
"""How much of one input or output is tokenized; the rest is taken to be like it."""
VOCABULARY_SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
VOCABULARY_BYTES = 3_613_922
_PATTERN = "|".join(
    (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)
"""As `tiktoken_ext.openai_public.o200k_base` has it; stated here because calling that would download."""
_WIDE = re.compile("[\u2e80-\ud7ff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]")
"""Scripts of which a character is about one token: Chinese, Japanese, Korean."""

_log = logging.getLogger(__name__)


class DamagedVocabulary(Exception):
    """The vocabulary's file is not the one that was checked in."""


class Tokenizer:
    """Counts tokens of o200k_base. All methods may be called from any thread."""

    def __init__(self, *, packed: bytes | None = None) -> None:
        """`packed` replaces the compressed vocabulary of the package."""
        self._packed = packed
        self._encoding: tiktoken.Encoding | None = None
        self._load_lock = Lock()

    @property
    def is_loaded(self) -> bool:
        """True once counts are exact."""
        return self._encoding is not None

    def load(self) -> None:
        """Load the vocabulary; blocks until it is there. Raises `DamagedVocabulary`, `OSError`."""
        with self._load_lock:
            if self._encoding is None:
                self._encoding = _build(self._packed or _read_packed())

    def count(self, text: str) -> int:
        """Tokens of `text`, special tokens taken as plain text; bounded work, extrapolated beyond."""
        return self.count_all((text,))

    def count_all(self, texts: Sequence[str]) -> int:
        """Tokens of all `texts` together, each tokenized by itself; the bound is on their sum."""
        total_chars = sum(map(len, texts))
        left_chars = min(COUNTED_CHARS, total_chars)
        scale = total_chars / left_chars if left_chars else 1.0
        tokens = 0
        for text in filter(None, texts):
            tokens += self._count_exactly(text[:left_chars])
            left_chars -= min(left_chars, len(text))
            if not left_chars:
                break
        return round(tokens * scale)

    def _count_exactly(self, text: str) -> int:
        if self._encoding is None:
            return heuristic_tokens(text)
        return len(self._encoding.encode_ordinary(text))


def heuristic_tokens(text: str) -> int:
    """A guess without a vocabulary: one per CJK character, one per four UTF-8 bytes of the rest."""
    rest = _WIDE.sub("", text)
    rest_bytes = len(rest.encode("utf-8", "surrogatepass"))
    return len(text) - len(rest) + (rest_bytes + 3) // 4


def _read_packed() -> bytes:
    return files("proxy").joinpath("data", "o200k_base.tiktoken.zst").read_bytes()


def _build(packed: bytes) -> tiktoken.Encoding:
    try:
        vocabulary = zstandard.ZstdDecompressor().decompress(packed, max_output_size=VOCABULARY_BYTES)
    except zstandard.ZstdError as error:
        raise DamagedVocabulary from error
    if hashlib.sha256(vocabulary).hexdigest() != VOCABULARY_SHA256:
        raise DamagedVocabulary
    lines = (line.split() for line in vocabulary.splitlines())
    ranks = {base64.b64decode(token): int(rank) for token, rank in lines}
    encoding = tiktoken.Encoding("o200k_base", pat_str=_PATTERN, mergeable_ranks=ranks, special_tokens={})
    ranks.clear()  # tiktoken counts with a copy of its own; this one would cost 15 MB for ever
    return encoding


Done = Callable[[Estimate], None]


class Estimator:
    """Satisfies `pipeline.ports.Estimator`. Starts its thread with the first job."""

    def __init__(self, tokenizer: Tokenizer, *, max_jobs: int = 64, max_bytes: int = 16 * 1024 * 1024) -> None:
        """`max_jobs` and `max_bytes` bound what is waiting or being counted."""
        self._tokenizer = tokenizer
        self._max_jobs = max_jobs
        self._max_bytes = max_bytes
        self._changed = Condition()
        self._waiting: deque[tuple[TextToCount, Done]] = deque()
        self._held_jobs = 0
        self._held_bytes = 0
        self._is_closing = False
        self._worker: Thread | None = None
        self._loader: Thread | None = None

    def load(self) -> bool:
        """Load the vocabulary now; blocks. False, and a line in the log, where it cannot be had."""
        try:
            self._tokenizer.load()
        except (DamagedVocabulary, OSError) as error:
            _log.error("no vocabulary, token estimates stay rough", extra={"error": type(error).__name__})
        return self._tokenizer.is_loaded

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
        deadline_s = monotonic() + timeout_s
        if self._worker is not None:
            self._worker.join(timeout_s)
        if self._loader is not None:
            self._loader.join(max(0.0, deadline_s - monotonic()))
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
            self._load_beside()
            estimate = _estimate(self._tokenizer, job)
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

    def _load_beside(self) -> None:
        """Start loading the vocabulary, once, without waiting for it."""
        if self._loader is None and not self._tokenizer.is_loaded:
            self._loader = Thread(target=self.load, name="token-vocabulary", daemon=True)
            self._loader.start()


_UNKNOWN = Estimate(input_tokens=None, output_tokens=None)


def _size_bytes(job: TextToCount) -> int:
    return len(job.request_body) + 4 * len(job.output_text)


def _tell(done: Done, estimate: Estimate) -> None:
    try:
        done(estimate)
    except Exception as error:  # noqa: BLE001  the thread must outlive every caller's mistake
        _log.error("an estimate was lost", extra={"error": type(error).__name__})


def _estimate(tokenizer: Tokenizer, job: TextToCount) -> Estimate:
    try:
        return Estimate(input_tokens=_input_tokens(tokenizer, job), output_tokens=_output_tokens(tokenizer, job))
    except BaseException as error:  # noqa: BLE001  a panic of tiktoken's Rust is not an Exception
        _log.error("an estimate failed", extra={"error": type(error).__name__})
        return _UNKNOWN


def _input_tokens(tokenizer: Tokenizer, job: TextToCount) -> int | None:
    countable = countable_input(job.api, job.request_body)
    if countable is None:
        return None
    return countable.fixed_tokens + tokenizer.count_all(countable.texts)


def _output_tokens(tokenizer: Tokenizer, job: TextToCount) -> int | None:
    kept_chars = len(job.output_text)
    if not kept_chars:
        return None
    return round(tokenizer.count(job.output_text) * max(1.0, job.output_chars / kept_chars))
