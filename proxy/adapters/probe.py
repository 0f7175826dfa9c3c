"""Harmless questions to hosts, for an operator who wants to know what can be reached.

Every way in which a question can fail is an answer. Redirects are not followed and the environment's proxies are not
used, since the proxy itself does neither. Of a reply only its status, its `Date` and, where it is good, its JSON are
kept: the text of an error goes nowhere.
"""

import asyncio
import errno
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from enum import StrEnum
from types import TracebackType
from typing import Self

import aiohttp
import orjson

from proxy import __version__

PATIENCE_S = 5.0
"""For one question as a whole."""
REPLY_MAX_BYTES = 1 << 20
_DATE_CUT_S = 0.5
"""A `Date` is cut to whole seconds: on average it is this much early."""


class Failure(StrEnum):
    """Why there was no reply."""

    DNS = "dns"
    REFUSED = "refused"
    NO_ROUTE = "no_route"
    TIMEOUT = "timeout"
    CERTIFICATE_EXPIRED = "certificate_expired"
    CERTIFICATE_NAME = "certificate_name"
    CERTIFICATE_UNTRUSTED = "certificate_untrusted"
    TLS = "tls"
    NOT_HTTP = "not_http"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One request. A `document` is sent as JSON. The address may have a key in it."""

    url: str = field(repr=False)
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    document: object = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Either `status` or `failure` is set."""

    status: int | None = None
    failure: Failure | None = None
    document: object = field(default=None, repr=False)
    """What a 2xx reply says; None where that is no JSON, or too long to be read."""
    clock_ahead_s: float | None = None
    """How far this machine's clock is ahead of the host's, within half a second."""

    @property
    def is_good(self) -> bool:
        """True for 2xx."""
        return self.status is not None and 200 <= self.status < 300

    def member(self, name: str) -> object:
        """A member of the JSON object that the reply is; None where there is none."""
        return self.document.get(name) if isinstance(self.document, dict) else None


class Prober:
    """`async with Prober(wall_unix_s) as prober:`; questions may be asked at the same time."""

    def __init__(
        self,
        wall_unix_s: Callable[[], float],
        *,
        patience_s: float = PATIENCE_S,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._now_s = wall_unix_s
        self._patience_s = patience_s
        self._ssl = ssl_context or True

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            auto_decompress=False,
            connector=aiohttp.TCPConnector(ssl=self._ssl),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept-Encoding": "identity", "User-Agent": f"promptlane/{__version__}"},
            timeout=aiohttp.ClientTimeout(total=self._patience_s),
            trust_env=False,
        )
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        await self._session.close()

    async def ask(self, question: Question) -> Answer:
        """Never raises for what the other side does."""
        asked_s = self._now_s()
        try:
            async with self._session.request(
                question.method,
                question.url,
                headers=question.headers,
                json=question.document,
                allow_redirects=False,
            ) as reply:
                clock_ahead_s = _clock_ahead_s(reply.headers, (asked_s + self._now_s()) / 2)
                document = await _document(reply.content) if 200 <= reply.status < 300 else None
                return Answer(status=reply.status, document=document, clock_ahead_s=clock_ahead_s)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Answer(failure=_failure(error))


async def _document(content: aiohttp.StreamReader) -> object:
    pieces: list[bytes] = []
    size_bytes = 0
    while piece := await content.read(65_536):
        pieces.append(piece)
        size_bytes += len(piece)
        if size_bytes > REPLY_MAX_BYTES:
            return None
    try:
        document: object = orjson.loads(b"".join(pieces))
    except orjson.JSONDecodeError:
        return None
    return document


def _clock_ahead_s(headers: Mapping[str, str], now_s: float) -> float | None:
    """None without a `Date`, or where the reply is a copy that some cache kept."""
    if "Date" not in headers or "Age" in headers:
        return None
    try:
        return now_s - parsedate_to_datetime(headers["Date"]).timestamp() - _DATE_CUT_S
    except (ValueError, TypeError, OverflowError):
        return None


_CERTIFICATE_TROUBLES = {
    9: Failure.CERTIFICATE_EXPIRED,  # not valid yet
    10: Failure.CERTIFICATE_EXPIRED,
    62: Failure.CERTIFICATE_NAME,  # host name
    64: Failure.CERTIFICATE_NAME,  # IP address
}
"""By OpenSSL's X509_V_ERR codes; any other says that nobody trusted has signed it."""
_ERRNOS = {
    errno.ECONNREFUSED: Failure.REFUSED,
    errno.EHOSTUNREACH: Failure.NO_ROUTE,
    errno.ENETUNREACH: Failure.NO_ROUTE,
    errno.EACCES: Failure.NO_ROUTE,
    errno.EPERM: Failure.NO_ROUTE,
}


def _failure(error: Exception) -> Failure:
    """Order matters: aiohttp's connection errors are a deep family."""
    match error:
        case TimeoutError():
            return Failure.TIMEOUT
        case aiohttp.ClientConnectorDNSError():
            return Failure.DNS
        case aiohttp.ClientConnectorCertificateError():
            return _certificate_trouble(error.certificate_error)
        case aiohttp.ClientSSLError():
            return Failure.TLS
        case aiohttp.ClientConnectorError():
            return _ERRNOS.get(error.os_error.errno or 0, Failure.BROKEN)
        case aiohttp.ClientResponseError():
            return Failure.NOT_HTTP
        case _:
            return Failure.BROKEN


def _certificate_trouble(error: Exception) -> Failure:
    code = error.verify_code if isinstance(error, ssl.SSLCertVerificationError) else 0
    return _CERTIFICATE_TROUBLES.get(code, Failure.CERTIFICATE_UNTRUSTED)


async def ask_all(prober: Prober, questions: Mapping[str, Question]) -> dict[str, Answer]:
    """The answers under the names of their questions, asked at the same time."""
    answers = await asyncio.gather(*map(prober.ask, questions.values()))
    return dict(zip(questions, answers, strict=True))
