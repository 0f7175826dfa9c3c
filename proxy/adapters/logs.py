"""Logs as JSON lines that cannot quote anybody.

Our own records are a constant message and named fields. Of an exception only its type and the places in the code
are told, never its text: texts of libraries quote URLs, headers and bodies. Of other loggers' records, whose
messages we do not control, only the name, the level and the exception's type are kept.
"""

import logging
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TextIO

import orjson

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_FRAMES = 8


class JsonLines(logging.Formatter):
    """One JSON object a line; control characters are escaped by the encoding."""

    def format(self, record: logging.LogRecord) -> str:
        """Never raises on odd values: they become their type's name."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        if record.name == "proxy" or record.name.startswith("proxy."):
            line["message"] = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
            line |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = record.exc_info[0].__name__
            line["places"] = _places(record.exc_info[2])
        try:
            return orjson.dumps(line, default=_type_name).decode()
        except TypeError:  # what `default` is not asked about: integers over 64 bits, lone surrogates, odd keys
            plain = {key: value if _is_plain(value) else _type_name(value) for key, value in line.items()}
            return orjson.dumps(plain, default=_type_name).decode()


def _type_name(value: object) -> str:
    return type(value).__name__


def _is_plain(value: object) -> bool:
    try:
        orjson.dumps(value, default=_type_name)
    except TypeError:
        return False
    return True


def _places(trace: TracebackType | None) -> list[str]:
    frames = traceback.extract_tb(trace)[-_FRAMES:]
    return [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]


def _has_a_place(record: logging.LogRecord) -> bool:
    """False for loggers that repeat, with each batch, what `adapters.otel` says once."""
    return not record.name.startswith("opentelemetry.")


def configure(level: str, stream: TextIO = sys.stderr) -> None:
    """Make this the only way that anything is logged in this process."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    handler.addFilter(_has_a_place)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.raiseExceptions = False  # a broken log pipe must not print records to stderr
