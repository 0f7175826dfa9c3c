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
PATTERN_CHARS = 1_024
"""Of all names together; those of an SDK have some four hundred."""
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


def read_head(head: bytes, last: Names | None = None) -> PlainHead | None:
    """Read a head, given without the empty line that ends it. None where it is not plain.

    `last` are the names of the head before it on its connection: an SDK sends the same ones again, and where it does,
    one pattern finds all the values.
    """
    if len(head) > HEADER_BLOCK_BYTES or b" \r\n" in head or b":  " in head or head.endswith(b" "):
        return None  # spaces around a value belong to nobody
    try:
        text = head.decode("ascii")
        method, path, headers = (_read_with_names(text, last) if last else None) or _read(text)
        target = parse_target(path)
        check_host(headers.first("host"))
    except (ValueError, BadRequest):
        return None
    length, keep_alive = headers.first("content-length"), _PERSISTENCE.get(headers.first("connection"))
    if method not in _METHODS or not target.is_gateway or keep_alive is None:
        return None
    if length is not None and not _LENGTH.fullmatch(length):
        return None
    return PlainHead(
        method=method,
        target=target,
        headers=headers,
        content_length=None if length is None else int(length),
        keep_alive=keep_alive,
    )


def _read(text: str) -> tuple[str, str, Fields]:
    """Method, target and fields. Raises ValueError where the fields are not plain."""
    start, *lines = text.split("\r\n")
    method, path, version = start.split(" ")
    fields = [line.split(": ", 1) for line in lines]
    names, values = names_of(tuple([name for name, _ in fields])), [value for _, value in fields]
    if version != "HTTP/1.1" or not _are_plain(names) or not "".join(values).isprintable():
        raise ValueError("not plain")
    return method, path, Fields(names, values)


def _read_with_names(text: str, names: Names) -> tuple[str, str, Fields] | None:
    """The same of a head whose fields have these names, in this order, which are plain; None where they have not."""
    pattern = _pattern(names)
    found = pattern and pattern.fullmatch(text)
    if not found:
        return None
    method, path, *values = found.groups()
    return method, path, Fields(names, values)


@lru_cache(maxsize=MOST_SETS)
def _pattern(names: Names) -> re.Pattern[str] | None:
    """What finds the values. It takes a millisecond to make, and would take longer for more than `PATTERN_CHARS`."""
    if sum(map(len, names.spelled)) > PATTERN_CHARS:
        return None
    lines = [rf"\r\n{re.escape(name)}: ([ -~]+)" for name in names.spelled]
    return re.compile(rf"([A-Z]+) ([^ \r\n]+) HTTP/1\.1{''.join(lines)}")


@lru_cache(maxsize=MOST_SETS)
def _are_plain(names: Names) -> bool:
    is_each_once = len(names.at) == len(names.spelled)
    return (
        is_each_once
        and len(names.spelled) <= HEADER_COUNT
        and names.at.keys().isdisjoint(_NEVER_PLAIN)
        and all(map(_TOKEN.fullmatch, names.spelled))
    )
