"""One POST to PostHog's capture, v0 or v1, and what its reply means. Every way in which it can fail is an answer.

Nothing of a reply, and no text of an exception, goes further; redirects are not followed, so that the project key
reaches the configured host alone.
"""

import asyncio
import gzip
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

import aiohttp

from proxy import __version__
from proxy.adapters.journal import OutboxRow
from proxy.adapters.posthog_reply import Action, Outcome, Sent, Trouble, read_reply
from proxy.adapters.posthog_wire import v0_body, v1_body

V0_PATH = "/batch/"
V1_PATH = "/i/v1/analytics/events"
CONNECT_S = 5.0
TOTAL_S = 15.0
CONNECTIONS = 2
REPLY_MAX_BYTES = 1 << 20

_INGESTION_HOSTS = {
    "https://us.posthog.com": "https://us.i.posthog.com",
    "https://app.posthog.com": "https://us.i.posthog.com",
    "https://eu.posthog.com": "https://eu.i.posthog.com",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PostHogSettings:
    """`host` is an address such as `https://eu.i.posthog.com`; the web app's own addresses are understood."""

    host: str
    api_key: str = field(repr=False)
    capture: Literal["batch", "v1"] = "batch"
    gzip: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """`status` None: there was no reply."""

    status: int | None
    outcome: Outcome


class Capture:
    """One host. Opens its connections with the first POST."""

    def __init__(self, settings: PostHogSettings, wall_unix_s: Callable[[], float]) -> None:
        host = settings.host.rstrip("/")
        self.host = _INGESTION_HOSTS.get(host, host)
        self.is_v1 = settings.capture == "v1"
        """Set it to False where the host knows only v0."""
        self._settings = settings
        self._now_s = wall_unix_s
        self._session: aiohttp.ClientSession | None = None

    def take_up(self, settings: PostHogSettings) -> None:
        """Send like this from now on; the host stays what it was."""
        if settings != self._settings:
            self._settings = settings
            self.is_v1 = settings.capture == "v1"

    async def post(self, rows: Sequence[OutboxRow], *, is_historical: bool, attempt: int) -> Answer:
        """Send a batch; `attempt` counts from 1."""
        is_v1 = self.is_v1
        body = self._body(rows, is_historical=is_historical)
        headers = {"Content-Type": "application/json", "User-Agent": f"promptlane/{__version__}"}
        if is_v1:
            headers |= self._v1_headers(rows, attempt)
        if self._settings.gzip:
            body = await asyncio.to_thread(gzip.compress, body, 1, mtime=0)
            headers["Content-Encoding"] = "gzip"
        url = self.host + (V1_PATH if is_v1 else V0_PATH)
        try:
            async with self._client().post(url, data=body, headers=headers, allow_redirects=False) as reply:
                outcome = read_reply(
                    reply.status,
                    await _bounded(reply.content),
                    reply.headers.get("Retry-After"),
                    [Sent(uuid=row.uuid, name=row.name) for row in rows],
                    is_v1=is_v1,
                    now_unix_s=self._now_s(),
                )
                return Answer(reply.status, outcome)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            return Answer(None, Outcome(action=Action.BACK_OFF, trouble=Trouble.UNREACHABLE))

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS),
                timeout=aiohttp.ClientTimeout(total=TOTAL_S, connect=CONNECT_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return self._session

    def _body(self, rows: Sequence[OutboxRow], *, is_historical: bool) -> bytes:
        events = [row.body for row in rows]
        if self.is_v1:
            return v1_body(events, self._stamp(), is_historical=is_historical)
        return v0_body(events, self._settings.api_key, is_historical=is_historical)

    def _v1_headers(self, rows: Sequence[OutboxRow], attempt: int) -> dict[str, str]:
        uuids = ",".join(row.uuid for row in rows)
        return {
            "Authorization": f"Bearer {self._settings.api_key}",
            "PostHog-Sdk-Info": f"promptlane/{__version__}",
            "PostHog-Attempt": str(attempt),
            "PostHog-Request-Id": str(uuid.uuid5(uuid.NAMESPACE_OID, uuids)),
            "PostHog-Request-Timestamp": self._stamp(),
        }

    def _stamp(self) -> str:
        return datetime.fromtimestamp(self._now_s(), UTC).isoformat()


async def _bounded(content: aiohttp.StreamReader) -> bytes:
    """The reply's body; of one that is absurdly long, the beginning, which is no JSON."""
    pieces: list[bytes] = []
    size_bytes = 0
    while size_bytes <= REPLY_MAX_BYTES and (piece := await content.read(65_536)):
        pieces.append(piece)
        size_bytes += len(piece)
    return b"".join(pieces)
