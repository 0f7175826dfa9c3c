"""Every test of an upstream client runs against both of them, on real sockets, through the port alone."""

import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from typing import NamedTuple, Protocol

import pytest

from proxy.adapters.upstream import AiohttpUpstream, NativeUpstream
from proxy.domain.errors import UpstreamError
from proxy.domain.fields import Fields, fields_of
from proxy.domain.routing import Timeouts
from proxy.pipeline.ports import Upstream, UpstreamRequest

CLIENTS: dict[str, Callable[..., "Client"]] = {"native": NativeUpstream, "aiohttp": AiohttpUpstream}


class Client(Upstream, Protocol):
    """A client, and its end."""

    async def close(self) -> None: ...


MakeClient = Callable[[ssl.SSLContext | None], Client]


def request(
    url: str,
    *,
    method: str = "POST",
    headers: Sequence[tuple[str, str]] = (),
    body: bytes | AsyncIterator[bytes] | None = b"{}",
    connect_s: float = 5.0,
    on_sent: Callable[[], None] = lambda: None,
    on_begun: Callable[[], None] = lambda: None,
) -> UpstreamRequest:
    return UpstreamRequest(
        method=method,
        url=url,
        headers=fields_of(headers),
        body=body,
        timeouts=Timeouts(connect_s=connect_s),
        on_sent=on_sent,
        on_begun=on_begun,
    )


class Head(NamedTuple):
    """Of a reply, which has it until the body pours."""

    status: int
    reason: str
    headers: Fields


async def read(upstream: Upstream, asked: UpstreamRequest) -> tuple[Head, bytes]:
    """Send, and take all of the body."""
    reply, pieces = await upstream.send(asked), list[bytes]()
    head = Head(reply.status, reply.reason, reply.headers)
    try:
        await reply.pour(pieces.append)
    finally:
        reply.close()
    return head, b"".join(pieces)


async def failure(upstream: Upstream, asked: UpstreamRequest) -> UpstreamError:
    """What became of it."""
    with pytest.raises(UpstreamError) as caught:
        await read(upstream, asked)
    return caught.value
