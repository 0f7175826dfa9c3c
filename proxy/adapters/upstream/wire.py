"""What both clients share: the shape of a request, the limits, and the words for what went wrong."""

from collections.abc import AsyncIterator, Callable
from typing import Protocol

from proxy.domain.errors import UpstreamProtocol, UpstreamReset
from proxy.domain.fields import Fields
from proxy.domain.routing import Timeouts

HEADER_LIMIT_BYTES = 65_536
"""Longest reply header taken from a provider."""
IDLE_CONNECTION_S = 15.0
"""Shorter than any provider's own limit, so that a pooled connection is rarely found closed under a new call."""
LARGE_BODY_BYTES = 65_536
"""A longer body is written in pieces, so that the event loop is never held by one write."""
AHEAD_BYTES = 65_536
"""How much of a reply is taken before anybody asks for it."""

Sink = Callable[[bytes], None]
ChunkSink = Callable[[bytes, bytes], None]


class Request(Protocol):
    """What `pipeline.ports.UpstreamRequest` offers; adapters satisfy the ports by shape."""

    @property
    def method(self) -> str:
        """As it is written on the wire."""

    @property
    def url(self) -> str:
        """Absolute, encoded already, used byte for byte."""

    @property
    def headers(self) -> Fields:
        """In order, without Host."""

    @property
    def body(self) -> bytes | AsyncIterator[bytes] | None:
        """Whole, or as it comes."""

    @property
    def timeouts(self) -> Timeouts:
        """Of these, a client keeps `connect_s` alone."""

    @property
    def on_sent(self) -> Callable[[], None]:
        """To be called once the head is on its way."""

    @property
    def on_begun(self) -> Callable[[], None]:
        """To be called with the first byte of the reply's body."""


def no_http() -> UpstreamProtocol:
    """The provider sent something else than one valid reply."""
    return UpstreamProtocol("The provider's reply was not valid HTTP.")


def broken() -> UpstreamReset:
    """The connection ended too early."""
    return UpstreamReset("The connection to the provider broke.")
