"""What a price comes to for replies of one service tier, speed and region: all of it that no count decides.

A price list never guesses low. Where a rate is missing:

- cached input is charged as input, reasoning as output, image input as input: that is how providers bill them when
  they publish no rate of their own;
- cache writes, audio, and image output: charged at the text rate, and the cost is `partial`, as they usually cost more;
- a service tier, speed or region that the price does not list: charged at the standard rate, and `partial`.

Long-context rates apply to the whole request once its input is above the threshold.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from proxy.domain.rates import Price, RateCard, Rates
from proxy.domain.usage import Usage

_ONE = Decimal(1)
_PER_MILLION = Decimal("0.000001")


class Gap(NamedTuple):
    """What keeps a sum from being the whole truth. `key` of pricing.yaml would close it; empty where none can."""

    reason: str
    key: str = ""


class Terms(NamedTuple):
    """What of a price holds for one reply. The names are empty where the standard holds."""

    rates: Rates
    above_input_tokens: int
    service_tier: str
    speed: str
    region: str
    multiplier: Decimal
    gaps: tuple[Gap, ...]


_STANDARD_TIERS = frozenset({"", "default", "standard", "auto", "on_demand", "scale", "traffic_type_unspecified"})
_TIER_NAMES = {"batches": "batch", "fast": "priority"}
"""Another name of a tier, tried where the price does not list it by the first; fast is what priority was called."""
_STANDARD_SPEEDS = frozenset({"", "standard"})
_STANDARD_REGIONS = frozenset({"", "global", "not_available"})


def terms_of(usage: Usage, price: Price) -> Terms:
    """The rates and multipliers for this reply's length, tier, speed and region, and what the price does not list."""
    if usage.input_tokens is not None:
        for above_tokens, long_card in price.long_context:
            if usage.input_tokens > above_tokens:
                return _terms(usage, price, above_tokens, long_card)
    return _terms(usage, price, 0, price.card)


def _terms(usage: Usage, price: Price, above_tokens: int, card: RateCard) -> Terms:
    gaps = []
    tier, rates = _tier(usage.service_tier, card)
    if rates is None:
        rates = card.standard
        gaps.append(Gap("no rates for the service tier", "service_tiers"))
    speed, by_speed = _multiplier(usage.speed, price.speed_multipliers, _STANDARD_SPEEDS)
    if by_speed is None:
        gaps.append(Gap("no multiplier for the speed", "speed_multipliers"))
    region, by_region = _multiplier(usage.inference_geo, price.region_multipliers, _STANDARD_REGIONS)
    if by_region is None:
        gaps.append(Gap("no multiplier for the region", "region_multipliers"))
    return Terms(rates, above_tokens, tier, speed, region, (by_speed or _ONE) * (by_region or _ONE), tuple(gaps))


def _tier(served: str | None, card: RateCard) -> tuple[str, Rates | None]:
    """The tier's name in the card, and its rates: the standard ones by any name of theirs, None where none are listed.

    Gemini's traffic types are tiers too: ON_DEMAND_FLEX is flex. PROVISIONED_THROUGHPUT is paid for in advance: only
    the operator knows what a token of it costs.
    """
    name = (served or "").lower()
    short = name.removeprefix("on_demand_")
    for listed in (name, short, _TIER_NAMES.get(short, short)):
        if (rates := card.service_tiers.get(listed)) is not None:
            return listed, rates
    return "", card.standard if name in _STANDARD_TIERS else None


def _multiplier(
    served: str | None, listed: Mapping[str, Decimal], standard: frozenset[str]
) -> tuple[str, Decimal | None]:
    """The name under which the multiplier is listed, and the multiplier; None where there should be one."""
    name = (served or "").lower()
    if name in listed:
        return name, listed[name]
    return "", _ONE if name in standard else None


