"""What one reply cost, in USD, as Decimal; unknown is None with a status and a reason that say why.

Usage is inclusive (see `usage`): the parts of a bill are made by subtraction, never by adding a detail to its total,
so that no token is charged twice. A price list never guesses low. Where a rate is missing:

- cached input is charged as input, reasoning as output, image input as input: that is how providers bill them when
  they publish no rate of their own;
- cache writes, audio, and image output: charged at the text rate, and the cost is `partial`, as they usually cost more;
- a service tier, speed or region that the price does not list: charged at the standard rate, and `partial`.

Long-context rates apply to the whole request once its input is above the threshold. Which price holds on which day is
`price_book`'s to say.
"""

from collections.abc import Mapping
from dataclasses import fields
from decimal import Decimal
from enum import StrEnum
from operator import attrgetter
from typing import NamedTuple

from proxy.domain.rates import Price, RateCard, Rates
from proxy.domain.usage import Usage
from proxy.domain.values import value_class

ZERO = Decimal(0)
_ONE = Decimal(1)
_PER_MILLION = Decimal("0.000001")


class CostStatus(StrEnum):
    """`PARTIAL`: some counted part had no price, or was estimated; `UNKNOWN`: nothing was counted, or it cannot be."""

    PRICED = "priced"
    PARTIAL = "partial"
    UNPRICED = "unpriced"
    UNKNOWN = "unknown"


class CostPart(NamedTuple):
    """One step of the sum: `quantity × unit_price_usd = amount_usd`.

    `rate` is the key of the rate in pricing.yaml; its end says what one of the quantity is (a token, a second, …).
    """

    name: str
    rate: str
    quantity: Decimal
    unit_price_usd: Decimal
    amount_usd: Decimal


class Gap(NamedTuple):
    """What keeps a sum from being the whole truth. `key` of pricing.yaml would close it; empty where none can."""

    reason: str
    key: str = ""


@value_class
class Cost:
    """The money of one attempt. `source` is "provider", "table" or "". Parts sum to the total.

    A `PARTIAL` total is what could be charged. `reason` is empty for `PRICED`; else it is made of our own words and
    of counts, never of text that a provider sent.
    """

    status: CostStatus
    total_usd: Decimal | None = None
    parts: tuple[CostPart, ...] = ()
    gaps: tuple[Gap, ...] = ()
    source: str = ""
    pricing_version: str | None = None
    reason: str = ""


NOTHING_COUNTED = Cost(status=CostStatus.UNKNOWN, reason="no usage")


def reported_cost(usage: Usage) -> Cost | None:
    """The cost that the provider itself stated, which beats any table; None without one, or when it is no amount."""
    stated = usage.provider_cost_usd
    if stated is None or not stated.is_finite() or stated < 0:
        return None
    part = CostPart("provider", "", _ONE, stated, stated)
    return Cost(status=CostStatus.PRICED, total_usd=stated, parts=(part,), source="provider")


def cost_of(usage: Usage, price: Price, pricing_version: str) -> Cost:
    """Charge one reply by one price. Never raises for counts from the wire."""
    if price.is_free:
        return Cost(status=CostStatus.PRICED, total_usd=ZERO, source="table", pricing_version=pricing_version)
    if reason := _impossible(usage):
        return Cost(status=CostStatus.UNKNOWN, reason=reason)
    bill = _Bill(terms_of(usage, price))
    bill.charge_input(usage)
    bill.charge_output(usage)
    bill.charge_each(usage)
    gaps = tuple(bill.gaps)
    reason = ", ".join(gap.reason for gap in gaps)
    if not bill.parts:
        if not is_counted(usage):
            return NOTHING_COUNTED
        if gaps:
            return Cost(status=CostStatus.UNPRICED, gaps=gaps, reason=reason)
    return Cost(
        status=CostStatus.PARTIAL if gaps else CostStatus.PRICED,
        total_usd=sum((part.amount_usd for part in bill.parts), ZERO),
        parts=tuple(bill.parts),
        gaps=gaps,
        source="table",
        pricing_version=pricing_version,
        reason=reason,
    )


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
    gaps = []
    above, card = 0, price.card
    if price.long_context and usage.input_tokens is not None:
        for above_tokens, long_card in price.long_context:
            if usage.input_tokens > above_tokens:
                above, card = above_tokens, long_card
                break
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
    return Terms(rates, above, tier, speed, region, (by_speed or _ONE) * (by_region or _ONE), tuple(gaps))


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


