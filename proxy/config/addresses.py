"""Base addresses: the only place a host can come from."""

from urllib.parse import urlsplit

_POSTHOG_APP_HOSTS = {
    "app.posthog.com": "us.i.posthog.com",
    "us.posthog.com": "us.i.posthog.com",
    "eu.posthog.com": "eu.i.posthog.com",
}
"""PostHog shows its app's address to people; events go to the ingestion host of the region."""


def base_address(text: str) -> str:
    """The address without a trailing slash. Raises ValueError, whose text names the fault and not the address."""
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("an address is printable ASCII without spaces")
    try:
        parts = urlsplit(text)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        raise ValueError("this is not an address") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_valid:
        raise ValueError("an address starts with http:// or https:// and names a host")
    if "@" in parts.netloc:
        raise ValueError("credentials do not belong into an address; name a variable in key_env")
    if "?" in text or "#" in text:
        raise ValueError("an address ends with its path; it has no query and no fragment")
    if "%" in parts.path or "//" in parts.path or any(part in (".", "..") for part in parts.path.split("/")):
        raise ValueError("the path of an address is plain: no escapes, no empty or dot segments")
    return text.rstrip("/")


def posthog_address(text: str) -> str:
    """As `base_address`; the app's hosts become the ingestion hosts."""
    address = base_address(text)
    ingestion = _POSTHOG_APP_HOSTS.get(urlsplit(address).hostname or "")
    return f"https://{ingestion}" if ingestion else address


def host_of(address: str) -> str:
    """The lower-case host name of a checked address."""
    return urlsplit(address).hostname or ""
