"""PostHog's private API, by which dashboards are made: JSON over HTTPS with a personal key, within its rate limits.

A reply of 429 is waited for, as long as it says and within reason; a server that fails is asked again only where
asking twice does no harm. A POST whose fate is not known is not repeated: it might make a second object. Redirects are
not followed, and a list's next page is asked for only where it is on the same host: the key goes nowhere else.
"""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urlsplit

import aiohttp
import orjson

from proxy import __version__

ATTEMPTS = 5
PATIENCE_S = 60.0
"""For one request."""
MAX_WAIT_S = 90.0
"""Longest wait that a reply may ask for; the limits count by the minute."""
FIRST_PAUSE_S = 0.5
PAGE_ROWS = 100
REPLY_MAX_BYTES = 64 << 20
MAX_PAGES = 1_000
_CODE = re.compile(r"[a-z0-9_]{1,64}")
_WAIT = re.compile(r"available in (\d{1,5}) seconds")


class Refused(Exception):
    """PostHog understood and declined. `code` is its machine word; `detail` its sentence, for the operator alone."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(status, code)
        self.status = status
        self.code = code
        self.detail = detail


class Unavailable(Exception):
    """PostHog could not be reached, or answered nothing of use; whether a POST was carried out is not known."""


class PostHogApi:
    """`async with PostHogApi(host, key, project_id) as api:`, one request after the other. `host` has no slash at its
    end; paths are below the project, or below the environment where `scope` says so.
    """

    def __init__(
        self,
        host: str,
        key: str,
        project_id: str,
        *,
        scope: Literal["projects", "environments"] = "projects",
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._host = host
        self._base = f"{host}/api/{scope}/{project_id}/"
        self._key = key
        self._sleep = sleep
        self._ssl = ssl_context or True

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._ssl),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Authorization": f"Bearer {self._key}", "User-Agent": f"promptlane/{__version__}"},
            timeout=aiohttp.ClientTimeout(total=PATIENCE_S),
            trust_env=False,
        )
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        await self._session.close()

    async def get(self, path: str, **parameters: str) -> dict[str, Any]:
        """One object. Raises Refused or Unavailable, as all do."""
        return await self._ask("GET", self._base + path, parameters=parameters)

    async def post(self, path: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """Make something, or ask a query; sent a second time only where the first was certainly not carried out."""
        return await self._ask("POST", self._base + path, document=document)

    async def patch(self, path: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """Change the fields that are given."""
        return await self._ask("PATCH", self._base + path, document=document)

    async def all(self, path: str, **parameters: str) -> AsyncIterator[dict[str, Any]]:
        """Every object of a list, page after page."""
        url: str = self._base + path
        asked: Mapping[str, str] = {"limit": str(PAGE_ROWS), **parameters}
        for _ in range(MAX_PAGES):
            page = await self._ask("GET", url, parameters=asked)
            for one in page.get("results") or ():
                yield one
            following = page.get("next")
            if not following:
                return
            url, asked = self._same_host(following), {}
        raise Unavailable("its list has no end")

    def _same_host(self, url: str) -> str:
        """Behind some proxies `next` has another scheme or host: its path and query are all that is taken."""
        parts = urlsplit(url)
        if not parts.path.startswith("/api/"):
            raise Unavailable("its list goes on elsewhere")
        return f"{self._host}{parts.path}?{parts.query}"

    async def _ask(
        self,
        method: str,
        url: str,
        *,
        parameters: Mapping[str, str] | None = None,
        document: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        pause_s = FIRST_PAUSE_S
        for attempt in range(1, ATTEMPTS + 1):
            is_last = attempt == ATTEMPTS
            try:
                async with self._session.request(
                    method, url, params=parameters, json=document, allow_redirects=False
                ) as reply:
                    read = await _document(reply)
                    if 200 <= reply.status < 300:
                        return read
                    wait_s = _wait_s(reply, read)
                    may_repeat = reply.status == 429 or (reply.status >= 500 and method != "POST")
                    if not may_repeat or is_last or wait_s > MAX_WAIT_S:
                        raise _failure(reply.status, read)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                wait_s = 0.0
                was_not_sent = isinstance(error, aiohttp.ClientConnectorError)
                if is_last or (method == "POST" and not was_not_sent):
                    raise Unavailable("it could not be reached") from None
            await self._sleep(max(wait_s, pause_s))
            pause_s *= 2
        raise AssertionError("unreachable")


async def _document(reply: aiohttp.ClientResponse) -> dict[str, Any]:
    pieces = bytearray()
    async for piece in reply.content.iter_any():
        pieces += piece
        if len(pieces) > REPLY_MAX_BYTES:
            raise Unavailable("its answer is too long")
    try:
        read = orjson.loads(pieces)
    except orjson.JSONDecodeError:
        return {}
    return read if isinstance(read, dict) else {}


def _wait_s(reply: aiohttp.ClientResponse, read: Mapping[str, Any]) -> float:
    """What the reply asks for: by its header, else by its sentence."""
    asked = reply.headers.get("Retry-After", "")
    if asked.isascii() and asked.isdigit():
        return float(asked)
    match = _WAIT.search(str(read.get("detail", "")))
    return float(match.group(1)) if match else 0.0


def _failure(status: int, read: Mapping[str, Any]) -> Exception:
    if status >= 500 or status < 400:
        return Unavailable(f"it answered {status}")
    code, detail = str(read.get("code", "")), str(read.get("detail", ""))
    shown = "".join(filter(str.isprintable, detail))[:300]
    return Refused(status, code if _CODE.fullmatch(code) else "", shown)
