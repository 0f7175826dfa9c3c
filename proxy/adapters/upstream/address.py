"""An address of a provider, taken apart: where to connect, and what to ask for there."""

from dataclasses import dataclass
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}
_SHORTEST = len("https://")
"""No host ends before this place."""


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """One server as the configuration names it. Compared by identity: `Pool` keeps one for each."""

    is_tls: bool
    host: str
    """Without brackets, where it is an IPv6 address."""
    port: int
    field: str
    """What the Host field says."""


def split_url(url: str) -> tuple[str, str]:
    """The part up to the path, and the target of the request byte for byte."""
    path_at, query_at = url.find("/", _SHORTEST), url.find("?", _SHORTEST)
    if query_at >= 0 and (path_at < 0 or query_at < path_at):
        return url[:query_at], f"/{url[query_at:]}"
    return (url[:path_at], url[path_at:]) if path_at >= 0 else (url, "/")


def origin_of(base: str) -> Origin:
    """`https://host:port` → where that is. The configuration was checked to hold nothing worse."""
    parts = urlsplit(base)
    host = parts.hostname or ""
    shown = f"[{host}]" if ":" in host else host
    default_port = _DEFAULT_PORTS[parts.scheme]
    port = parts.port or default_port
    return Origin(parts.scheme == "https", host, port, shown if port == default_port else f"{shown}:{port}")
