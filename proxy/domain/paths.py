"""One canonical reading of the request target; what is ambiguous is refused, never repaired.

The router, the endpoint table and the upstream URL all use the same raw path, so no two parts of the proxy
can disagree about what was asked for (CVE-2026-49468 was such a disagreement in a neighbour).
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

from proxy.domain.errors import BadRequest

_HOST = re.compile(r"^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$")
_LOCAL_HOST = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?", re.IGNORECASE)
_SAFE_PATH = re.compile(r"(?:/[A-Za-z0-9\-._~!$&'()*+,=:@%]+)*/?")
_DOT_SEGMENT = re.compile(r"/\.{1,2}(?:/|$)")
_ENCODED_TRAP = re.compile(r"%(?![0-9A-Fa-f]{2})|%(?:2[eEfF]|5[cC]|00|0[dDaA]|25|3[0-9]|[46][1-9a-fA-F]|[57][0-9aA])")
"""What no client needs to encode: separators of paths, a second encoding, and letters and digits, which would let
`/v1/ch%61t/completions` be one endpoint here and another at the provider."""
_GATEWAY_PREFIXES = ("/v1/", "/v1beta/")
_TWICE = tuple(first + second for first in _GATEWAY_PREFIXES for second in ("v1/", "v1beta/"))
"""What an SDK asks for that adds the version to a base URL which has it already."""
_NONE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class RequestTarget:
    """`raw_path` and `raw_query` as the client encoded them; the query lacks its question mark."""

    raw_path: str
    raw_query: str

    @property
    def is_gateway(self) -> bool:
        """True for the paths that are relayed to a provider."""
        return self.raw_path.startswith(_GATEWAY_PREFIXES) and not self.has_two_versions

    @property
    def has_two_versions(self) -> bool:
        """True for a path such as `/v1/v1/messages`."""
        return self.raw_path.startswith(_TWICE)


def parse_target(raw_target: str) -> RequestTarget:
    """Split an origin-form target. Raises BadRequest for absolute forms, dot segments and encoded traps."""
    path, _, query = raw_target.partition("?")
    target = _target_of(path)
    if not query:
        return target
    if not query.isascii() or "#" in query or not query.isprintable():
        raise BadRequest("The query string must be printable ASCII without '#'.", code="bad_query")
    return RequestTarget(path, query)


@lru_cache(maxsize=64)
def _target_of(path: str) -> RequestTarget:
    """Clients ask for a few paths; a query may hold a key, and is not remembered."""
    if path[:1] != "/" or path[1:2] == "/":
        raise BadRequest("The request target must be a path such as /v1/chat/completions.", code="bad_target")
    if not _SAFE_PATH.fullmatch(path) or ("%" in path and _ENCODED_TRAP.search(path)):
        raise BadRequest("The path has characters or encodings that the gateway does not take.", code="bad_path")
    if "/." in path and _DOT_SEGMENT.search(path):
        raise BadRequest("The path must not have dot segments.", code="bad_path")
    return RequestTarget(path, "")


@lru_cache(maxsize=64)
def check_host(host: str | None) -> None:
    """Refuse a Host header that is missing or not a plain authority. A proxy has few names: they are remembered."""
    if host is None or not _HOST.match(host):
        raise BadRequest("The Host header must be a host name with an optional port.", code="bad_host")


def is_local_host(host: str) -> bool:
    """True for a Host header that names this machine: a page that bound its own name to loopback sends that name."""
    return _LOCAL_HOST.fullmatch(host) is not None


def query_name(raw_name: str) -> str:
    """The name of a query member as whoever decodes it reads it, in lower case."""
    return unquote(raw_name).lower()


def query_names(raw_query: str) -> frozenset[str]:
    """The names in a raw query."""
    return (
        frozenset(query_name(pair.partition("=")[0]) for pair in raw_query.split("&") if pair) if raw_query else _NONE
    )
