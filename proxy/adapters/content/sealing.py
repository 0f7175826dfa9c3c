"""Content at rest: compressed, then encrypted and authenticated with AES-256-GCM under the id of its call.

`PROMPTLANE_CONTENT_KEY` holds the key, 32 bytes in base64. To change it, write the new one before the old one, with a
comma between: the first one seals, each opens. A key that is thrown away takes its content with it.
"""

import hashlib
import os
from collections.abc import Sequence

import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from proxy.adapters.content.files import Sealed

NONCE_BYTES = 12
MAX_OPENED_BYTES = 64 << 20


class CannotOpen(Exception):
    """None of the keys is the one, or the bytes were changed."""


class Sealer:
    """Seals with the first key, opens with any."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._first = _key_id(keys[0])
        self._ciphers = {_key_id(key): AESGCM(key) for key in keys}

    def seal(self, content: bytes, exchange_id: str) -> Sealed:
        """Bytes that only a holder of the key can read, and only as the content of this call."""
        nonce = os.urandom(NONCE_BYTES)
        packed = zstandard.compress(content)
        return Sealed(self._first, nonce + self._ciphers[self._first].encrypt(nonce, packed, exchange_id.encode()))

    def open(self, sealed: Sealed, exchange_id: str) -> bytes:
        """Raises `CannotOpen`."""
        cipher = self._ciphers.get(sealed.key_id)
        if cipher is None:
            raise CannotOpen
        nonce, body = sealed.body[:NONCE_BYTES], sealed.body[NONCE_BYTES:]
        try:
            packed = cipher.decrypt(nonce, body, exchange_id.encode())
        except InvalidTag:
            raise CannotOpen from None
        return zstandard.ZstdDecompressor().decompress(packed, max_output_size=MAX_OPENED_BYTES)


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"promptlane content key" + key).hexdigest()[:16]
