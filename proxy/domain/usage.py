"""Token usage of one reply, inclusive: a detail is part of its total and never added to it.

`input_tokens` includes cached reads, cache writes and tool-use prompts; `output_tokens` includes reasoning.
None means unknown, 0 means that the provider said zero. Cached, cache-creation and reasoning tokens are also 0
where usage was reported without naming them; the finer splits (TTL, audio, image, searches) are then None.
"""

from decimal import Decimal
from enum import StrEnum

from proxy.domain.values import value_class


class UsageSource(StrEnum):
    """Where the counts come from. `PARTIAL` and `NONE` describe the wire, before any estimate."""

    PROVIDER = "provider"
    PARTIAL = "partial"
    NONE = "none"
    MIXED = "mixed"
    ESTIMATED = "estimated"
    UNKNOWN = "unknown"


@value_class
class Usage:
    """Counts of one reply. Tier fields name what the provider served, not what was asked for."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation_5m_tokens: int | None = None
    cache_creation_1h_tokens: int | None = None
    cache_creation_12h_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    image_input_tokens: int | None = None
    image_output_tokens: int | None = None
    output_images: int | None = None
    """Images that were made, of whatever size."""
    audio_seconds: Decimal | None = None
    """Length of the input audio, where the provider bills by time instead of tokens."""
    web_search_calls: int | None = None
    service_tier: str | None = None
    speed: str | None = None
    inference_geo: str | None = None
    provider_cost_usd: Decimal | None = None
