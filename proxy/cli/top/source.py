"""Where the figures come from: one proxy's /metrics, over HTTP."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from urllib.parse import urlsplit

import aiohttp

from proxy.cli.top.scrape import NotMetrics, Scrape, parse

PATIENCE_S = 5.0
LIMIT_BYTES = 16 << 20


class NoFigures(Exception):
    """There is nothing to show; `words` say why and what to do."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """`address` as for an app, without a path of its own. The token, if any, goes to that address alone."""

    address: str
    token: str | None = field(default=None, repr=False)
    monotonic_s: Callable[[], float] = monotonic

    async def scrape(self, session: aiohttp.ClientSession) -> Scrape:
        """Raises NoFigures."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                text = await self._text(session)
            return parse(text, self.monotonic_s())
        except TimeoutError:
            raise NoFigures(f"{self.address} does not answer within {PATIENCE_S:.0f} s.") from None
        except (NotMetrics, UnicodeDecodeError):
            raise NoFigures(f"What answers at {self.address} is no Promptlane: see --url.") from None
        except aiohttp.ClientError as error:
            raise NoFigures(self._why(error)) from None

    async def _text(self, session: aiohttp.ClientSession) -> str:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        async with session.get(f"{self.address}/metrics", headers=headers, allow_redirects=False) as reply:
            if reply.status in (401, 403):
                raise NoFigures(self._unauthorized())
            if reply.status != 200:
                redirect = ", and redirects are not followed" if 300 <= reply.status < 400 else ""
                raise NoFigures(f"{self.address}/metrics answers {reply.status}{redirect}: see --url.")
            body = bytearray()
            async for chunk in reply.content.iter_any():
                body += chunk
                if len(body) > LIMIT_BYTES:
                    raise NotMetrics
            return body.decode()

    def _unauthorized(self) -> str:
        said = "does not take the token in PROMPTLANE_ADMIN_TOKEN" if self.token else "asks for a token"
        return f"{self.address} {said}: set PROMPTLANE_ADMIN_TOKEN to the one that the proxy was started with."

    def _why(self, error: aiohttp.ClientError) -> str:
        cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else None
        if isinstance(error, aiohttp.ClientConnectorDNSError):
            return f"{self.address} cannot be found: its name does not resolve."
        if isinstance(cause, ssl.SSLError) or isinstance(error, aiohttp.ClientSSLError):
            return f"{self.address} cannot be reached by TLS: its certificate is not valid here, or it speaks none."
        if isinstance(cause, ConnectionRefusedError):
            return f"Nothing listens on {self.address}: start `promptlane serve`, or name its address with --url."
        return f"{self.address} cannot be reached: the connection fails or breaks."


def address_of(url: str) -> str:
    """The address in a URL, which may name /metrics itself. Raises ValueError, which says what is wrong."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("it is no URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("write it as http://HOST:PORT")
    if parts.username is not None or parts.password is not None:
        raise ValueError("it holds a name or password; a token belongs in PROMPTLANE_ADMIN_TOKEN")
    if parts.query or parts.fragment:
        raise ValueError("write it without ? and #")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    path = parts.path.rstrip("/").removesuffix("/metrics")
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{path}"
