"""Sends a small JSON document to one fixed address. No redirect is followed, and nothing of the answer is believed."""

import ssl
from collections.abc import Mapping

import aiohttp
import orjson

from proxy import __version__

PATIENCE_S = 5.0


async def send(
    url: str,
    document: Mapping[str, object],
    *,
    patience_s: float = PATIENCE_S,
    ssl_context: ssl.SSLContext | None = None,
) -> int | None:
    """The status of the answer; None where there was none in time. Only 2xx means that it was taken."""
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=ssl_context or True),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Content-Type": "application/json", "User-Agent": f"promptlane/{__version__}"},
        timeout=aiohttp.ClientTimeout(total=patience_s),
        trust_env=False,
    )
    async with session:
        try:
            async with session.post(url, data=orjson.dumps(document), allow_redirects=False) as reply:
                return reply.status
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return None
