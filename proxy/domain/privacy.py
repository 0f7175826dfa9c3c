"""What may be told of a text without telling the text: hashes, and the tests for what must not pass as it is.

Every hash is keyed by default: a plain digest of a short prompt or of an e-mail address is undone by guessing. One
secret serves several purposes, so each purpose gets its own key, and a value hashed for one is no help with another.
"""

import hashlib
import hmac
import re
from functools import lru_cache
from typing import Literal

PromptHashMode = Literal["hmac-sha256", "sha256"]

_NORMALISED_LIMIT_CHARS = 262_144
"""Longer instructions are hashed as they are: normalising costs milliseconds on the way to the provider."""
_REMEMBERED_PROMPTS = 1_024

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_NUMERIC = re.compile(
    rf"""
    [0-9](?<![A-Za-z0-9_][0-9]) (?:                                                  # at the start of a number:
      [0-9]{{3}}-\d\d?-\d\d?(?:[T\ ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?(?:Z|\ ?[+-]\d\d:?\d\d)?  # ISO date, with a time
    | [0-9]?:\d\d(?::\d\d(?:\.\d+)?)?(?:\ ?[AaPp]\.?[Mm]\b)?                         # time of day
    | [0-9]?(?:st|nd|rd|th)?\ (?:of\ )?(?:{"|".join(_MONTHS)})[a-z]*\.?,?\ \d{{4}}\b # 4 June 2026
    | [0-9]{{7,}}\b                                                                  # epoch seconds, ticket numbers
    )
    """,
    re.VERBOSE | re.ASCII,
)
_NAMED_DAYS = re.compile(
    "|".join(rf"{month}[a-z]*\.? \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}\b" for month in _MONTHS)  # June 4, 2026
    + "|"
    + "|".join(
        rf"{day[:3]}(?:{day[3:]}|,? (?=\d))"
        for day in ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    ),
    re.ASCII,
)
_IDENTIFIER = re.compile(r"[0-9a-fA-F]{8}(?:[0-9a-fA-F]{8,}|(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})", re.ASCII)
"""Each pattern begins with what the engine can skip to: instructions are long, and most of them is none of this."""
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


@lru_cache(maxsize=16)
def purpose_key(secret: bytes, purpose: str) -> bytes:
    """The key of one purpose, derived from the one secret of the installation."""
    return hmac.new(secret, f"promptlane/{purpose}".encode(), "sha256").digest()


def hash_identity(value: str, key: bytes) -> str:
    """HMAC-SHA256 in hex, so that an app which holds the same key can compute the same id."""
    return hmac.new(key, value.encode(), "sha256").hexdigest()


def normalise_instructions(text: str) -> str:
    """The text with what changes from call to call made constant: dates, times, ids, long numbers, white space."""
    text = " ".join(text.split())
    for pattern in (_IDENTIFIER, _NAMED_DAYS, _NUMERIC):
        text = pattern.sub("<volatile>", text)
    return text


_prompt_hashes: dict[bytes, str] = {}
"""Finished hashes by keyed digest of the text, oldest first; holds no text. A race costs one repeated computation."""


def prompt_hash(instructions: str, mode: PromptHashMode, secret: bytes) -> str | None:
    """`hmac-sha256:` or `sha256:` and the hex digest of the normalised instructions; None where there are none."""
    if not instructions or instructions.isspace():
        return None
    seen = _digest(instructions, mode, secret)
    found = _prompt_hashes.get(seen)
    if found is None:
        is_short = len(instructions) <= _NORMALISED_LIMIT_CHARS
        digest = _digest(normalise_instructions(instructions), mode, secret) if is_short else seen
        found = f"{mode}:{digest.hex()}"
        if len(_prompt_hashes) >= _REMEMBERED_PROMPTS:
            _prompt_hashes.pop(next(iter(_prompt_hashes)), None)
        _prompt_hashes[seen] = found
    return found


def _digest(text: str, mode: PromptHashMode, secret: bytes) -> bytes:
    data = text.encode()
    if mode == "sha256":
        return hashlib.sha256(data).digest()
    return hmac.new(purpose_key(secret, "prompt hash"), data, "sha256").digest()
