"""Which headers go on to the provider and which come back: one pair of functions for every route."""

from collections.abc import Callable, Iterable, Sequence

from proxy.domain.credentials import CREDENTIAL_HEADERS, PROXY_KEY_HEADER, Credentials
from proxy.domain.errors import BadRequest
from proxy.domain.paths import query_name
from proxy.domain.routing import Provider

Pairs = Sequence[tuple[str, str]]

_HOP_BY_HOP = frozenset(
    {
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection",
        "te", "trailer", "trailers", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
_NEVER_UPSTREAM = _HOP_BY_HOP | {
    "host", "content-length", "expect", "cookie", "forwarded", "via", "x-real-ip", "true-client-ip",
    "origin", "referer", "traceparent", "tracestate", "baggage", PROXY_KEY_HEADER,
}  # fmt: skip
_NEVER_UPSTREAM_PREFIXES = ("x-forwarded-", "cf-", "sec-")
_NEVER_DOWNSTREAM = _HOP_BY_HOP | {"alt-svc", "strict-transport-security"}
_KEY_HEADER = {
    "openai": "Authorization",
    "anthropic": "x-api-key",
    "gemini": "x-goog-api-key",
    "azure_openai": "api-key",
}


def _named_by_connection(headers: Pairs) -> set[str]:
    tokens: set[str] = set()
    for name, value in headers:
        if len(name) == len("connection") and name.lower() == "connection":
            tokens.update(token.strip().lower() for token in value.split(","))
    return tokens


def upstream_headers(
    headers: Pairs,
    *,
    provider: Provider,
    credentials: Credentials,
    is_ours: Callable[[str], bool],
    identity_encoding: bool,
    is_openai_surface: bool = False,
) -> list[tuple[str, str]]:
    """The client's headers as the provider gets them, with the provider's own key where one is configured.

    `is_ours` tells the analytics headers. `identity_encoding` asks for an uncompressed reply, so that it can be read,
    or our key found in it, as it passes. `is_openai_surface`: whatever the host's own way, the key goes as OpenAI's
    does. Raises BadRequest for a value that is not UTF-8.
    """
    dropped = _named_by_connection(headers) | credentials.spent_headers
    if provider.api_key is not None:
        dropped |= CREDENTIAL_HEADERS
    if identity_encoding:
        dropped |= {"accept-encoding"}
    kept = [
        (name, value)
        for name, value in headers
        if (lower := name.lower()) not in _NEVER_UPSTREAM
        and lower not in dropped
        and not lower.startswith(_NEVER_UPSTREAM_PREFIXES)
        and not is_ours(lower)
    ]
    _refuse_undecodable(kept)
    if identity_encoding:
        kept.append(("Accept-Encoding", "identity"))
    if provider.api_key is not None:
        kept.append(key_header("openai" if is_openai_surface else provider.kind, provider.api_key))
    return kept


def key_header(kind: str, api_key: str) -> tuple[str, str]:
    """The field in which a provider of this kind wants its key."""
    header = _KEY_HEADER[kind]
    return header, f"Bearer {api_key}" if header == "Authorization" else api_key


def _refuse_undecodable(headers: Iterable[tuple[str, str]]) -> None:
    for _, value in headers:
        if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
            raise BadRequest("A header value is not valid UTF-8.", code="bad_header")


def downstream_headers(headers: Pairs, own: Iterable[tuple[str, str]], *, keeps_length: bool) -> list[tuple[str, str]]:
    """The provider's reply headers as the client gets them, with ours added.

    Ours never replace a provider's, except `Server-Timing`, which is a list and may stand twice. `keeps_length`
    is False where the body is edited on its way.
    """
    dropped = _named_by_connection(headers)
    if not keeps_length:
        dropped.add("content-length")
    kept = [
        (name, value)
        for name, value in headers
        if (lower := name.lower()) not in _NEVER_DOWNSTREAM
        and lower not in dropped
        and not ("\r" in value or "\n" in value or "\0" in value)
    ]
    present = {name.lower() for name, _ in kept}
    kept.extend((name, value) for name, value in own if name == "Server-Timing" or name.lower() not in present)
    return kept


def header(headers: Pairs, name: str) -> str | None:
    """The first value of a field, by lower-case name."""
    for candidate, value in headers:
        if len(candidate) == len(name) and candidate.lower() == name:
            return value
    return None


def without_key_query(raw_query: str) -> str:
    """The query less its `key=` members."""
    return "&".join(pair for pair in raw_query.split("&") if query_name(pair.partition("=")[0]) != "key")


def encode_head(lines: Sequence[str]) -> bytes:
    """The head of a message as it goes out; bytes that were no UTF-8 go as they came.

    Raises ValueError for a line that holds what ends one, so that no value can add a field or a message.
    """
    head = "\r\n".join(lines)
    breaks = len(lines) - 1
    if head.count("\n") != breaks or head.count("\r") != breaks or "\0" in head:
        raise ValueError("a header field holds what ends a line")
    return f"{head}\r\n\r\n".encode("utf-8", "surrogateescape")
