"""What one reply cost, in USD, as Decimal; unknown is None with a status and a reason that say why.

Usage is inclusive (see `usage`): the parts of a bill are made by subtraction, never by adding a detail to its total,
so that no token is charged twice. What each of them costs is `tariffs`' to say, and which price holds on which day
`price_book`'s.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from decimal import Decimal
from enum import StrEnum
from operator import attrgetter
from typing import NamedTuple, TypeAlias

from proxy.domain.rates import Price, Rates
from proxy.domain.tariffs import Charge, Gap, Schedule, Tariff, tariff_of
from proxy.domain.usage import Usage
from proxy.domain.values import value_class

ZERO = Decimal(0)


class CostStatus(StrEnum):
    """`PARTIAL`: some counted part had no price, or was estimated; `UNKNOWN`: nothing was counted, or it cannot be."""

    PRICED = "priced"
    PARTIAL = "partial"
    UNPRICED = "unpriced"
    UNKNOWN = "unknown"


Step: TypeAlias = tuple[str, str, int | Decimal, Decimal]
"""What a `CostPart` is made of: every call's cost has some, and is rarely asked for them."""


class CostPart(NamedTuple):
    """One step of the sum.

    `rate` is the key of the rate in pricing.yaml; its end says what one of the quantity is (a token, a second, …).
    """

    name: str
    rate: str
    quantity: Decimal
    unit_price_usd: Decimal

    @property
    def amount_usd(self) -> Decimal:
        """Quantity times price, exactly."""
        return self.quantity * self.unit_price_usd


@value_class
class Cost:
    """The money of one attempt. `source` is "provider", "table" or "". Parts sum to the total.

    A `PARTIAL` total is what could be charged. `reason` is empty for `PRICED`; else it is made of our own words and
    of counts, never of text that a provider sent.
    """

    status: CostStatus
    total_usd: Decimal | None = None
    steps: tuple[Step, ...] = ()
    gaps: tuple[Gap, ...] = ()
    source: str = ""
    pricing_version: str | None = None
    reason: str = ""

    @property
    def parts(self) -> tuple[CostPart, ...]:
        """The sum, step by step."""
        return tuple([CostPart(name, rate, Decimal(count), usd) for name, rate, count, usd in self.steps])


_PRICED = CostStatus.PRICED
NOTHING_COUNTED = Cost(status=CostStatus.UNKNOWN, reason="no usage")


def reported_cost(usage: Usage) -> Cost | None:
    """The cost that the provider itself stated, which beats any table; None without one, or when it is no amount."""
    stated = usage.provider_cost_usd
    if stated is None or not stated.is_finite() or stated < 0:
        return None
    return Cost(status=CostStatus.PRICED, total_usd=stated, steps=(("provider", "", 1, stated),), source="provider")


def cost_of(usage: Usage, price: Price, pricing_version: str) -> Cost:
    """Charge one reply by one price. Never raises for counts from the wire."""
    return charged(usage, tariff_of(usage, price), pricing_version)


def charged(usage: Usage, tariff: Tariff, pricing_version: str) -> Cost:
    """The cost of one reply under the tariff that is its own. Never raises for counts from the wire."""
    if tariff.is_free:
        return Cost(status=CostStatus.PRICED, total_usd=ZERO, source="table", pricing_version=pricing_version)
    writes = _NO_WRITES
    if not _is_plain(usage):
        writes = _cache_writes(usage)
        if reason := _impossible(usage, writes):
            return Cost(status=CostStatus.UNKNOWN, reason=reason)
    schedule = tariff.standard
    if tariff.longer and usage.input_tokens is not None:
        schedule = next((longer for above, longer in tariff.longer if usage.input_tokens > above), schedule)
    steps: list[Step] = []
    gaps = [*schedule.gaps]
    _charge_input(usage, writes, schedule, steps, gaps)
    _charge_output(usage, schedule, steps, gaps)
    if usage.output_images or usage.web_search_calls or schedule.rates.usd_per_call is not None:
        _charge_each(usage, schedule.rates, steps, gaps)
    if gaps or not steps:
        return _partial(usage, steps, gaps, pricing_version)
    return Cost(_PRICED, _sum_usd(steps), tuple(steps), (), "table", pricing_version)


def _partial(usage: Usage, steps: list[Step], gaps: list[Gap], pricing_version: str) -> Cost:
    """Where something could not be charged, or there was nothing to charge."""
    reason = ", ".join([gap.reason for gap in gaps])
    if not steps:
        if not is_counted(usage):
            return NOTHING_COUNTED
        if gaps:
            return Cost(status=CostStatus.UNPRICED, gaps=tuple(gaps), reason=reason)
    return Cost(
        status=CostStatus.PARTIAL if gaps else CostStatus.PRICED,
        total_usd=_sum_usd(steps),
        steps=tuple(steps),
        gaps=tuple(gaps),
        source="table",
        pricing_version=pricing_version,
        reason=reason,
    )


