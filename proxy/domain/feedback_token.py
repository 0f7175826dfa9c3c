"""`X-LLM-Feedback-Token`: lets whoever holds it rate one call, once, until it expires; no key is needed.

It may be handed to a browser. It holds the call's id and a time, under an HMAC-SHA256 of which 16 bytes are kept:
nothing of the call can be read from it. `f1.` + base64url of 16 bytes of id, 4 bytes of Unix seconds, 16 bytes of MAC.
"""

import binascii
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from uuid import UUID

from proxy.domain.privacy import mac, purpose_key

_VERSION = "f1."
_MAC_BYTES = 16
_BYTES = 16 + 4 + _MAC_BYTES
_CHARS = len(_VERSION) + _BYTES * 4 // 3


@dataclass(frozen=True, slots=True)
class FeedbackToken:
    """What a token says that this installation has signed."""

    exchange_id: str
    expires_unix_s: int


def sign_feedback(exchange_id: str, expires_unix_s: int, secret: bytes) -> str:
    """The token of a call; `exchange_id` is a UUID."""
    said = bytes.fromhex(exchange_id.replace("-", "")) + expires_unix_s.to_bytes(4)
    return _VERSION + urlsafe_b64encode(said + _mac(said, secret)).decode()


def verify_feedback(token: str, secret: bytes) -> FeedbackToken | None:
    """What it says, else None. Whether it has expired is the reader's to say."""
    if len(token) != _CHARS or not token.startswith(_VERSION) or not token.isascii():
        return None
    try:
        data = urlsafe_b64decode(token[len(_VERSION) :])
    except binascii.Error:
        return None
    said, seal = data[:-_MAC_BYTES], data[-_MAC_BYTES:]
    if len(data) != _BYTES or not hmac.compare_digest(seal, _mac(said, secret)):
        return None
    return FeedbackToken(str(UUID(bytes=said[:16])), int.from_bytes(said[16:]))


def _mac(said: bytes, secret: bytes) -> bytes:
    return mac(purpose_key(secret, "feedback token"), said)[:_MAC_BYTES]
