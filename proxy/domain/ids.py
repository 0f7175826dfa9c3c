"""Identifiers, made from a time and random bytes that are given."""


def new_exchange_id(unix_us: int, random: bytes) -> str:
    """A UUIDv7 (RFC 9562 §5.7): 48 bits of Unix milliseconds, then 74 random bits from 10 bytes."""
    value = (unix_us // 1_000 & (1 << 48) - 1) << 80 | int.from_bytes(random[:10])
    value = value & ~(0xF << 76) | 7 << 76
    value = value & ~(0b11 << 62) | 0b10 << 62
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
