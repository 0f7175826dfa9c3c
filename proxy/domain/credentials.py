"""Who may pass: proxy keys found among a request's credentials, before any body byte is read.

A request can carry a provider's key (which passes through), one of our keys (which is exchanged for the
provider's by configuration), or both; two different proxy keys are refused as ambiguous. What looks like a proxy
key but is not known is refused too, so that it can never be sent to a provider.
"""

import hmac
from functools import lru_cache
from typing import Protocol
from urllib.parse import unquote_plus

from proxy.domain.errors import BadRequest, Unauthenticated
from proxy.domain.fields import MOST_SETS, Fields, Names
from proxy.domain.globs import matches
from proxy.domain.identity import VirtualKey
from proxy.domain.paths import query_name
from proxy.domain.values import value_class

PROXY_KEY_HEADER = "x-promptlane-key"
PROXY_KEY_PREFIX = "plk_"
CREDENTIAL_HEADERS = frozenset({"authorization", "x-api-key", "api-key", "x-goog-api-key"})


class Keyring(Protocol):
    """The configured proxy keys, by hash."""

    def find(self, presented: str) -> VirtualKey | None:
        """The key whose hash matches, in constant time."""


@value_class
class Credentials:
    """`key` is None for a pass-through caller. `spent` names where a proxy key stood: never forward those."""

    key: VirtualKey | None = None
    spent_headers: frozenset[str] = frozenset()
    spent_query: bool = False


NO_CREDENTIALS = Credentials()


@lru_cache(maxsize=MOST_SETS)
def places_of_keys(names: Names) -> tuple[tuple[str, int], ...]:
    """(lower-case name, position) of each field in which a key may stand."""
    return tuple(
        (name, position)
        for position, name in enumerate(names.lower)
        if name == PROXY_KEY_HEADER or name in CREDENTIAL_HEADERS
    )


def _presented(headers: Fields, raw_query: str) -> list[tuple[str, str]]:
    """(place, token): the last word of a credential, whatever its scheme, and any other that shows itself as ours."""
    presented = []
    for place, position in places_of_keys(headers.names):
        last = ""
        for word in headers.values[position].split():
            if word.lower() != "bearer":
                if last.startswith(PROXY_KEY_PREFIX):
                    presented.append((place, last))
                last = word
        presented.append((place, last))
    for pair in raw_query.split("&") if raw_query else ():
        name, _, value = pair.partition("=")
        if query_name(name) == "key":
            presented.append(("?key", unquote_plus(value).strip()))
    return presented


def authenticate(headers: Fields, raw_query: str, keyring: Keyring) -> Credentials:
    """Find the one proxy key. Raises Unauthenticated for an unknown one and BadRequest for two."""
    found: dict[str, VirtualKey] = {}
    for place, token in _presented(headers, raw_query):
        key = keyring.find(token) if token else None
        if key is not None:
            found[place] = key
        elif place == PROXY_KEY_HEADER or token.startswith(PROXY_KEY_PREFIX):
            raise Unauthenticated(
                "The proxy key is not known. Ask the operator for one; keys are listed in routing.yaml.",
                code="unknown_proxy_key",
            )
    if not found:
        return NO_CREDENTIALS
    if len({key.alias for key in found.values()}) > 1:
        raise BadRequest("Two different proxy keys were sent; send one.", code="ambiguous_credentials")
    return Credentials(
        key=next(iter(found.values()), None),
        spent_headers=frozenset(place for place in found if place != "?key"),
        spent_query="?key" in found,
    )


def may_use(key: VirtualKey, model: str | None) -> bool:
    """True where the key's `allow` globs cover the model that the client named.

    What names no model (a batch, a job, a form whose `model` stands too far in) could run any, so it takes "*".
    """
    return "*" in key.allow or (model is not None and any(matches(pattern, model) for pattern in key.allow))


def is_token(given: str, expected: str | None) -> bool:
    """The operator's token, compared in a time that tells nothing of it; one that is not set is nobody's.

    The bytes that a header or a variable held need not be UTF-8.
    """
    raw, wanted = (text.encode("utf-8", "surrogateescape") for text in (given, expected or ""))
    return bool(expected) and hmac.compare_digest(raw, wanted)
