"""Which headers go on to the provider and which come back: one pair of functions for every route."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple

from proxy.domain.analytics_headers import is_analytics_header
from proxy.domain.credentials import CREDENTIAL_HEADERS, PROXY_KEY_HEADER, Credentials
from proxy.domain.errors import BadRequest
from proxy.domain.fields import MOST_SETS, Fields, Names, fields_of
from proxy.domain.paths import query_name
from proxy.domain.routing import Provider

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


_NONE: frozenset[str] = frozenset()


class _Way(NamedTuple):
    """What becomes of a head on its way: the values of the fields that stay, and of those that are added, out of all;
    and the names of both.
    """

    kept: Callable[[Sequence[str]], Sequence[str]]
    added: Callable[[Sequence[str]], Sequence[str]]
    names: Names


def _picked(positions: Sequence[int]) -> Callable[[Sequence[str]], Sequence[str]]:
    """What stands at these positions. An `itemgetter` picks it without a loop, but gives one item by itself."""
    return itemgetter(*positions) if len(positions) > 1 else lambda values: [values[position] for position in positions]


def upstream_headers(
    headers: Fields,
    *,
    provider: Provider,
    credentials: Credentials,
    identity_encoding: bool,
    is_openai_surface: bool = False,
    is_edited: bool = False,
    length_bytes: int | None = None,
) -> Fields:
    """The client's headers as the provider gets them, with the provider's own key where one is configured.

    `identity_encoding` asks for an uncompressed reply, so that it can be read, or our key found in it, as it passes.
    `is_openai_surface`: whatever the host's own way, the key goes as OpenAI's does. `is_edited`: the body is no longer
    as the client had encoded it. `length_bytes` is that of the body, where it is known. Raises BadRequest for a value
    that is not UTF-8.
    """
    dropped = _named_by_connection(headers) | credentials.spent_headers
    if is_edited:
        dropped |= {"content-encoding"}
    added: dict[str, str] = {}
    if identity_encoding:
        added["Accept-Encoding"] = "identity"
    if provider.api_key is not None:
        name, value = key_header("openai" if is_openai_surface else provider.kind, provider.api_key)
        added[name] = value
    if length_bytes is not None:
        added["Content-Length"] = str(length_bytes)
    way = _way_up(headers.names, dropped, tuple(added))
    values = [*way.kept(headers.values)]
    try:
        "".join(values).encode()
    except UnicodeEncodeError:
        raise BadRequest("A header value is not valid UTF-8.", code="bad_header") from None
    values.extend(added.values())
    return Fields(way.names, values)


@lru_cache(maxsize=MOST_SETS)
def _way_up(names: Names, dropped: frozenset[str], added: tuple[str, ...]) -> _Way:
    """What is added stands in place of the client's; a key in place of all of its credentials."""
    replaced = frozenset(name.lower() for name in added)
    dropped |= replaced if replaced.isdisjoint(CREDENTIAL_HEADERS) else replaced | CREDENTIAL_HEADERS
    kept = tuple(
        position
        for position, name in enumerate(names.lower)
        if name not in _NEVER_UPSTREAM
        and name not in dropped
        and not name.startswith(_NEVER_UPSTREAM_PREFIXES)
        and not is_analytics_header(name)
    )
    return _Way(_picked(kept), _picked(()), Names((*(names.spelled[position] for position in kept), *added)))


def key_header(kind: str, api_key: str) -> tuple[str, str]:
    """The field in which a provider of this kind wants its key."""
    header = _KEY_HEADER[kind]
    return header, f"Bearer {api_key}" if header == "Authorization" else api_key


def downstream_headers(
    headers: Fields, own_names: Sequence[str], own_values: Sequence[str], *, keeps_length: bool
) -> Fields:
    """The provider's reply headers as the client gets them, with ours added, of which there is a value for each name.

    Ours never replace a provider's, except `Server-Timing`, which is a list and may stand twice. `keeps_length`
    is False where the body is edited on its way, or measured anew.
    """
    if _ends_a_line("".join(headers.values)):
        headers = fields_of(pair for pair in headers if not _ends_a_line(pair[1]))
    way = _way_down(headers.names, _named_by_connection(headers), tuple(own_names), keeps_length)
    return Fields(way.names, (*way.kept(headers.values), *way.added(own_values)))


@lru_cache(maxsize=MOST_SETS)
def _way_down(names: Names, dropped: frozenset[str], own: tuple[str, ...], keeps_length: bool) -> _Way:
    if not keeps_length:
        dropped |= {"content-length"}
    kept = tuple(
        position for position, name in enumerate(names.lower) if name not in _NEVER_DOWNSTREAM and name not in dropped
    )
    present = {names.lower[position] for position in kept}
    added = tuple(
        position for position, name in enumerate(own) if name == "Server-Timing" or name.lower() not in present
    )
    spelled = (*(names.spelled[position] for position in kept), *(own[position] for position in added))
    return _Way(_picked(kept), _picked(added), Names(spelled))


def _named_by_connection(headers: Fields) -> frozenset[str]:
    """The fields that are for this connection alone. Nearly always it says no more than how long that is to last."""
    if "connection" not in headers.names.at:
        return _NONE
    said = headers.all("connection")
    if said == ["keep-alive"]:
        return _NONE
    return frozenset(token.strip().lower() for value in said for token in value.split(","))


def _ends_a_line(text: str) -> bool:
    return "\r" in text or "\n" in text or "\0" in text


def without_key_query(raw_query: str) -> str:
    """The query less its `key=` members."""
    return "&".join(pair for pair in raw_query.split("&") if query_name(pair.partition("=")[0]) != "key")


def encode_head(before: Sequence[str], fields: Fields, after: Sequence[str]) -> bytes:
    """The head of a message as it goes out, with the lines before and after its fields; bytes that were no UTF-8 go as
    they came.

    Raises ValueError for a line that holds what ends one, so that no value can add a field or a message.
    """
    head = "\r\n".join((*before, fields.lines() + "\r\n".join((*after, "", ""))))
    breaks = len(before) + len(fields.values) + len(after) + 1
    if head.count("\n") != breaks or head.count("\r") != breaks or "\0" in head:
        raise ValueError("a header field holds what ends a line")
    return head.encode("utf-8", "surrogateescape")
