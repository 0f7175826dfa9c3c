"""What an operator asks of a journal: replay or purge of dead events, or to forget a user, whether or not the proxy
runs.

The file has one writer. While the proxy runs, the order is left beside the file as `journal-<worker>.request`, and
the proxy carries it out within a second or two and removes it; otherwise whoever asks takes the lock and does it.
An order that is carried out twice, after a crash in between, does nothing the second time.
"""

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import orjson

from proxy.adapters.journal import schema
from proxy.adapters.journal.file import JournalFile
from proxy.adapters.journal.place import lock
from proxy.adapters.journal.settings import JournalSettings

MAX_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Replay and purge concern what died before `before_unix_us`; None in a filter matches any."""

    verb: Literal["replay", "purge", "forget"]
    before_unix_us: int
    reason: str | None = None
    uuid: str | None = None
    distinct_id: str = ""
    """Who is to be forgotten."""


class RequestWaits(Exception):
    """An earlier request has not been carried out yet."""


def carry_out(file: JournalFile, request: Request) -> int:
    """One step, inside a transaction; returns how many rows it touched, 0 when all is done."""
    if request.verb == "replay":
        return file.outbox.replay(reason=request.reason, uuid=request.uuid, before_unix_us=request.before_unix_us)
    if request.verb == "forget":
        return file.forgetting.step(request.distinct_id)
    return file.outbox.purge(request.before_unix_us)


def leave(path: Path, request: Request) -> Path:
    """Put the request beside the journal at `path`; returns where. Raises `RequestWaits`, OSError."""
    target = path.with_suffix(".request")
    draft = path.with_suffix(f".draft-{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(orjson.dumps(asdict(request)))
        target.hardlink_to(draft)
    except FileExistsError:
        raise RequestWaits from None
    finally:
        draft.unlink(missing_ok=True)
    return target


def waiting(path: Path) -> Request | None:
    """The request beside the journal at `path`, if there is one that can be read; one without sense is removed."""
    target = path.with_suffix(".request")
    try:
        with target.open("rb") as file:
            found = Request(**orjson.loads(file.read(MAX_BYTES)))
    except OSError:  # none, or no more files may be open: the next look finds it
        return None
    except (TypeError, ValueError):
        done(path)
        return None
    return found


def done(path: Path) -> None:
    """Remove the request."""
    path.with_suffix(".request").unlink(missing_ok=True)


def do_now(path: Path, request: Request, settings: JournalSettings, now_unix_us: int) -> int | None:
    """Take the lock and carry the request out; returns how many rows it touched, None while the proxy runs.

    Raises `schema.Unusable`, `apsw.Error`, OSError.
    """
    descriptor = lock(path)
    if descriptor is None:
        return None
    try:
        file = JournalFile(schema.connect(path), settings, lambda: now_unix_us)
        try:
            total = 0
            while True:
                with file.transaction():
                    touched = carry_out(file, request)
                if not touched:
                    file.scrub()
                    return total
                total += touched
        finally:
            file.finish()
    finally:
        os.close(descriptor)
