"""One call's content, for who may see it; each opening leaves a row, also one that was refused.

The rows stand in `content-audit.db` in the data folder and outlive the content: they name who, in which role, when,
and which call, and nothing that it said. Those of the export of traces, one for each call, go with the content.
"""

import os
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import time_ns
from typing import Any, Self

import apsw
import orjson

from proxy.adapters.content.files import PATIENCE_MS, ContentFile, Row, content_files
from proxy.adapters.content.sealing import CannotOpen, Sealer
from proxy.domain.content_key import VARIABLE, BadKey, keys_of

FILE_NAME = "content-audit.db"
ADMIN, OPERATOR, SERVICE = "admin", "operator", "service"
"""Roles: of the pages, of whoever may read the files and runs the command, and of a part of the proxy itself."""
TRACES = "otlp"
"""Who opens for spans, a row for each call: these rows go when the content does."""
MAY_OPEN = frozenset({ADMIN, OPERATOR, SERVICE})
_TABLE = """
CREATE TABLE IF NOT EXISTS opening(
    seq INTEGER PRIMARY KEY, at_unix_us INTEGER NOT NULL, who TEXT NOT NULL, role TEXT NOT NULL,
    exchange_id TEXT NOT NULL, trace_id TEXT NOT NULL, result TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS opening_who ON opening(who, at_unix_us);
"""


class NotAllowed(Exception):
    """The role may not see content."""


class NoKey(Exception):
    """The environment has no key, or another one than the content was sealed with; the text says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """`document` is as `adapters.content.document` made it."""

    exchange_id: str
    trace_id: str
    ended_unix_us: int
    level: str
    document: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """One row of the audit. `result` is `opened`, `refused`, `absent` or `no_key`."""

    at: datetime
    who: str
    role: str
    exchange_id: str
    trace_id: str
    result: str


def kept_among(directory: Path, exchange_ids: Collection[str]) -> frozenset[str]:
    """Those of the calls of which content is kept. Leaves no row, since nothing is opened. Raises `apsw.Error`."""
    found: set[str] = set()
    for path in content_files(directory):
        with ContentFile(path) as file:
            found.update(exchange_id for exchange_id in exchange_ids if file.find(exchange_id) is not None)
    return frozenset(found)


class Opener:
    """Opens contents for somebody: `with Opener(directory, role=…, who=…) as opener:`.

    Of one `with`, the files and the audit are opened once. A person's row is on the disk before the content is shown,
    a service's survives the process. Raises `apsw.Error` for files that cannot be read, and where no row can be left:
    then nothing is opened.
    """

    def __init__(self, directory: Path, *, role: str, who: str) -> None:
        self._directory = directory
        self._role = role
        self._who = who
        self._leaving = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as leaving:
            self._files = [leaving.enter_context(ContentFile(path)) for path in content_files(self._directory)]
            self._audit = leaving.enter_context(_audit(self._directory))
            self._audit.pragma("synchronous", 1 if self._role == SERVICE else 2)
            self._leaving = leaving.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._leaving.close()

    def has(self, exchange_id: str) -> bool:
        """Something is kept of the call. Leaves no row."""
        return self._find(exchange_id) is not None

    def open(self, exchange_id: str) -> Content | None:
        """What is kept of a call, opened with the key of the environment; None where nothing is.

        Raises `NotAllowed` and `NoKey`. Whatever comes of it, a row says so.
        """
        row = self._find(exchange_id)
        trace_id = row.trace_id if row is not None else ""
        if self._role not in MAY_OPEN:
            self._note(exchange_id, trace_id, "refused")
            raise NotAllowed
        if row is None:
            self._note(exchange_id, trace_id, "absent")
            return None
        try:
            opened = Sealer(keys_of(os.environ.get(VARIABLE, ""))).open(row.sealed, exchange_id)
        except BadKey as error:
            self._note(exchange_id, trace_id, "no_key")
            raise NoKey(f"{VARIABLE} {error.why}") from None
        except CannotOpen:
            self._note(exchange_id, trace_id, "no_key")
            raise NoKey(f"{VARIABLE} holds another key than this content was sealed with") from None
        self._note(exchange_id, trace_id, "opened")
        return Content(
            exchange_id=exchange_id,
            trace_id=trace_id,
            ended_unix_us=row.ended_unix_us,
            level=row.level,
            document=orjson.loads(opened),
        )

    def _find(self, exchange_id: str) -> Row | None:
        return next((row for file in self._files if (row := file.find(exchange_id)) is not None), None)

    def _note(self, exchange_id: str, trace_id: str, result: str) -> None:
        self._audit.execute(
            "INSERT INTO opening(at_unix_us, who, role, exchange_id, trace_id, result) VALUES (?, ?, ?, ?, ?, ?)",
            (time_ns() // 1000, self._who, self._role, exchange_id, trace_id, result),
        )


def content_of(directory: Path, exchange_id: str, *, role: str, who: str) -> Content | None:
    """What is kept of one call, as `Opener.open` has it."""
    with Opener(directory, role=role, who=who) as opener:
        return opener.open(exchange_id)


def expire_openings(directory: Path, who: str, before_unix_us: int) -> None:
    """Delete older rows of one who opens by the thousand. Raises `apsw.Error`."""
    if (directory / FILE_NAME).exists():
        with _audit(directory) as audit:
            audit.execute("DELETE FROM opening WHERE who = ? AND at_unix_us < ?", (who, before_unix_us))


def openings(directory: Path, limit: int = 100) -> list[Opening]:
    """The latest, the newest first. Raises `apsw.Error`."""
    if not (directory / FILE_NAME).exists():
        return []
    with _audit(directory) as audit:
        found = audit.execute(
            "SELECT at_unix_us, who, role, exchange_id, trace_id, result FROM opening ORDER BY seq DESC LIMIT ?",
            (limit,),
        )
        return [
            Opening(
                at=datetime.fromtimestamp(at_us / 1e6, UTC),
                who=who,
                role=role,
                exchange_id=exchange_id,
                trace_id=trace_id,
                result=result,
            )
            for at_us, who, role, exchange_id, trace_id, result in found
        ]


@contextmanager
def _audit(directory: Path) -> Iterator[apsw.Connection]:
    path = directory / FILE_NAME
    path.touch(mode=0o600)
    connection = apsw.Connection(str(path))
    try:
        connection.set_busy_timeout(PATIENCE_MS)
        connection.pragma("trusted_schema", False)
        connection.pragma("journal_mode", "wal")
        connection.execute(_TABLE)
        yield connection
    finally:
        connection.close()
