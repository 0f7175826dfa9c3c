"""Sizes and times that bound a request, and how a caller may narrow them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from proxy.domain.headers import header
from proxy.domain.routing import RetryPolicy, Timeouts


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one request. `body_bytes` is for bodies read whole, decoded; `streamed_bytes` for the rest."""

    body_bytes: int = 64 * 1024 * 1024
    streamed_bytes: int = 512 * 1024 * 1024
    body_silence_s: float = 60.0
    """The longest pause of a client that is sending its body."""


def narrowed_timeouts(timeouts: Timeouts, headers: Sequence[tuple[str, str]]) -> Timeouts:
    """Apply `X-LLM-Timeout-Ms` and `X-LLM-First-Token-Timeout-Ms`; a caller may shorten, never lengthen."""
    total_s = _milliseconds(header(headers, "x-llm-timeout-ms"))
    first_s = _milliseconds(header(headers, "x-llm-first-token-timeout-ms"))
    if total_s is not None:
        timeouts = replace(timeouts, total_s=min(total_s, timeouts.total_s or total_s))
    if first_s is not None:
        timeouts = replace(timeouts, first_byte_s=min(first_s, timeouts.first_byte_s))
    return timeouts


def narrowed_retries(retries: RetryPolicy, headers: Sequence[tuple[str, str]]) -> RetryPolicy:
    """Apply `X-LLM-Max-Retries`, never above what the route allows."""
    asked = header(headers, "x-llm-max-retries")
    if asked is None or not asked.isdecimal():
        return retries
    return replace(retries, max=min(int(asked[:4]), retries.max))


def _milliseconds(value: str | None) -> float | None:
    if value is None or not value.isdecimal() or len(value) > 9 or int(value) == 0:
        return None
    return int(value) / 1000
