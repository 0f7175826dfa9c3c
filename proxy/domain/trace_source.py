"""How it was found which trace a call belongs to."""

from enum import StrEnum


class TraceSource(StrEnum):
    """Said by the caller (the first three), found by what was seen before (`domain.stitching`), or a new trace."""

    HEADER = "header"
    BODY = "body"
    TRACEPARENT = "traceparent"
    RESPONSE = "response"
    TOOL_CALL = "tool_call"
    PREFIX = "prefix"
    RETRY = "retry"
    NEW = "new"
