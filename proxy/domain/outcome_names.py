"""By which name an outcome can be repeated without being told twice, and what is remembered under it.

The name is the object's own `id`, else the request's `Idempotency-Key` and the object's place in the array, else, for
the holder of a feedback token, the call that it rates. Names of one caller and verb are apart from all others. The uuid
of the event follows from the name in every process that has the secret.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from struct import Struct
from typing import Self

import orjson

from proxy.domain.outcome_events import seed_of
from proxy.domain.outcomes import BadOutcome, Outcome, Problem, Verb, place
from proxy.domain.privacy import is_safe_text

REMEMBERED_US = 86_400_000_000
KEY_HEADER = "Idempotency-Key"
_KEY_LIMIT_CHARS = 200
_FACT = Struct("<BQ32s")
_BEGUN, _TOLD, _TOLD_UNFOUND = range(3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """`seed` is 32 hex digits; `digest` of what was said under it; `path` is where the name stands, for a refusal."""

    seed: str
    digest: bytes
    path: str

    @property
    def memory_key(self) -> bytes:
        """16 bytes."""
        return bytes.fromhex(self.seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What is remembered of a named outcome: when it was first said, and how far it came."""

    at_unix_us: int
    digest: bytes
    is_told: bool = False
    """Its events are in the journal."""
    is_found: bool = False
    """Its call was known."""

    def packed(self) -> bytes:
        """41 bytes."""
        state = _BEGUN if not self.is_told else _TOLD if self.is_found else _TOLD_UNFOUND
        return _FACT.pack(state, self.at_unix_us, self.digest)

    @classmethod
    def unpacked(cls, value: bytes | None, now_unix_us: int) -> Self | None:
        """None where nothing is remembered, or no longer to be."""
        if value is None or len(value) != _FACT.size:
            return None
        state, at_unix_us, digest = _FACT.unpack(value)
        if now_unix_us - at_unix_us > REMEMBERED_US:
            return None
        return cls(at_unix_us=at_unix_us, digest=digest, is_told=state != _BEGUN, is_found=state == _TOLD)


def names_of(
    outcomes: Sequence[Outcome],
    body: object,
    *,
    caller: str,
    verb: Verb,
    key: str | None,
    rated: str | None,
    secret: bytes,
) -> list[Name | None]:
    """The name of each outcome, None for one that has none. `key` is the header's value, `rated` the token's call.

    Raises BadOutcome for a key that cannot be one.
    """
    if key is not None and not (0 < len(key) <= _KEY_LIMIT_CHARS and is_safe_text(key)):
        raise BadOutcome([Problem(KEY_HEADER, f"must have 1 to {_KEY_LIMIT_CHARS} characters")])
    objects = body if isinstance(body, list) else [body]
    named: list[Name | None] = []
    parts: tuple[str, ...]
    for index, (outcome, entry) in enumerate(zip(outcomes, objects, strict=True)):
        if rated is not None:
            parts, said, path = ("token", rated, str(index)), body, "X-LLM-Feedback-Token"
        elif outcome.id is not None:
            parts, said, path = (caller, verb, "id", outcome.id), entry, place(outcome.path, "id")
        elif key is not None:
            parts, said, path = (caller, verb, "key", key, str(index)), body, KEY_HEADER
        else:
            named.append(None)
            continue
        named.append(Name(seed=seed_of(secret, *parts), digest=_digest(said), path=path))
    return named


def _digest(said: object) -> bytes:
    return sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).digest()
