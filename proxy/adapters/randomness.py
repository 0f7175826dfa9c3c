"""Random bytes for ids and draws, from the kernel's generator, fetched many at a time."""

import os

FETCHED_BYTES = 4096
"""A system call for each id would also give the interpreter to another thread, in the middle of each call."""


class RandomBytes:
    """`source(count)` returns that many bytes, never the same ones twice. Made after the last fork; for one thread."""

    def __init__(self) -> None:
        self._fetched = b""
        self._used = 0

    def __call__(self, count: int) -> bytes:
        """The next bytes; at most `FETCHED_BYTES` at a time."""
        start, end = self._used, self._used + count
        if end > len(self._fetched):
            self._fetched = os.urandom(FETCHED_BYTES)
            start, end = 0, count
        self._used = end
        return self._fetched[start:end]
