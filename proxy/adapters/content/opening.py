"""One call's content, for who may see it; each opening leaves a row, also one that was refused.

The rows stand in `content-audit.db` in the data folder and outlive the content: they name who, in which role, when,
and which call, and nothing that it said.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import time_ns
from typing import Any

import apsw
import orjson

from proxy.adapters.content.files import PATIENCE_MS, ContentFile, Row, content_files
from proxy.adapters.content.sealing import CannotOpen, Sealer
from proxy.domain.content_key import VARIABLE, BadKey, keys_of

MAY_OPEN = frozenset({"admin"})
"""Roles."""
_TABLE = """
CREATE TABLE IF NOT EXISTS opening(
    seq INTEGER PRIMARY KEY, at_unix_us INTEGER NOT NULL, who TEXT NOT NULL, role TEXT NOT NULL,
    exchange_id TEXT NOT NULL, trace_id TEXT NOT NULL, result TEXT NOT NULL
) STRICT;
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


def has_content(directory: Path, exchange_id: str) -> bool:
    """Something is kept of the call. Leaves no row, since nothing is opened. Raises `apsw.Error`."""
    return _find(directory, exchange_id) is not None


def content_of(directory: Path, exchange_id: str, *, role: str, who: str) -> Content | None:
    """What is kept of a call, opened with the key of the environment; None where nothing is.

    Raises `NotAllowed`, `NoKey`, and `apsw.Error` for files that cannot be read, or where no row can be left.
    """
    row = _find(directory, exchange_id)
    trace_id = row.trace_id if row is not None else ""
    with _audit(directory) as audit:

        def note(result: str) -> None:
            audit.execute(
                "INSERT INTO opening(at_unix_us, who, role, exchange_id, trace_id, result) VALUES (?, ?, ?, ?, ?, ?)",
                (time_ns() // 1000, who, role, exchange_id, trace_id, result),
            )

        if role not in MAY_OPEN:
            note("refused")
            raise NotAllowed
        if row is None:
            note("absent")
            return None
        try:
            opened = Sealer(keys_of(os.environ.get(VARIABLE, ""))).open(row.sealed, exchange_id)
        except BadKey as error:
            note("no_key")
            raise NoKey(f"{VARIABLE} {error.why}") from None
        except CannotOpen:
            note("no_key")
            raise NoKey(f"{VARIABLE} holds another key than this content was sealed with") from None
        note("opened")
        return Content(
            exchange_id=exchange_id,
            trace_id=trace_id,
            ended_unix_us=row.ended_unix_us,
            level=row.level,
            document=orjson.loads(opened),
        )


def openings(directory: Path, limit: int = 100) -> list[Opening]:
    """The latest, the newest first. Raises `apsw.Error`."""
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


def _find(directory: Path, exchange_id: str) -> Row | None:
    for path in content_files(directory):
        with ContentFile(path) as file:
            if (row := file.find(exchange_id)) is not None:
                return row
    return None


@contextmanager
def _audit(directory: Path) -> Iterator[apsw.Connection]:
    path = directory / "content-audit.db"
    path.touch(mode=0o600)
    connection = apsw.Connection(str(path))
    try:
        connection.set_busy_timeout(PATIENCE_MS)
        connection.pragma("trusted_schema", False)
        connection.execute(_TABLE)
        yield connection
    finally:
        connection.close()
