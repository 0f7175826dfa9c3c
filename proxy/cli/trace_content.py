"""What was asked and answered in a trace, for the operator: opened with the key of the environment, and each one noted.

Whoever may read the data folder's files and has the key is an operator. The note names the user of the system.
"""

import os
import pwd
from collections.abc import Iterator, Mapping
from pathlib import Path

import apsw
import orjson

from proxy.adapters.content.opening import OPERATOR, Content, NoKey, Opener, kept_among
from proxy.cli.terminal import plain
from proxy.pages.trace import Trace

PARTS = ("request", "reply")


class Closed(Exception):
    """Nothing is shown; the text says why, to the operator."""


def open_all(data_dir: Path, trace: Trace) -> dict[str, Content]:
    """By exchange id, in the order of the calls: of those of which something is kept. Raises `Closed`."""
    ids = [call["exchange_id"] for call in trace.calls]
    try:
        kept = kept_among(data_dir, ids)
        if not kept:
            raise Closed("No content is kept of this trace: `capture:` did not ask for it, or its time is over.")
        with Opener(data_dir, role=OPERATOR, who=_user()) as opener:
            opened = [opener.open(exchange_id) for exchange_id in ids if exchange_id in kept]
    except NoKey as error:
        raise Closed(f"The content is sealed: {error}.") from None
    except (apsw.Error, OSError) as error:
        why = type(error).__name__
        raise Closed(
            f"The files of contents in {data_dir}/ cannot be opened, or the opening cannot be noted there ({why}); "
            "run this as the user that the proxy runs as."
        ) from None
    return {content.exchange_id: content for content in opened if content is not None}


def content_lines(trace: Trace, contents: Mapping[str, Content]) -> Iterator[str]:
    """What is kept of each call, as JSON."""
    for number, call in enumerate(trace.calls, 1):
        if (content := contents.get(call["exchange_id"])) is None:
            continue
        yield f"\nContent of call {number}, {plain(call['exchange_id'])}, level {content.level}; this opening is noted"
        for part in PARTS:
            if (told := content.document.get(part)) is not None:
                is_cut = part in content.document.get("cut", ())
                yield f"{part}, of which the beginning is kept:" if is_cut else f"{part}:"
                yield from map(plain, _text(told).split("\n"))
            elif part in content.document.get("left_out", ()):
                yield f"{part}: left out"


def _text(part: object) -> str:
    return part if isinstance(part, str) else orjson.dumps(part, option=orjson.OPT_INDENT_2).decode()


def _user() -> str:
    """Not by variables, which anybody may set."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