class _Bill:
    """A sum in the making."""

    __slots__ = ("_rates", "_usd_per_token", "gaps", "parts")

    def __init__(self, terms: Terms) -> None:
        self.parts: list[CostPart] = []
        self.gaps = [*terms.gaps]
        self._rates = terms.rates
        self._usd_per_token = terms.multiplier * _PER_MILLION

    def charge_input(self, usage: Usage) -> None:
        """All that went in, by tokens, or by seconds where only those were counted."""
        if usage.input_tokens is None:
            if usage.audio_seconds is not None and self._rates.audio_input_usd_per_s is not None:
                self._add(
                    "audio_input", "audio_input_usd_per_s", usage.audio_seconds, self._rates.audio_input_usd_per_s
                )
            elif self._rates.input_usd_per_mtok:
                self.gaps.append(Gap("input tokens unknown"))
            return
        writes_5m, writes_1h, writes_12h = _cache_writes(usage)
        audio, image = usage.audio_input_tokens or 0, usage.image_input_tokens or 0
        cached = usage.cached_input_tokens or 0
        plain = usage.input_tokens - writes_5m - writes_1h - writes_12h - audio - image - cached
        if plain < 0:
            # Some of the audio or image tokens came from the cache, and nobody says how many: charge them in full.
            cached, plain = cached + plain, 0
            self.gaps.append(Gap("cached audio or image tokens"))
        self._tokens(_PLAIN_INPUT, plain)
        self._tokens(_CACHED_INPUT, cached)
        self._tokens(_CACHE_WRITE_5M, writes_5m)
        self._tokens(_CACHE_WRITE_1H, writes_1h)
        self._tokens(_CACHE_WRITE_12H, writes_12h)
        self._tokens(_AUDIO_INPUT, audio)
        self._tokens(_IMAGE_INPUT, image)

    def charge_output(self, usage: Usage) -> None:
        """All that came out, by tokens."""
        if usage.output_tokens is None:
            if self._rates.output_usd_per_mtok:
                self.gaps.append(Gap("output tokens unknown"))
            return
        reasoning = usage.reasoning_tokens or 0
        audio, image = usage.audio_output_tokens or 0, usage.image_output_tokens or 0
        self._tokens(_PLAIN_OUTPUT, usage.output_tokens - reasoning - audio - image)
        self._tokens(_REASONING, reasoning)
        self._tokens(_AUDIO_OUTPUT, audio)
        self._tokens(_IMAGE_OUTPUT, image)

    def charge_each(self, usage: Usage) -> None:
        """Images, searches, and the call itself."""
        if usage.output_tokens is None or self._rates.usd_per_image is not None:
            self._each("image", "usd_per_image", usage.output_images)
        self._each("web_search", "web_search_usd_per_call", usage.web_search_calls)
        if self._rates.usd_per_call is not None:
            self._each("call", "usd_per_call", 1)

    def _tokens(self, line: _Line, count: int) -> None:
        """Charge tokens at the first of the line's rates that there is."""
        if count == 0:
            return
        for key in line.rates:
            rate: Decimal | None = getattr(self._rates, key)
            if rate is not None:
                self._add(line.name, key, count, rate * self._usd_per_token)
                break
        else:
            key = ""
        if key != line.rates[0] and not (key and line.is_usual):
            self.gaps.append(Gap(f"no rate for {line.name}", line.rates[0]))

    def _each(self, name: str, key: str, count: int | Decimal | None) -> None:
        """Charge what has a rate for each one of it."""
        if not count:
            return
        rate: Decimal | None = getattr(self._rates, key)
        if rate is None:
            self.gaps.append(Gap(f"no rate for {name}", key))
        else:
            self._add(name, key, count, rate)

    def _add(self, name: str, rate: str, count: int | Decimal, unit_price_usd: Decimal) -> None:
        quantity = Decimal(count)
        self.parts.append(CostPart(name, rate, quantity, unit_price_usd, quantity * unit_price_usd))


def _cache_writes(usage: Usage) -> tuple[int, int, int]:
    """Writes by time to live; what the provider did not split has the default one."""
    writes_1h, writes_12h = usage.cache_creation_1h_tokens or 0, usage.cache_creation_12h_tokens or 0
    writes_5m = usage.cache_creation_5m_tokens or 0
    total = usage.cache_creation_input_tokens
    return (writes_5m if total is None else total - writes_1h - writes_12h), writes_1h, writes_12h


_COUNTED = ("_tokens", "_calls", "_images")
_counts = attrgetter(*(entry.name for entry in fields(Usage) if entry.name.endswith(_COUNTED)))


def is_counted(usage: Usage) -> bool:
    """True where the reply told a quantity that money could be asked for, be it zero."""
    return usage.audio_seconds is not None or any(count is not None for count in _counts(usage))


def _impossible(usage: Usage) -> str:
    """Say which counts contradict each other, with the numbers; "" when they can all be true."""
    writes_5m, writes_1h, writes_12h = _cache_writes(usage)
    longer = writes_1h + writes_12h
    writes = writes_5m + longer
    cached, reasoning = usage.cached_input_tokens or 0, usage.reasoning_tokens or 0
    media_in = (usage.audio_input_tokens or 0) + (usage.image_input_tokens or 0)
    media_out = (usage.audio_output_tokens or 0) + (usage.image_output_tokens or 0)
    if writes_5m < 0 or min(filter(None, _counts(usage)), default=0) < 0 or not _is_length(usage.audio_seconds):
        return "a negative count"
    if (usage.cache_creation_5m_tokens or 0) > writes_5m:
        return f"cache writes {usage.cache_creation_5m_tokens} + {longer} > {writes} in all"
    if usage.input_tokens is not None and max(cached, media_in) + writes > usage.input_tokens:
        return f"cached {cached}, cache writes {writes}, audio and image {media_in} > input {usage.input_tokens}"
    if usage.output_tokens is not None and reasoning + media_out > usage.output_tokens:
        return f"reasoning {reasoning}, audio and image {media_out} > output {usage.output_tokens}"
    return ""


def _is_length(seconds: Decimal | None) -> bool:
    return seconds is None or (seconds.is_finite() and seconds >= 0)
