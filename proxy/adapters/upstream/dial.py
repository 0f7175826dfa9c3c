"""Making a connection: a name looked up, the first of its addresses that answers, and TLS where it is asked for.

Safe as aiohttp's: certificates and host names are verified against the system's authorities (or SSL_CERT_FILE), the
server is told which host is meant (SNI), and only HTTP/1.1 is offered (ALPN). Sessions are not resumed: asyncio has no
way to hand one in, and connections that are kept make handshakes rare.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import aiohappyeyeballs

from proxy.adapters.upstream.address import Origin
from proxy.adapters.upstream.connection import Connection
from proxy.domain.errors import UpstreamConnectTimeout, UpstreamDns, UpstreamTls, UpstreamUnreachable

NAME_S = 10.0
"""How long the addresses of a name are remembered."""
NEXT_ADDRESS_S = 0.25
"""How long one address may be silent before the next is tried beside it: what RFC 8305 advises."""

Addresses = Sequence[tuple[Any, ...]]


class Dialer:
    """Makes connections. Many calls that need the same name at once ask for it once."""

    def __init__(self, ssl_context: ssl.SSLContext | None) -> None:
        """Without a context of its own, one that trusts what the system trusts."""
        self._ssl_context = ssl_context or _trusting_the_system()
        self._lookups: dict[Origin, tuple[asyncio.Future[Addresses], float]] = {}

    async def dial(self, origin: Origin, limit_s: float, on_lost: Callable[[Connection], None]) -> Connection:
        """A new connection. Raises UpstreamError."""
        try:
            async with asyncio.timeout(limit_s):
                addresses = await self._addresses(origin)
                if len(addresses) == 1 and addresses[0][0] is socket.AF_INET:
                    host, port = addresses[0][4]  # nothing to choose from: the loop connects in a fifth of the time
                    return await self._connected({"host": host, "port": port}, origin, on_lost)
                return await self._connected({"sock": await _first_to_answer(addresses)}, origin, on_lost)
        except TimeoutError:
            raise UpstreamConnectTimeout("The provider did not accept a connection in time.") from None

    def close(self) -> None:
        """Ask for no name any more."""
        for lookup, _ in self._lookups.values():
            lookup.cancel()

    async def _addresses(self, origin: Origin) -> Addresses:
        loop = asyncio.get_running_loop()
        known = self._lookups.get(origin)
        if known is None or known[1] <= loop.time() or _has_failed(known[0]):
            lookup: asyncio.Future[Addresses] = asyncio.ensure_future(
                loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
            )
            lookup.add_done_callback(_has_failed)  # so that nobody misses a failure that nobody waits for
            known = self._lookups[origin] = lookup, loop.time() + NAME_S
        try:
            return await asyncio.shield(known[0])
        except (OSError, UnicodeError):
            raise UpstreamDns("The provider's host name did not resolve.") from None

    async def _connected(
        self, where: Mapping[str, Any], origin: Origin, on_lost: Callable[[Connection], None]
    ) -> Connection:
        """A connection to a `host` and `port`, or over a `sock` that is connected already."""
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(
                lambda: Connection(origin, on_lost),
                **where,
                ssl=self._ssl_context if origin.is_tls else None,
                server_hostname=origin.host.rstrip(".") if origin.is_tls else None,
            )
        except ssl.SSLError:
            raise UpstreamTls("No trusted TLS connection to the provider could be made.") from None
        except OSError:
            raise _unreachable() from None
        if not connection.is_open:  # it was lost before anybody listened
            raise _unreachable()
        return connection


async def _first_to_answer(addresses: Addresses) -> socket.socket:
    try:
        return await aiohappyeyeballs.start_connection(addresses, happy_eyeballs_delay=NEXT_ADDRESS_S)
    except (OSError, RuntimeError):
        raise _unreachable() from None


def _unreachable() -> UpstreamUnreachable:
    return UpstreamUnreachable("The provider could not be reached.")


def _has_failed(lookup: "asyncio.Future[Addresses]") -> bool:
    return lookup.done() and (lookup.cancelled() or lookup.exception() is not None)


def _trusting_the_system() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
