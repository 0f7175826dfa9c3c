"""How a tool call ended, by the result that an app sends back to the model.

Where the dialect has a flag for it, the flag says so. Else the first characters of the result are looked at, for the
few forms in which frameworks and tools report errors; that is a guess, and marked as one. A result that only mentions
errors (a log file, a page on error handling) begins otherwise and counts as good.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import orjson

HEAD_CHARS = 400
PARSED_CHARS = 4_096
"""A longer JSON result is judged by its first characters alone."""


class StepStatus(StrEnum):
    """How a step ended."""

    SUCCESS = "success"
    ERROR = "error"
    UNKNOWN = "unknown"


class StatusSource(StrEnum):
    """Who says so: a flag of the dialect, or the look of the result."""

    PROVIDER = "provider"
    HEURISTIC = "heuristic"


Ended = tuple[StepStatus, StatusSource | None]
"""The source is None where nothing is known."""

_FLAGS = {"failed": StepStatus.ERROR, "completed": StepStatus.SUCCESS}
_ERROR_START = re.compile(
    r"""
    \s* [\[("'*]* \s*
    (?: <(?:tool_use_)?error>
      | (?:an?\ )? (?:unexpected\ |internal\ |fatal\ |tool\ |api\ |http\ )? error
            (?: \s*[:\-–(\]>] | \s+(?:occurred|while|when|in|executing|calling|running|invoking|code|\d{3})\b | \s*$ )
      | [A-Za-z_.]{0,60}(?:Error|Exception) \s* [:(]
      | traceback\ \(most\ recent\ call\ last\)
      | exception \s* :
      | failed\ to\ [a-z]
      | (?:tool|function|command|request|execution|call)\ (?:call\ |execution\ )? (?:failed|timed\ out) \b
      | permission\ denied | access\ denied
      | (?:http\ )? [45]\d\d \s (?:bad\ request|unauthorized|forbidden|not\ found|internal\ server\ error|bad\ gateway
            |service\ unavailable|gateway\ time-?out|too\ many\ requests)
    )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_ERROR_MEMBER = re.compile(
    r"""\s*\{\s*"(?:error|errors|error_message|exception)"\s*:(?!\s*(?:null|false|""|\[\s*\]|\{\s*\}|0\b))""",
    re.IGNORECASE,
)
_ERROR_WORDS = frozenset({"error", "failed", "failure", "exception"})


def ended(item: Mapping[str, Any], content: object) -> Ended:
    """Judge one result: `item` is the message, block or item that carries `content`. Bounded work, whatever it is."""
    flag = item.get("is_error")
    if isinstance(flag, bool):
        return (StepStatus.ERROR if flag else StepStatus.SUCCESS), StatusSource.PROVIDER
    if item.get("type") == "apply_patch_call_output" and (stated := _FLAGS.get(str(item.get("status")))) is not None:
        return stated, StatusSource.PROVIDER
    text = _beginning(content)
    if not text.strip():
        return StepStatus.UNKNOWN, None
    is_error = _is_error_document(text) if text.lstrip()[:1] == "{" else bool(_ERROR_START.match(text[:HEAD_CHARS]))
    return (StepStatus.ERROR if is_error else StepStatus.SUCCESS), StatusSource.HEURISTIC


def _beginning(content: object) -> str:
    """The first text of a result, as it is or the first part that has one."""
    for part in content[:8] if isinstance(content, list) else (content,):
        text = part.get("text") if isinstance(part, dict) else part
        if isinstance(text, str) and text:
            return text
    return ""


def _is_error_document(text: str) -> bool:
    if len(text) > PARSED_CHARS:
        return _ERROR_MEMBER.match(text[:HEAD_CHARS]) is not None
    try:
        told = orjson.loads(text)
    except orjson.JSONDecodeError:
        return _ERROR_MEMBER.match(text[:HEAD_CHARS]) is not None
    if not isinstance(told, dict):
        return False
    if any(told.get(name) for name in ("error", "errors", "exception", "isError", "is_error")):
        return True
    if any(told.get(name) is False for name in ("success", "ok")):
        return True
    status = told.get("status")
    return isinstance(status, str) and status.lower() in _ERROR_WORDS
