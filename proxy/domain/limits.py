"""Sizes and times that bound a request, and how a caller may narrow them."""

from dataclasses import dataclass, replace

from proxy.domain.fields import Fields
from proxy.domain.routing import RetryPolicy, Timeouts


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one request. `body_bytes` is for bodies read whole, decoded; `streamed_bytes` for the rest."""

    body_bytes: int = 64 * 1024 * 1024
    streamed_bytes: int = 512 * 1024 * 1024
    body_silence_s: float = 60.0
    """The longest pause of a client that is sending its body."""


_TIMEOUTS = ("x-llm-timeout-ms", "x-llm-first-token-timeout-ms")


def narrowed_timeouts(timeouts: Timeouts, headers: Fields) -> Timeouts:
    """Apply `X-LLM-Timeout-Ms` and `X-LLM-First-Token-Timeout-Ms`; a caller may shorten, never lengthen."""
    if headers.names.at.keys().isdisjoint(_TIMEOUTS):  # as nearly always
        return timeouts
    total_s = _milliseconds(headers.first("x-llm-timeout-ms"))
    first_s = _milliseconds(headers.first("x-llm-first-token-timeout-ms"))
    if total_s is not None:
        timeouts = replace(timeouts, total_s=min(total_s, timeouts.total_s or total_s))
    if first_s is not None:
        timeouts = replace(timeouts, first_byte_s=min(first_s, timeouts.first_byte_s))
    return timeouts


def narrowed_retries(retries: RetryPolicy, headers: Fields) -> RetryPolicy:
    """Apply `X-LLM-Max-Retries`, never above what the route allows."""
    asked = headers.first("x-llm-max-retries") if retries.max else None
    if asked is None or not asked.isdecimal():
        return retries
    return replace(retries, max=min(int(asked[:4]), retries.max))


def _milliseconds(value: str | None) -> float | None:
    if value is None or not value.isdecimal() or len(value) > 9 or int(value) == 0:
        return None
    return int(value) / 1000
