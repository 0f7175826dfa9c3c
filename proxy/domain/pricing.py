"""What one reply cost, in USD, as Decimal; unknown is None with a status and a reason that say why.

Usage is inclusive (see `usage`): the parts of a bill are made by subtraction, never by adding a detail to its total,
so that no token is charged twice. What each of them costs is `tariffs`' to say, and which price holds on which day
`price_book`'s.
"""

from dataclasses import fields
from decimal import Decimal
from enum import StrEnum
from operator import attrgetter
from typing import NamedTuple

from proxy.domain.rates import Price
from proxy.domain.tariffs import Gap, Schedule, Tariff, tariff_of
from proxy.domain.usage import Usage
from proxy.domain.values import value_class

ZERO = Decimal(0)
_ONE = Decimal(1)


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
    return charged(usage, tariff_of(usage, price), pricing_version)


def charged(usage: Usage, tariff: Tariff, pricing_version: str) -> Cost:
    """The cost of one reply under the tariff that is its own. Never raises for counts from the wire."""
    if tariff.is_free:
        return Cost(status=CostStatus.PRICED, total_usd=ZERO, source="table", pricing_version=pricing_version)
    writes = _cache_writes(usage)
    if reason := _impossible(usage, writes):
        return Cost(status=CostStatus.UNKNOWN, reason=reason)
    schedule = tariff.standard
    if tariff.longer and usage.input_tokens is not None:
        schedule = next((longer for above, longer in tariff.longer if usage.input_tokens > above), schedule)
    bill = _Bill(schedule)
    bill.charge_input(usage, writes)
    bill.charge_output(usage)
    bill.charge_each(usage)
    reason = ", ".join([gap.reason for gap in bill.gaps]) if bill.gaps else ""
    if not bill.parts:
        if not is_counted(usage):
            return NOTHING_COUNTED
        if bill.gaps:
            return Cost(status=CostStatus.UNPRICED, gaps=tuple(bill.gaps), reason=reason)
    return Cost(
        status=CostStatus.PARTIAL if bill.gaps else CostStatus.PRICED,
        total_usd=bill.total_usd,
        parts=tuple(bill.parts),
        gaps=tuple(bill.gaps),
        source="table",
        pricing_version=pricing_version,
        reason=reason,
    )


class _CacheWrites(NamedTuple):
    """Writes by time to live; what the provider did not split has the default one."""

    total: int
    for_5m: int
    for_1h: int
    for_12h: int


_NO_WRITES = _CacheWrites(0, 0, 0, 0)


def _cache_writes(usage: Usage) -> _CacheWrites:
    for_1h, for_12h = usage.cache_creation_1h_tokens or 0, usage.cache_creation_12h_tokens or 0
    for_5m, total = usage.cache_creation_5m_tokens or 0, usage.cache_creation_input_tokens
    if total is not None:
        for_5m = total - for_1h - for_12h
    if not (for_5m or for_1h or for_12h):
        return _NO_WRITES
    return _CacheWrites(for_5m + for_1h + for_12h, for_5m, for_1h, for_12h)


