"""Proxy keys: known by an HMAC alone, so that neither the file that lists them nor a log of it opens anything."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field

from proxy.domain.identity import VirtualKey
from proxy.domain.privacy import mac

HASH_PREFIX = "hmac-sha256:"


@dataclass(frozen=True, slots=True, kw_only=True)
class HashedKey:
    """One entry of `keys:`. `digest` is HMAC-SHA256 of the key under the proxy's secret, 32 bytes."""

    digest: bytes = field(repr=False)
    key: VirtualKey


class HashedKeys:
    """Finds the proxy key that a caller presents."""

    def __init__(self, keys: Sequence[HashedKey], secret: bytes) -> None:
        self._keys = tuple(keys)
        self._secret = secret

    def find(self, presented: str) -> VirtualKey | None:
        """The key with this text. Takes the same time whichever key matches, or none."""
        if not self._keys:
            return None
        digest = _digest(presented, self._secret)
        found = None
        for entry in self._keys:
            if hmac.compare_digest(entry.digest, digest):
                found = entry.key
        return found


def key_hash(presented: str, secret: bytes) -> str:
    """The text that routing.yaml holds in place of the key: plain HMAC-SHA256, as any tool computes it."""
    return HASH_PREFIX + _digest(presented, secret).hex()


def _digest(presented: str, secret: bytes) -> bytes:
    return mac(secret, presented.encode("utf-8", "surrogateescape"))
