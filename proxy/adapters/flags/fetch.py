"""One request for the definitions of feature flags, and what its reply means. Every way to fail is an answer.

PostHog's SDK would do this too; but it follows redirects with the key in hand, reads bodies of any length, writes
what servers say into the log, and throws away what it has when a quota is used up.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import aiohttp

from proxy import __version__

PATH = "/flags/definitions"
CONNECT_S = 5.0
TOTAL_S = 10.0
BODY_LIMIT_BYTES = 8 * 1024 * 1024
_LONGEST_WAIT_S = 3600.0
PATIENCE_S = 300.0
"""Before PostHog is asked again what it has refused; a person has to change something first."""


class Trouble(StrEnum):
    """Why there are no new definitions."""

    UNREACHABLE = "unreachable"
    KEY_REFUSED = "key_refused"
    QUOTA_USED_UP = "quota_used_up"
    TOO_MANY_REQUESTS = "too_many_requests"
    SERVER_ERROR = "server_error"
    UNEXPECTED_REPLY = "unexpected_reply"
    TOO_LARGE = "too_large"
    MALFORMED = "malformed"


_TROUBLES = {
    401: Trouble.KEY_REFUSED,
    402: Trouble.QUOTA_USED_UP,
    403: Trouble.KEY_REFUSED,
    429: Trouble.TOO_MANY_REQUESTS,
}


@dataclass(frozen=True, slots=True)
class Fetched:
    """New definitions, as they were sent."""

    body: bytes = field(repr=False)
    etag: str | None


@dataclass(frozen=True, slots=True)
class Unchanged:
    """Those of the given tag are still the ones."""


@dataclass(frozen=True, slots=True)
class Failed:
    """`wait_s` is the least time until the next request; 0 where nothing speaks against the usual one."""

    trouble: Trouble
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """Whose flags: the address without a trailing slash, and the keys."""

    host: str
    api_key: str = field(repr=False)
    secret_key: str = field(repr=False)


async def fetch(project: Project, etag: str | None) -> Fetched | Unchanged | Failed:
    """Ask once, for at most `TOTAL_S`."""
    headers = {"Authorization": f"Bearer {project.secret_key}", "User-Agent": f"promptlane/{__version__}"}
    if etag is not None:
        headers["If-None-Match"] = etag
    session = aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=TOTAL_S, connect=CONNECT_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )
    url = f"{project.host}{PATH}?token={project.api_key}&send_cohorts"
    try:
        async with session, session.get(url, headers=headers, allow_redirects=False) as reply:
            if reply.status == 304:
                return Unchanged()
            if reply.status != 200:
                return _failed(reply.status, reply.headers)
            body = await _bounded(reply.content)
            return Failed(Trouble.TOO_LARGE) if body is None else Fetched(body, reply.headers.get("ETag"))
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
        return Failed(Trouble.UNREACHABLE)


def _failed(status: int, headers: Mapping[str, str]) -> Failed:
    trouble = _TROUBLES.get(status, Trouble.SERVER_ERROR if status >= 500 else Trouble.UNEXPECTED_REPLY)
    if trouble in (Trouble.KEY_REFUSED, Trouble.QUOTA_USED_UP):
        return Failed(trouble, PATIENCE_S)
    asked = headers.get("Retry-After", "")
    return Failed(trouble, min(float(asked), _LONGEST_WAIT_S) if asked.isdecimal() and asked.isascii() else 0.0)


async def _bounded(content: aiohttp.StreamReader) -> bytes | None:
    """The body; None where it is longer than allowed."""
    pieces: list[bytes] = []
    left_bytes = BODY_LIMIT_BYTES
    async for piece in content.iter_chunked(65_536):
        left_bytes -= len(piece)
        if left_bytes < 0:
            return None
        pieces.append(piece)
    return b"".join(pieces)
