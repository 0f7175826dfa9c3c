"""Narrowing of values out of a provider's JSON: any of them may be missing, of another type, or absurd.

A JSON parser makes no subclasses, so that `type(value) is str` says what `isinstance` would, without a call.
"""

from decimal import Decimal
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]

LABEL_LIMIT_CHARS = 200
MAX_COUNT = 1 << 40
"""Above this a token count is a fault of the sender (2^63, a hash, a time stamp), not a count."""
_MAX_AMOUNT = Decimal(1_000_000)


def mapping(value: object) -> Json:
    """The object, or an empty one."""
    return value if type(value) is dict else {}


def objects(value: object) -> list[Json]:
    """The objects of an array, in order; what is not an object is left out."""
    return [item for item in value if type(item) is dict] if type(value) is list else []


def text(value: object) -> str:
    """The string, or an empty one."""
    return value if type(value) is str else ""


def label(value: object) -> str | None:
    """A non-empty name, cut to `LABEL_LIMIT_CHARS`."""
    return value[:LABEL_LIMIT_CHARS] if type(value) is str and value else None


def count(value: object) -> int | None:
    """A token count; None for what cannot be one: negative, fractional, absurdly large, of another type."""
    if type(value) is not int:  # a boolean is none
        if not isinstance(value, float) or not value.is_integer():
            return None
        value = int(value)
    return value if 0 <= value <= MAX_COUNT else None


def part(told: object, whole: int | None) -> int | None:
    """The count of a part; unknown where that of its whole is, or it is more."""
    if whole is None or told is None:
        return None
    if type(told) is int and 0 <= told <= whole:
        return told
    tokens = count(told)
    return tokens if tokens is not None and tokens <= whole else None


def amount(value: object) -> Decimal | None:
    """A sum of money or a length of time, as written on the wire; None for what cannot be one."""
    if type(value) is not int and type(value) is not float:
        return None
    exact = Decimal(str(value))
    return exact if exact.is_finite() and 0 <= exact <= _MAX_AMOUNT else None
