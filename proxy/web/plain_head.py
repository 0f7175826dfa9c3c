"""The head of a request that can be read in one way only.

One spelling is taken, which is that of every SDK: printable ASCII, each field as `Name: value`, no name twice,
HTTP/1.1, a path of the gateway, a body of known length or none. On such bytes no two parsers disagree. Whatever
differs, or wants something to be negotiated first, is None here, which is no verdict: aiohttp reads it, and serves or
refuses it.
"""

import re
from functools import lru_cache

from proxy.domain.errors import BadRequest
from proxy.domain.fields import MOST_SETS, Fields, Names, names_of
from proxy.domain.paths import RequestTarget, check_host, parse_target
from proxy.domain.values import value_class
from proxy.web.server import HEADER_BLOCK_BYTES, HEADER_COUNT

END = b"\r\n\r\n"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_LENGTH = re.compile(r"[0-9]{1,9}")
_PERSISTENCE = {None: True, "keep-alive": True, "Keep-Alive": True, "close": False}
_NEVER_PLAIN = frozenset({"transfer-encoding", "expect", "upgrade", "proxy-connection", "sec-websocket-key1"})
"""A frame of another kind, a reply before the reply, and what parsers are known to treat specially."""


@value_class
class PlainHead:
    """What such a head says."""

    method: str
    target: RequestTarget
    headers: Fields
    content_length: int | None
    keep_alive: bool


def read_head(head: bytes) -> PlainHead | None:
    """Read a head, given without the empty line that ends it. None where it is not plain."""
    if len(head) > HEADER_BLOCK_BYTES or b" \r\n" in head or b":  " in head or head.endswith(b" "):
        return None  # spaces around a value belong to nobody
    try:
        start, *lines = head.decode("ascii").split("\r\n")
        method, path, version = start.split(" ")
        fields = [line.split(": ", 1) for line in lines]
        names, values = names_of(tuple([name for name, _ in fields])), [value for _, value in fields]
        if (
            version != "HTTP/1.1"
            or method not in _METHODS
            or not _are_plain(names)
            or not "".join(values).isprintable()
        ):
            return None
        target, headers = parse_target(path), Fields(names, values)
        check_host(headers.first("host"))
    except (ValueError, BadRequest):
        return None
    length, keep_alive = headers.first("content-length"), _PERSISTENCE.get(headers.first("connection"))
    if not target.is_gateway or keep_alive is None or not (length is None or _LENGTH.fullmatch(length)):
        return None
    return PlainHead(
        method=method,
        target=target,
        headers=headers,
        content_length=None if length is None else int(length),
        keep_alive=keep_alive,
    )


@lru_cache(maxsize=MOST_SETS)
def _are_plain(names: Names) -> bool:
    is_each_once = len(names.at) == len(names.spelled)
    return (
        is_each_once
        and len(names.spelled) <= HEADER_COUNT
        and names.at.keys().isdisjoint(_NEVER_PLAIN)
        and all(map(_TOKEN.fullmatch, names.spelled))
    )
