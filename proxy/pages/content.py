"""What a call said and was told, where configuration has it kept: for admins, and each opening leaves a row."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import orjson

from proxy.adapters.content.opening import NoKey, NotAllowed, content_of, kept_among
from proxy.domain.content_key import VARIABLE
from proxy.domain.sessions import Role

WHO = "pages"
"""In the audit: a session of an admin has no name."""
MOST_CALLS = 50
"""Of one trace that are looked up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """`parts` are (title, JSON text); where there are none, `why` says why."""

    trace_id: str = ""
    level: str = ""
    parts: Sequence[tuple[str, str]] = ()
    why: str = ""


def kept_of(data_dir: Path, calls: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """The exchange ids, among the first calls, of which content is kept. Opens nothing."""
    try:
        ids = [call["exchange_id"] for call in calls[:MOST_CALLS]]
        return kept_among(data_dir, ids)
    except apsw.Error:
        return frozenset()


def opened(data_dir: Path, exchange_id: str) -> Opened:
    """What is kept of one call, for an admin."""
    try:
        found = content_of(data_dir, exchange_id, role=Role.ADMIN, who=WHO)
    except NoKey:
        return Opened(why=f"The content is sealed, and {VARIABLE} here holds no key that opens it.")
    except apsw.Error:
        return Opened(why="The files of contents cannot be read now.")
    if found is None:
        return Opened(why="No content is kept of this call.")
    parts = [(title, _text(found.document[title])) for title in ("request", "reply") if title in found.document]
    return Opened(trace_id=found.trace_id, level=found.level, parts=parts)


def refuse(data_dir: Path, exchange_id: str) -> None:
    """Note that somebody who may not see content asked for that of a call."""
    with suppress(NotAllowed, apsw.Error):
        content_of(data_dir, exchange_id, role=Role.VIEWER, who=WHO)


def _text(part: object) -> str:
    return part if isinstance(part, str) else orjson.dumps(part, option=orjson.OPT_INDENT_2).decode()
