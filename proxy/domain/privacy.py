"""What may be told of a text without telling the text: hashes, and the tests for what must not pass as it is.

Every hash is keyed by default: a plain digest of a short prompt or of an e-mail address is undone by guessing. One
secret serves several purposes, so each purpose gets its own key, and a value hashed for one is no help with another.
"""

import re
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import _Hash

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SECRET = re.compile(
    r"""
    (?<![A-Za-z0-9]) (?:
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
_BLOCK_BYTES = 64
_INNER_PAD, _OUTER_PAD = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))


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
def _halves(key: bytes) -> "tuple[_Hash, _Hash]":
    """What of an HMAC-SHA256 does not depend on the message: the digests of the key's two pads (RFC 2104)."""
    block = (key if len(key) <= _BLOCK_BYTES else sha256(key).digest()).ljust(_BLOCK_BYTES, b"\0")
    return sha256(block.translate(_INNER_PAD)), sha256(block.translate(_OUTER_PAD))


def mac(key: bytes, data: bytes) -> bytes:
    """HMAC-SHA256. The standard library's looks for the algorithm, and begins with the key, each time anew."""
    inner_half, outer_half = _halves(key)
    inner, outer = inner_half.copy(), outer_half.copy()
    inner.update(data)
    outer.update(inner.digest())
    return outer.digest()


@lru_cache(maxsize=16)
def purpose_key(secret: bytes, purpose: str) -> bytes:
    """The key of one purpose, derived from the one secret of the installation."""
    return mac(secret, f"promptlane/{purpose}".encode())


def hash_identity(value: str, key: bytes) -> str:
    """HMAC-SHA256 in hex, so that an app which holds the same key can compute the same id."""
    return mac(key, value.encode()).hex()
