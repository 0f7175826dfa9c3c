"""What may be told of a text without telling the text: hashes, and the tests for what must not pass as it is.

Every hash is keyed by default: a plain digest of a short prompt or of an e-mail address is undone by guessing. One
secret serves several purposes, so each purpose gets its own key, and a value hashed for one is no help with another.
"""

import hmac
import re
from functools import lru_cache

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SECRET = re.compile(
    r"""
    (?<![A-Za-z0-9]) (?=[ABbefghnprsx]) (?:                            # no other letter begins one: a third faster
      (?:sk|rk|pk)[-_](?=[A-Za-z0-9_-]*[0-9A-Z])[A-Za-z0-9_-]{12,}     # OpenAI, Anthropic, OpenRouter, Stripe
    | plk_[A-Za-z0-9_-]{8,}                                            # the proxy's own
    | (?:ph[cxs]|gsk|hf|r8|xai|pplx|nvapi|fw|gh[pousr]|github_pat)[-_][A-Za-z0-9_-]{16,}
    | xox[abeoprs]-[A-Za-z0-9-]{10,}
    | A(?:KIA|SIA)[0-9A-Z]{16}
    | AIza[A-Za-z0-9_-]{30,}
    | eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.                        # JSON web token
    | (?i:bearer|basic)[ ]+[A-Za-z0-9._~+/=-]{8,}
    )
    """,
    re.VERBOSE,
)
_SHORTEST_SECRET_CHARS = 12


def is_safe_text(value: str) -> bool:
    """False for control characters, line separators, and bytes that were not UTF-8."""
    return value.isprintable() or _UNSAFE.search(value) is None


def looks_like_email(value: str) -> bool:
    """True also where the address stands within a longer text, or its sign is percent-encoded."""
    at = value.replace("%40", "@").find("@")
    return at > 0 and "." in value[at + 2 :]


def looks_like_secret(value: str) -> bool:
    """True for what has the shape of a well-known API key, token or authorization value."""
    return len(value) >= _SHORTEST_SECRET_CHARS and _SECRET.search(value) is not None


@lru_cache(maxsize=32)
def _begun(key: bytes) -> hmac.HMAC:
    """An HMAC-SHA256 that has seen its key and no message."""
    return hmac.new(key, digestmod="sha256")


def mac(key: bytes, data: bytes) -> bytes:
    """HMAC-SHA256. `hmac.digest` would look for the algorithm and begin with the key each time."""
    made = _begun(key).copy()
    made.update(data)
    return made.digest()


@lru_cache(maxsize=16)
def purpose_key(secret: bytes, purpose: str) -> bytes:
    """The key of one purpose, derived from the one secret of the installation."""
    return mac(secret, f"promptlane/{purpose}".encode())


def hash_identity(value: str, key: bytes) -> str:
    """HMAC-SHA256 in hex, so that an app which holds the same key can compute the same id."""
    return mac(key, value.encode()).hex()
