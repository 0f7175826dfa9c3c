"""What a price says: rates by what is counted, tier, length and day, in USD, as Decimal."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """USD per million tokens, or for one of what the name says. None: the list does not say."""

    input_usd_per_mtok: Decimal | None = None
    cached_input_usd_per_mtok: Decimal | None = None
    cache_write_5m_usd_per_mtok: Decimal | None = None
    """Cache writes of the default time to live, whatever that is with this provider."""
    cache_write_1h_usd_per_mtok: Decimal | None = None
    cache_write_12h_usd_per_mtok: Decimal | None = None
    output_usd_per_mtok: Decimal | None = None
    reasoning_usd_per_mtok: Decimal | None = None
    audio_input_usd_per_mtok: Decimal | None = None
    audio_input_usd_per_s: Decimal | None = None
    """For replies that count the input in seconds and not in tokens."""
    audio_output_usd_per_mtok: Decimal | None = None
    image_input_usd_per_mtok: Decimal | None = None
    image_output_usd_per_mtok: Decimal | None = None
    usd_per_image: Decimal | None = None
    """For each image that was made, of whatever size and quality: replies do not say those."""
    web_search_usd_per_call: Decimal | None = None
    usd_per_call: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RateCard:
    """Rates of the standard tier and of the others by lower-case name; a tier's rates stand by themselves."""

    standard: Rates
    service_tiers: Mapping[str, Rates] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a price is written, and on whose word. `path` is that of the entry in the file."""

    file: str
    line: int
    column: int
    path: str
    source: str | None = None
    checked: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """One dated entry. `long_context` holds (input tokens, card) pairs, highest first: the card of the first
    threshold that the request's input is above. Multipliers apply to tokens alone. `origin` is None in the base table.
    """

    starts_on: date = date.min
    card: RateCard = field(default_factory=lambda: RateCard(standard=Rates()))
    long_context: tuple[tuple[int, RateCard], ...] = ()
    speed_multipliers: Mapping[str, Decimal] = field(default_factory=dict)
    region_multipliers: Mapping[str, Decimal] = field(default_factory=dict)
    is_free: bool = False
    origin: Origin | None = None
