"""Identifiers, made from a time and random bytes that are given."""

import re


def request_id_of(exchange_id: str) -> str:
    """The request id of a call whose client gave none: it says which call it is."""
    return f"req_{exchange_id.replace('-', '')}"


def trace_id_of(exchange_id: str) -> str:
    """The trace that a call begins: 32 hex digits that grow with time, so that an index of them is written to at its
    end alone.
    """
    return exchange_id.replace("-", "")


def exchange_of(request_id: str) -> str | None:
    """The call that a request id of ours names; None for one that a client made."""
    found = re.fullmatch("req_([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})", request_id)
    return "-".join(found.groups()) if found else None


def new_exchange_id(unix_us: int, random: bytes) -> str:
    """A UUIDv7 (RFC 9562 §5.7): 48 bits of Unix milliseconds, then 74 random bits from 10 bytes."""
    value = (unix_us // 1_000 & (1 << 48) - 1) << 80 | int.from_bytes(random[:10])
    value = value & ~(0xF << 76) | 7 << 76
    value = value & ~(0b11 << 62) | 0b10 << 62
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