def _sum_usd(steps: Sequence[Step]) -> Decimal:
    total_usd = ZERO
    for _, _, quantity, unit_price_usd in steps:
        total_usd += quantity * unit_price_usd
    return total_usd


def _is_plain(usage: Usage) -> bool:
    """Nothing but tokens of text was counted, in numbers that can all be true: so it nearly always is."""
    if (
        usage.cache_creation_input_tokens or usage.cache_creation_5m_tokens or usage.cache_creation_1h_tokens
        or usage.cache_creation_12h_tokens or usage.audio_input_tokens or usage.image_input_tokens
        or usage.audio_output_tokens or usage.image_output_tokens or usage.output_images or usage.web_search_calls
        or usage.audio_seconds is not None or usage.input_tokens is None or usage.output_tokens is None
    ):  # fmt: skip
        return False
    return (
        0 <= (usage.cached_input_tokens or 0) <= usage.input_tokens
        and 0 <= (usage.reasoning_tokens or 0) <= usage.output_tokens
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


def _charge_input(usage: Usage, writes: _CacheWrites, schedule: Schedule, steps: list[Step], gaps: list[Gap]) -> None:
    """All that went in, by tokens, or by seconds where only those were counted."""
    rates, charges = schedule.rates, schedule.charges
    if usage.input_tokens is None:
        if usage.audio_seconds is not None and rates.audio_input_usd_per_s is not None:
            steps.append(("audio_input", "audio_input_usd_per_s", usage.audio_seconds, rates.audio_input_usd_per_s))
        elif rates.input_usd_per_mtok:
            gaps.append(Gap("input tokens unknown"))
        return
    audio, image = usage.audio_input_tokens or 0, usage.image_input_tokens or 0
    cached = usage.cached_input_tokens or 0
    plain = usage.input_tokens - writes.total - audio - image - cached
    if plain < 0:
        # Some of the audio or image tokens came from the cache, and nobody says how many: charge them in full.
        cached, plain = cached + plain, 0
        gaps.append(Gap("cached audio or image tokens"))
    _tokens("input", plain, charges, steps, gaps)
    if cached:
        _tokens("cached_input", cached, charges, steps, gaps)
    if writes.total:
        _tokens("cache_write_5m", writes.for_5m, charges, steps, gaps)
        _tokens("cache_write_1h", writes.for_1h, charges, steps, gaps)
        _tokens("cache_write_12h", writes.for_12h, charges, steps, gaps)
    if audio or image:
        _tokens("audio_input", audio, charges, steps, gaps)
        _tokens("image_input", image, charges, steps, gaps)


def _charge_output(usage: Usage, schedule: Schedule, steps: list[Step], gaps: list[Gap]) -> None:
    """All that came out, by tokens."""
    charges = schedule.charges
    if usage.output_tokens is None:
        if schedule.rates.output_usd_per_mtok:
            gaps.append(Gap("output tokens unknown"))
        return
    reasoning = usage.reasoning_tokens or 0
    audio, image = usage.audio_output_tokens or 0, usage.image_output_tokens or 0
    _tokens("output", usage.output_tokens - reasoning - audio - image, charges, steps, gaps)
    if reasoning:
        _tokens("reasoning", reasoning, charges, steps, gaps)
    if audio or image:
        _tokens("audio_output", audio, charges, steps, gaps)
        _tokens("image_output", image, charges, steps, gaps)


def _charge_each(usage: Usage, rates: Rates, steps: list[Step], gaps: list[Gap]) -> None:
    """Images, searches, and the call itself, which have a rate for each one of them."""
    counted = []
    if usage.output_images and (usage.output_tokens is None or rates.usd_per_image is not None):
        counted.append(("image", "usd_per_image", usage.output_images))
    if usage.web_search_calls:
        counted.append(("web_search", "web_search_usd_per_call", usage.web_search_calls))
    if rates.usd_per_call is not None:
        counted.append(("call", "usd_per_call", 1))
    for name, key, count in counted:
        rate: Decimal | None = getattr(rates, key)
        if rate is None:
            gaps.append(Gap(f"no rate for {name}", key))
        else:
            steps.append((name, key, count, rate))


def _tokens(line: str, count: int, charges: Mapping[str, Charge], steps: list[Step], gaps: list[Gap]) -> None:
    if count == 0:
        return
    rate, usd_per_token, gap = charges[line]
    if usd_per_token is not None:
        steps.append((line, rate, count, usd_per_token))
    if gap is not None:
        gaps.append(gap)


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
