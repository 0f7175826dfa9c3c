"""Numbers as people read them: a unit on each, three digits that matter, and a dash for what is not known."""

from datetime import UTC, datetime
from decimal import Decimal

UNKNOWN = "–"


def count(value: float | None) -> str:
    """1,234"""
    return UNKNOWN if value is None else f"{value:,.0f}"


def share(value: float | None) -> str:
    """Of one: 0.0123 is 1.2 %."""
    if value is None:
        return UNKNOWN
    percent = 100 * value
    return f"{percent:.0f} %" if percent == 0 or percent >= 99.95 else f"{percent:.{1 if percent >= 0.1 else 2}f} %"


def duration(value_ms: float | None) -> str:
    """From milliseconds: 12.3 ms, 340 ms, 2.41 s, 3 min 20 s."""
    if value_ms is None:
        return UNKNOWN
    if value_ms < 99.95:
        return f"{value_ms:.1f} ms"
    if value_ms < 999.5:
        return f"{value_ms:.0f} ms"
    if value_ms < 99_950:
        return f"{value_ms / 1_000:.{2 if value_ms < 9_995 else 1}f} s"
    minutes, seconds = divmod(round(value_ms / 1_000), 60)
    return f"{minutes} min {seconds:02d} s"


def money(value_usd: float | Decimal | None) -> str:
    """$1,234, $12.34, $0.0123, $0.000123: three digits that matter below a dollar."""
    if value_usd is None:
        return UNKNOWN
    value = float(value_usd)
    if value >= 1_000:
        return f"${value:,.0f}"
    if value >= 1 or value == 0:
        return f"${value:.2f}"
    places = next((places for places in range(2, 8) if value * 10**places >= 99.95), 8)
    return f"${value:.{places}f}"


def size(value_bytes: float) -> str:
    """512 B, 3.4 KiB, 12 MiB."""
    for unit in ("B", "KiB", "MiB"):
        if value_bytes < 1_024:
            return f"{value_bytes:.0f} {unit}" if unit == "B" or value_bytes >= 10 else f"{value_bytes:.1f} {unit}"
        value_bytes /= 1_024
    return f"{value_bytes:.1f} GiB"


def score(value: float | None) -> str:
    """A mean of scores."""
    return UNKNOWN if value is None else f"{value:.2f}"


def moment(at: datetime | None) -> str:
    """2026-05-21 13:04:09, UTC."""
    return UNKNOWN if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def change(now: float | None, before: float | None) -> str:
    """How much more or less than before, as +12 %; "" where there is nothing to compare."""
    if now is None or before is None or before == 0:
        return ""
    percent = 100 * (now - before) / before
    if abs(percent) < 0.5:
        return "±0 %"
    return f"{percent:+,.0f} %".replace("-", "−") if abs(percent) < 1_000 else "×" + f"{now / before:,.0f}"


def points(now: float | None, before: float | None) -> str:
    """The change of a share, in percentage points."""
    if now is None or before is None:
        return ""
    difference = 100 * (now - before)
    return "±0 pts" if abs(difference) < 0.05 else f"{difference:+.1f} pts".replace("-", "−")
