"""A request's line and fields as they go out: those that were given, `Host`, and how the body is framed."""

from typing import NamedTuple

from proxy.adapters.upstream.address import Origin
from proxy.adapters.upstream.wire import Request
from proxy.domain.headers import encode_head

_NEED_NO_BODY = ("GET", "HEAD", "OPTIONS", "TRACE")


class RequestHead(NamedTuple):
    """All of a request before its body. `is_chunked`: each piece of the body goes out as a chunk."""

    line_and_fields: bytes
    is_chunked: bool


def request_head(request: Request, target: str, origin: Origin) -> RequestHead:
    """A length among the fields holds. Raises ValueError for what would end a line."""
    body, fields = request.body, request.headers
    framing: list[str] = []
    is_chunked = False
    if "content-length" not in fields.names.at:
        if isinstance(body, bytes):
            framing.append(f"Content-Length: {len(body)}")
        elif body is not None:
            framing.append("Transfer-Encoding: chunked")
            is_chunked = True
        elif request.method not in _NEED_NO_BODY:
            framing.append("Content-Length: 0")
    first = (f"{request.method} {target} HTTP/1.1", f"Host: {origin.field}")
    return RequestHead(encode_head(first, fields, framing), is_chunked)