class _Bill:
    """A sum in the making."""

    __slots__ = ("_charges", "_rates", "gaps", "parts", "total_usd")

    def __init__(self, schedule: Schedule) -> None:
        self.total_usd = ZERO
        self.parts: list[CostPart] = []
        self.gaps = [*schedule.gaps]
        self._rates = schedule.rates
        self._charges = schedule.charges

    def charge_input(self, usage: Usage, writes: _CacheWrites) -> None:
        """All that went in, by tokens, or by seconds where only those were counted."""
        if usage.input_tokens is None:
            if usage.audio_seconds is not None and self._rates.audio_input_usd_per_s is not None:
                self._add(
                    "audio_input", "audio_input_usd_per_s", usage.audio_seconds, self._rates.audio_input_usd_per_s
                )
            elif self._rates.input_usd_per_mtok:
                self.gaps.append(Gap("input tokens unknown"))
            return
        audio, image = usage.audio_input_tokens or 0, usage.image_input_tokens or 0
        cached = usage.cached_input_tokens or 0
        plain = usage.input_tokens - writes.total - audio - image - cached
        if plain < 0:
            # Some of the audio or image tokens came from the cache, and nobody says how many: charge them in full.
            cached, plain = cached + plain, 0
            self.gaps.append(Gap("cached audio or image tokens"))
        self._tokens("input", plain)
        if cached:
            self._tokens("cached_input", cached)
        if writes.total:
            self._tokens("cache_write_5m", writes.for_5m)
            self._tokens("cache_write_1h", writes.for_1h)
            self._tokens("cache_write_12h", writes.for_12h)
        if audio or image:
            self._tokens("audio_input", audio)
            self._tokens("image_input", image)

    def charge_output(self, usage: Usage) -> None:
        """All that came out, by tokens."""
        if usage.output_tokens is None:
            if self._rates.output_usd_per_mtok:
                self.gaps.append(Gap("output tokens unknown"))
            return
        reasoning = usage.reasoning_tokens or 0
        audio, image = usage.audio_output_tokens or 0, usage.image_output_tokens or 0
        self._tokens("output", usage.output_tokens - reasoning - audio - image)
        if reasoning:
            self._tokens("reasoning", reasoning)
        if audio or image:
            self._tokens("audio_output", audio)
            self._tokens("image_output", image)

    def charge_each(self, usage: Usage) -> None:
        """Images, searches, and the call itself."""
        if usage.output_images and (usage.output_tokens is None or self._rates.usd_per_image is not None):
            self._each("image", "usd_per_image", usage.output_images)
        if usage.web_search_calls:
            self._each("web_search", "web_search_usd_per_call", usage.web_search_calls)
        if self._rates.usd_per_call is not None:
            self._each("call", "usd_per_call", 1)

    def _tokens(self, line: str, count: int) -> None:
        if count == 0:
            return
        rate, usd_per_token, gap = self._charges[line]
        if usd_per_token is not None:
            self._add(line, rate, count, usd_per_token)
        if gap is not None:
            self.gaps.append(gap)

    def _each(self, name: str, key: str, count: int) -> None:
        """Charge what has a rate for each one of it."""
        rate: Decimal | None = getattr(self._rates, key)
        if rate is None:
            self.gaps.append(Gap(f"no rate for {name}", key))
        else:
            self._add(name, key, count, rate)

    def _add(self, name: str, rate: str, count: int | Decimal, unit_price_usd: Decimal) -> None:
        quantity = Decimal(count)
        amount_usd = quantity * unit_price_usd
        self.parts.append(CostPart(name, rate, quantity, unit_price_usd, amount_usd))
        self.total_usd += amount_usd


_COUNTED = ("_tokens", "_calls", "_images")
_counts = attrgetter(*(entry.name for entry in fields(Usage) if entry.name.endswith(_COUNTED)))


def is_counted(usage: Usage) -> bool:
    """True where the reply told a quantity that money could be asked for, be it zero."""
    return usage.audio_seconds is not None or any(count is not None for count in _counts(usage))


def _impossible(usage: Usage, writes: _CacheWrites) -> str:
    """Say which counts contradict each other, with the numbers; "" when they can all be true."""
    cached, reasoning = usage.cached_input_tokens or 0, usage.reasoning_tokens or 0
    media_in = (usage.audio_input_tokens or 0) + (usage.image_input_tokens or 0)
    media_out = (usage.audio_output_tokens or 0) + (usage.image_output_tokens or 0)
    if writes.for_5m < 0 or min(filter(None, _counts(usage)), default=0) < 0 or not _is_length(usage.audio_seconds):
        return "a negative count"
    if (stated_5m := usage.cache_creation_5m_tokens or 0) > writes.for_5m:
        return f"cache writes {stated_5m} + {writes.for_1h + writes.for_12h} > {writes.total} in all"
    if usage.input_tokens is not None and max(cached, media_in) + writes.total > usage.input_tokens:
        return f"cached {cached}, cache writes {writes.total}, audio and image {media_in} > input {usage.input_tokens}"
    if usage.output_tokens is not None and reasoning + media_out > usage.output_tokens:
        return f"reasoning {reasoning}, audio and image {media_out} > output {usage.output_tokens}"
    return ""


def _is_length(seconds: Decimal | None) -> bool:
    return seconds is None or (seconds.is_finite() and seconds >= 0)
