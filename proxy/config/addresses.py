"""Base addresses: the only place a host can come from."""

import re
from urllib.parse import urlsplit

_POSTHOG_APP_HOSTS = {
    "app.posthog.com": "us.i.posthog.com",
    "us.posthog.com": "us.i.posthog.com",
    "eu.posthog.com": "eu.i.posthog.com",
}
"""PostHog shows its app's address to people; events go to the ingestion host of the region."""

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")
_ENDPOINT = re.compile(
    r"(/(?:chat/completions|completions|responses|messages|embeddings|models|batch|capture|e|i/v0/e))/?$", re.IGNORECASE
)
"""What SDKs and the proxy add to a base address by themselves."""
_REPEATED = re.compile(r"(/v[0-9][a-z0-9]*)\1/?$")


def base_address(text: str) -> str:
    """The address without a trailing slash. Raises ValueError, whose text names the fault and not the address."""
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("an address is printable ASCII without spaces")
    try:
        parts = urlsplit(text)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        raise ValueError("this is no address; write one such as https://host or https://host:8443/v1") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_valid:
        raise ValueError("an address starts with http:// or https:// and names a host")
    if "@" in parts.netloc:
        raise ValueError("credentials do not belong into an address; name a variable in key_env")
    if not _HOST.fullmatch(parts.hostname):
        raise ValueError("no host has these signs; put the real name in place of the example's")
    if "?" in text or "#" in text:
        raise ValueError("an address ends with its path; it has no query and no fragment")
    _check_path(parts.path)
    return text.rstrip("/")


def _check_path(path: str) -> None:
    if "%" in path or "//" in path or any(part in (".", "..") for part in path.split("/")):
        raise ValueError("the path of an address is plain: no escapes, no empty or dot segments")
    if endpoint := _ENDPOINT.search(path):
        raise ValueError(f"leave `{endpoint[1]}` off: an address ends where the base URL of an SDK does")
    if _REPEATED.search(path):
        raise ValueError("the path says the version twice; once is enough")


def posthog_address(text: str) -> str:
    """As `base_address`; the app's hosts become the ingestion hosts."""
    address = base_address(text)
    ingestion = _POSTHOG_APP_HOSTS.get(urlsplit(address).hostname or "")
    return f"https://{ingestion}" if ingestion else address


def posthog_app_address(ingestion: str) -> str:
    """Where the private API of a checked ingestion address is: its region's app, else the same host."""
    app = {"us.i.posthog.com": "us.posthog.com", "eu.i.posthog.com": "eu.posthog.com"}.get(host_of(ingestion))
    return f"https://{app}" if app else ingestion


def webhook_address(text: str) -> str:
    """The address as it is; it may have a query. Raises ValueError, whose text names the fault and not the address."""
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("an address is printable ASCII without spaces")
    try:
        parts = urlsplit(text)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        raise ValueError("this is no address") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_valid:
        raise ValueError("an address starts with https:// and names a host")
    if "@" in parts.netloc or "#" in text:
        raise ValueError("an address of a webhook has no `@` and no `#`")
    if not _HOST.fullmatch(parts.hostname):
        raise ValueError("no host has these signs")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ValueError("an address outside of this machine starts with https://")
    return text


def host_of(address: str) -> str:
    """The lower-case host name of a checked address."""
    return urlsplit(address).hostname or ""
