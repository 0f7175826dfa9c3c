"""What fits a terminal: names and quantities in a given number of columns, and nothing that moves its cursor."""

import os
import unicodedata
from typing import TextIO

GREEN, RED, YELLOW, BOLD, PLAIN = "\x1b[32m", "\x1b[31m", "\x1b[33m", "\x1b[1m", "\x1b[0m"
UNKNOWN = "-"


def in_colour(stream: TextIO) -> bool:
    """True where a person looks at a terminal that knows colours and did not ask for none (`NO_COLOR`)."""
    return stream.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR")


def plain(text: str) -> str:
    """The text with a `?` for each character that is not seen: controls, direction marks, lone surrogates."""
    return "".join(char if char.isprintable() else "?" for char in text)


def columns(text: str) -> int:
    """How many columns printable text takes: most signs of East Asia take two, accents that combine take none."""
    return sum(_columns_of(char) for char in text)


def _columns_of(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def cell(text: str, width: int) -> str:
    """A name in exactly `width` columns: what is too long is cut in the middle, since names differ at both ends."""
    text = plain(text)
    if columns(text) > width:
        head = _within(text, (width - 1) // 2)
        text = f"{head}…{_within(text[::-1], width - 1 - columns(head))[::-1]}"
    return text + " " * (width - columns(text))


def _within(text: str, width: int) -> str:
    """As much of the beginning as fits."""
    kept = used = 0
    for char in text:
        used += _columns_of(char)
        if used > width:
            break
        kept += 1
    return text[:kept]


def seconds(duration_s: float | None) -> str:
    """At most 5 columns below 10,000 s."""
    if duration_s is None:
        return UNKNOWN
    if duration_s < 0.9995:
        return f"{duration_s * 1000:.0f}ms"
    return f"{duration_s:.1f}s" if duration_s < 99.95 else f"{duration_s:.0f}s"


def whole(count: float | None) -> str:
    """A count in at most 4 columns below a billion; exact below 10,000."""
    if count is None:
        return UNKNOWN
    return f"{count:.0f}" if count < 9_999.5 else _short(count)


def rate(per_unit: float | None) -> str:
    """At most 4 columns below a billion; where it is small, with one decimal."""
    if per_unit is None:
        return UNKNOWN
    return f"{per_unit:.1f}" if per_unit < 9.95 else whole(per_unit)


def usd(amount: float | None) -> str:
    """Two significant digits or more, in at most 7 columns below a billion dollars."""
    if amount is None:
        return UNKNOWN
    if amount >= 999.5:
        return f"${_short(amount)}"
    decimals = 0 if amount >= 99.95 else 1 if amount >= 9.995 else 2 if amount >= 0.0995 or not amount else 4
    return f"${amount:.{decimals}f}" if amount >= 0.00005 or not amount else "<$.0001"


def _short(count: float) -> str:
    """`12k`, `1.2M`."""
    for unit in ("k", "M"):
        count /= 1000
        if count < 9.95:
            return f"{count:.1f}{unit}"
        if count < 999.5:
            return f"{count:.0f}{unit}"
    return f"{count / 1000:.1f}G"


def size(size_bytes: float) -> str:
    """For reading in a sentence."""
    for unit in ("B", "KB", "MB"):
        if size_bytes < 999.5:
            return f"{size_bytes:.3g} {unit}"
        size_bytes /= 1024
    return f"{size_bytes:.3g} GB"


def span(duration_s: float) -> str:
    """A duration for reading in a sentence."""
    for unit, unit_s in (("d", 86_400), ("h", 3600), ("min", 60)):
        if duration_s >= 2 * unit_s:
            return f"{duration_s / unit_s:,.0f} {unit}"
    return f"{duration_s:.0f} s"