class _Line(NamedTuple):
    """A part of the bill and the keys of its rate: its own, then those that stand in where the price has none.

    `is_usual`: providers without a rate of their own for it bill it like that; else its absence is a gap.
    """

    name: str
    rates: tuple[str, ...]
    is_usual: bool = False


_INPUT, _OUTPUT = "input_usd_per_mtok", "output_usd_per_mtok"
_WRITE_5M, _WRITE_1H, _WRITE_12H = (f"cache_write_{ttl}_usd_per_mtok" for ttl in ("5m", "1h", "12h"))
_PLAIN_INPUT = _Line("input", (_INPUT,))
_CACHED_INPUT = _Line("cached_input", ("cached_input_usd_per_mtok", _INPUT), is_usual=True)
_CACHE_WRITE_5M = _Line("cache_write_5m", (_WRITE_5M, _INPUT))
_CACHE_WRITE_1H = _Line("cache_write_1h", (_WRITE_1H, _WRITE_5M, _INPUT))
_CACHE_WRITE_12H = _Line("cache_write_12h", (_WRITE_12H, _WRITE_1H, _WRITE_5M, _INPUT))
_AUDIO_INPUT = _Line("audio_input", ("audio_input_usd_per_mtok", _INPUT))
_IMAGE_INPUT = _Line("image_input", ("image_input_usd_per_mtok", _INPUT), is_usual=True)
_PLAIN_OUTPUT = _Line("output", (_OUTPUT,))
_REASONING = _Line("reasoning", ("reasoning_usd_per_mtok", _OUTPUT), is_usual=True)
_AUDIO_OUTPUT = _Line("audio_output", ("audio_output_usd_per_mtok", _OUTPUT))
_IMAGE_OUTPUT = _Line("image_output", ("image_output_usd_per_mtok", _OUTPUT))


_TOKEN_LINES = (
    _PLAIN_INPUT, _CACHED_INPUT, _CACHE_WRITE_5M, _CACHE_WRITE_1H, _CACHE_WRITE_12H, _AUDIO_INPUT, _IMAGE_INPUT,
    _PLAIN_OUTPUT, _REASONING, _AUDIO_OUTPUT, _IMAGE_OUTPUT,
)  # fmt: skip


class Charge(NamedTuple):
    """What a token of one line costs, by which rate, and what the price lacks for it; no price where it has none."""

    rate: str
    usd_per_token: Decimal | None
    gap: Gap | None


class Schedule(NamedTuple):
    """The charges of all lines of tokens under some terms."""

    rates: Rates
    gaps: tuple[Gap, ...]
    charges: Mapping[str, Charge]


class Tariff(NamedTuple):
    """A price for one service tier, speed and region: all of it that does not depend on the counts of a reply."""

    is_free: bool
    standard: Schedule
    longer: tuple[tuple[int, Schedule], ...]
    """By input tokens above which they hold, highest first."""


def tariff_of(usage: Usage, price: Price) -> Tariff:
    """The same for all replies that have the tier, speed and region of this one."""
    return Tariff(
        is_free=price.is_free,
        standard=_schedule(_terms(usage, price, 0, price.card)),
        longer=tuple((above, _schedule(_terms(usage, price, above, card))) for above, card in price.long_context),
    )


def _schedule(terms: Terms) -> Schedule:
    usd_per_token = terms.multiplier * _PER_MILLION
    charges = {line.name: _charge(line, terms.rates, usd_per_token) for line in _TOKEN_LINES}
    return Schedule(terms.rates, terms.gaps, charges)


def _charge(line: _Line, rates: Rates, usd_per_token: Decimal) -> Charge:
    """By the first of the line's rates that there is."""
    own = line.rates[0]
    gap = Gap(f"no rate for {line.name}", own)
    for key in line.rates:
        rate: Decimal | None = getattr(rates, key)
        if rate is not None:
            return Charge(key, rate * usd_per_token, None if key == own or line.is_usual else gap)
    return Charge("", None, gap)
