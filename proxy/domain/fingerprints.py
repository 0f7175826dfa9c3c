"""One prompt, however often its date changes: the hash of instructions, and the version that is inferred from it.

Instructions are written once and filled in at each call: "Today is Thursday, June 4", a session's id, a ticket's
number. What such a template fills in is made constant before the text is hashed, so that one prompt has one hash and
an edit of its words gives another. A few patterns do this and no understanding: a name that is filled in changes the
hash, and an edit that changes nothing but a date does not.
"""

import hashlib
import re
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal

from proxy.domain.privacy import mac, purpose_key

PromptHashMode = Literal["hmac-sha256", "sha256"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptHashing:
    """How instructions are hashed."""

    mode: PromptHashMode
    secret: bytes = field(repr=False)
    ignores_numbers: bool = False
    """Where templates fill in counts and amounts too."""


INFERRED = "inferred"
"""What is said of a version that `inferred_version` made."""
NORMALISATION = 1
"""To be raised with each change of what is made constant: hashes from before it are of other texts."""
_NORMALISED_LIMIT_CHARS = 262_144
"""Longer instructions are hashed as they are: normalising costs milliseconds on the way to the provider."""
_REMEMBERED_PROMPTS = 1_024

_VOLATILE = "<volatile>"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ANY_MONTH = f"(?:{'|'.join(_MONTHS)})"
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_ZONE = r"""
    (?:\ ?(?:Z|(?:UTC|GMT)?[+-]\d\d(?::?\d\d)?|UTC|GMT|[ECMP][SD]T|[CEW]ES?T|BST|IST|JST)\b
       (?:\ \([A-Z][A-Za-z\ ]{1,40}\))?)?
"""
_CLOCK = r":\d\d(?::\d\d(?:[.,]\d+)?)?(?:\ ?[AaPp]\.?[Mm]\b)?"
_NUMERIC = re.compile(
    rf"""
    [0-9](?<![A-Za-z0-9_][0-9]) (?:                                          # at the start of a number:
      [0-9]{{3}}([-/.])\d\d?\1\d\d?(?:[T\ ]\d\d{_CLOCK}{_ZONE})?             # year first, with a time
    | [0-9]?/\d\d?/(?:\d\d)?\d\d\b | [0-9]?([-.])\d\d?\2(?:19|20)\d\d\b      # 6/4/26, 4.6.2026
    | [0-9]?{_CLOCK}{_ZONE}                                                  # time of day
    | [0-9]?\ ?[AaPp]\.?[Mm]\b                                               # 10 AM
    | [0-9]?(?:st|nd|rd|th|\.)?\ (?:of\ |de\ )?(?:
        {_ANY_MONTH}[a-z]*\.?,?\ \d{{4}}\b                                   # 4 June 2026
      | [^\W\d_]{{3,12}}\.?\ (?:del?\ )?(?:19|20)\d\d\b)                     # 4. März 2026, 4 de junio de 2026
    | [0-9]{{7}}T[0-9]{{6}}Z? | [0-9]{{6,}}\b                                # 20260604T101500Z, epochs, long numbers
    )
    """,
    re.VERBOSE,
)
_NAMED_DAYS = re.compile(
    "|".join(
        rf"{month}[a-z]*\.?(?: \d\d?(?:st|nd|rd|th)?,?(?: <volatile>)?)? (?:19|20)\d\d\b" for month in _MONTHS
    )  # June 4, 2026; June 2026; Jun 4 (10:15:00) 2026
    + "|"
    + "|".join(rf"{day[:3]}(?:{day[3:]}|,? (?=<|\d|{_ANY_MONTH}))" for day in _DAYS),
    re.ASCII,
)
_OTHER_WEEKDAYS = re.compile(
    r"\b(?:montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonntag|lundi|mardi|mercredi|jeudi|vendredi|samedi"
    r"|dimanche|lunes|martes|miércoles|jueves|viernes|sábado|domingo)(?=,?(?: den| le)? <volatile>)",
    re.IGNORECASE,
)
_IDENTIFIER = re.compile(r"[0-9a-fA-F]{8}(?:[0-9a-fA-F]{8,}|(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})", re.ASCII)
"""Each pattern begins with what the engine can skip to: instructions are long, and most of them is none of this."""
_WITH_DIGIT = re.compile(r"\b[A-Za-z_-]*+[0-9][A-Za-z0-9_-]*+", re.ASCII)
_GENERATED = re.compile(
    r"""
      (?:.*[_-])? (?: (?=[A-Za-z0-9]{8}) (?:[A-Za-z]+[0-9]+[A-Za-z]+[0-9] | [0-9]+[A-Za-z]+[0-9]+[A-Za-z]) .*
                    | [0-9]{7,} (?:[_-].*)? )                               # 01J0Z3N8K2, V1StGXR8, run_1718000000
    | [a-z]{2,8}[_-](?=[A-Za-z0-9]*[A-Z])(?=[A-Za-z0-9]*[a-z])[A-Za-z0-9]{12,}   # cus_NffrFeUfNV2Hib
    """,
    re.VERBOSE | re.ASCII,
)
"""Words that no person has written: digits and letters by turns, as in the ids of databases and APIs."""
_SHORTEST_GENERATED_CHARS = 8
_NUMBER = re.compile(r"[0-9](?<![A-Za-z0-9_][0-9])[0-9]*(?:[.,][0-9]+)*", re.ASCII)

_COMPUTED = re.compile(r"[a-z0-9-]+:([0-9a-f]{12})[0-9a-f]*")


def normalise_instructions(text: str, *, ignores_numbers: bool = False) -> str:
    """The text with what changes from call to call made constant: dates, times, ids, long numbers, white space."""
    text = " ".join(text.split())
    text = _WITH_DIGIT.sub(_without_generated, _IDENTIFIER.sub(_VOLATILE, text))
    text = _NAMED_DAYS.sub(_VOLATILE, _NUMERIC.sub(_VOLATILE, text))
    if _VOLATILE in text:
        text = _OTHER_WEEKDAYS.sub(_VOLATILE, text)
    return _NUMBER.sub(_VOLATILE, text) if ignores_numbers else text


def _without_generated(word: re.Match[str]) -> str:
    is_generated = len(word[0]) >= _SHORTEST_GENERATED_CHARS and _GENERATED.fullmatch(word[0])
    return _VOLATILE if is_generated else word[0]


_prompt_hashes: dict[tuple[bytes, PromptHashMode, bool], str] = {}
"""Finished hashes by keyed digest of the text, oldest first; holds no text. A race costs one repeated computation."""


def prompt_hash(instructions: str, hashing: PromptHashing) -> str | None:
    """`hmac-sha256:` or `sha256:` and the hex digest of the normalised instructions; None where there are none."""
    if not instructions or instructions.isspace():
        return None
    key = purpose_key(hashing.secret, "prompt hash")
    looked_up = blake2b(instructions.encode(), digest_size=16, key=key).digest(), hashing.mode, hashing.ignores_numbers
    found = _prompt_hashes.get(looked_up)
    if found is None:
        text = instructions
        if len(instructions) <= _NORMALISED_LIMIT_CHARS:
            text = normalise_instructions(instructions, ignores_numbers=hashing.ignores_numbers)
        data = text.encode()
        digest = mac(key, data) if hashing.mode == "hmac-sha256" else hashlib.sha256(data).digest()
        found = f"{hashing.mode}:{digest.hex()}"
        if len(_prompt_hashes) >= _REMEMBERED_PROMPTS:
            _prompt_hashes.pop(next(iter(_prompt_hashes)), None)
        _prompt_hashes[looked_up] = found
    return found


def inferred_version(hash_text: str) -> str:
    """`fp_` and 12 hex digits: the same for the same hash, in every process and for ever."""
    computed = _COMPUTED.fullmatch(hash_text)
    return f"fp_{computed[1] if computed else hashlib.sha256(hash_text.encode()).hexdigest()[:12]}"
