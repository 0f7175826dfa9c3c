"""The child that keeps content: `python -m proxy.adapters.content.keeper`, fed by `handover`.

The first line that it reads is its settings; each further one is the head of a call, with the lengths of the bytes of
request and reply behind it. Once a minute it deletes what is over the bounds. Its standard input's end is its own end;
it prints nothing of what it reads.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any, BinaryIO

import apsw
import orjson

from proxy.adapters.content.document import document
from proxy.adapters.content.files import ContentFile, Row, in_each, path_of
from proxy.adapters.content.opening import TRACES, expire_openings
from proxy.adapters.content.sealing import Sealer
from proxy.domain.capture import Level
from proxy.domain.content_key import VARIABLE, keys_of
from proxy.domain.redaction import Redaction

SWEEP_S = 60.0
NICENESS = 10


class Keeper:
    """`key_text` is the variable's; without one it only deletes."""

    def __init__(self, settings: dict[str, Any], key_text: str, now_unix_us: Callable[[], int]) -> None:
        self._directory = Path(settings["directory"])
        self._max_bytes = settings["max_bytes"]
        self._max_age_us = int(settings["max_age_s"] * 1e6)
        self._now_us = now_unix_us
        self._redaction = Redaction(settings["redact"], settings["patterns"])
        self._sealer = Sealer(keys_of(key_text)) if key_text else None
        self._path = path_of(self._directory, settings["worker"])

    def keep(self, head: dict[str, Any], request: bytes | None, reply: bytes) -> None:
        """Store one call's content. Raises `apsw.Error`."""
        if self._sealer is None:
            return
        level = Level(head["level"])
        made = orjson.dumps(document(level, request, reply, self._redaction, head["max_bytes"]))
        row = Row(
            exchange_id=head["exchange_id"],
            trace_id=head["trace_id"],
            distinct_id=head["distinct_id"],
            ended_unix_us=head["ended_unix_us"],
            level=level,
            sealed=self._sealer.seal(made, head["exchange_id"]),
        )
        with ContentFile(self._path) as file:
            file.add([row])

    def sweep(self) -> int:
        """Delete what is too old or too much, in the files of all workers, also of those that are gone."""
        before_us = self._now_us() - self._max_age_us
        deleted = in_each(self._directory, lambda file: file.expire(before_us, self._max_bytes))
        expire_openings(self._directory, TRACES, before_us)
        return deleted


def serve(stream: BinaryIO, keeper: Keeper) -> int:
    """Keep what comes, until the stream ends; returns how many calls could not be kept."""
    lost = 0
    while line := stream.readline():
        head = orjson.loads(line)
        request = stream.read(head["request_bytes"]) if head["request_bytes"] is not None else None
        reply = stream.read(head["reply_bytes"])
        lost += not _quietly(partial(keeper.keep, head, request, reply))
    return lost


def _sweep_for_ever(keeper: Keeper) -> None:
    while True:
        _quietly(keeper.sweep)
        time.sleep(SWEEP_S)


def _quietly(action: Callable[[], object]) -> bool:
    """A call that cannot be kept costs its content and nothing else."""
    try:
        action()
    except (apsw.Error, OSError, ValueError, RecursionError):
        return False
    return True


def main() -> int:
    """Serve standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICENESS)
    os.umask(0o077)
    stream = sys.stdin.buffer
    settings = orjson.loads(stream.readline())
    keeper = Keeper(settings, os.environ.get(VARIABLE, ""), lambda: time.time_ns() // 1000)
    Thread(target=_sweep_for_ever, args=(keeper,), daemon=True).start()
    serve(stream, keeper)
    return 0


if __name__ == "__main__":
    sys.exit(main())
