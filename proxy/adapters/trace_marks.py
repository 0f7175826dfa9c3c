"""How far each journal has been told to the collector, in a small file of the data folder.

A mark is the `seq` and the id of the last row that the collector took, or that was passed over. A file is known by its
name: where the row of its mark is another one by now, or was never written, the file is a new one of this name and is
read from its beginning. The marks move only after the collector has answered, and are on disk before the next batch
goes: whoever is killed in between repeats one batch.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import orjson

from proxy.adapters.journal import JournalReader, journal_files
from proxy.adapters.journal.schema import Unusable
from proxy.adapters.state_file import replace_file

FILE_NAME = "telemetry-marks.json"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Mark:
    """One row of one table of a journal; `seq` 0 stands before all."""

    seq: int = 0
    id: str = ""


@dataclass(frozen=True, slots=True)
class FileMarks:
    """Those of one journal."""

    calls: Mark = Mark()
    outcomes: Mark = Mark()


Marks = Mapping[str, FileMarks]
"""By the journal's file name."""


def begin(directory: Path) -> None:
    """Unless traces have begun already, they begin now: what the journals hold stays untold. Raises OSError."""
    if read_marks(directory) is None:
        write_marks(directory, _now(directory))


def end(directory: Path) -> None:
    """Forget how far it was: the next beginning is a new one. Raises OSError."""
    (directory / FILE_NAME).unlink(missing_ok=True)


def read_marks(directory: Path) -> Marks | None:
    """None where there are none, or none that can be read."""
    try:
        told = orjson.loads((directory / FILE_NAME).read_bytes())
        return {name: _marks_of(marks) for name, marks in told["files"].items()} if told["v"] == _VERSION else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_marks(directory: Path, marks: Marks) -> None:
    """On disk when this returns. Raises OSError."""
    files = {
        name: {"calls": [of.calls.seq, of.calls.id], "outcomes": [of.outcomes.seq, of.outcomes.id]}
        for name, of in marks.items()
    }
    replace_file(directory / FILE_NAME, orjson.dumps({"v": _VERSION, "files": files}))


def _now(directory: Path) -> Marks:
    """A file that cannot be read now is told from its beginning, once it can."""
    found = {}
    for path in journal_files(directory):
        with suppress(Unusable, apsw.Error), JournalReader(path) as reader:
            found[path.name] = FileMarks(_last_call(reader), _last_outcome(reader))
    return found


def _last_call(reader: JournalReader) -> Mark:
    seq = reader.last_written("exchange")
    rows = reader.exchanges(seq - 1, 1)
    return Mark(seq, rows[0].exchange_id if rows else "")


def _last_outcome(reader: JournalReader) -> Mark:
    seq = reader.last_written("outcome")
    rows = reader.outcomes(seq - 1, 1)
    return Mark(seq, rows[0].uuid if rows else "")


def _marks_of(told: Mapping[str, Any]) -> FileMarks:
    (call_seq, call_id), (outcome_seq, outcome_id) = told["calls"], told["outcomes"]
    return FileMarks(Mark(int(call_seq), str(call_id)), Mark(int(outcome_seq), str(outcome_id)))
