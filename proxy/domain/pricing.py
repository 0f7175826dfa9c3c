"""What one reply cost, in USD, as Decimal; unknown is None with a status and a reason that say why.

Usage is inclusive (see `usage`): the parts of a bill are made by subtraction, never by adding a detail to its total,
so that no token is charged twice. A price list never guesses low. Where a rate is missing:

- cached input is charged as input, reasoning as output, image input as input: that is how providers bill them when
  they publish no rate of their own;
- cache writes, audio, and image output: charged at the text rate, and the cost is `partial`, as they usually cost more;
- a service tier, speed or region that the price does not list: charged at the standard rate, and `partial`.

Long-context rates apply to the whole request once its input is above the threshold. Dated prices: a call is priced by
what was valid on its day, and a later price changes nothing before it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date
from decimal import Decimal
from enum import StrEnum
from operator import attrgetter

from proxy.domain.globs import is_glob, matches, precedence
from proxy.domain.usage import Usage

ZERO = Decimal(0)
_ONE = Decimal(1)
_PER_MILLION = Decimal("0.000001")
_STANDARD_TIERS = frozenset({"", "default", "standard", "auto", "on_demand", "scale"})
_TIER_NAMES = {"batches": "batch", "on_demand_flex": "flex", "on_demand_priority": "priority"}
_STANDARD_SPEEDS = frozenset({"", "standard"})
_STANDARD_REGIONS = frozenset({"", "global", "not_available"})


class CostStatus(StrEnum):
    """`PARTIAL`: some counted part had no price, or was estimated; `UNKNOWN`: nothing was counted, or it cannot be."""

    PRICED = "priced"
    PARTIAL = "partial"
    UNPRICED = "unpriced"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class CostPart:
    """One step of the sum: `quantity × unit_price_usd = amount_usd`."""

    name: str
    quantity: Decimal
    unit_price_usd: Decimal
    amount_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The money of one attempt. `source` is "provider", "table" or "". Parts sum to the total.

    A `PARTIAL` total is what could be charged. `reason` is empty for `PRICED`; else it is made of our own words and
    of counts, never of text that a provider sent.
    """

    status: CostStatus
    total_usd: Decimal | None = None
    parts: tuple[CostPart, ...] = ()
    source: str = ""
    pricing_version: str | None = None
    reason: str = ""


NOTHING_COUNTED = Cost(status=CostStatus.UNKNOWN, reason="no usage")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """USD per million tokens, or per call. None: the list does not say."""

    input_usd_per_mtok: Decimal | None = None
    cached_input_usd_per_mtok: Decimal | None = None
    cache_write_5m_usd_per_mtok: Decimal | None = None
    """Cache writes of the default time to live, whatever that is with this provider."""
    cache_write_1h_usd_per_mtok: Decimal | None = None
    output_usd_per_mtok: Decimal | None = None
    reasoning_usd_per_mtok: Decimal | None = None
    audio_input_usd_per_mtok: Decimal | None = None
    audio_input_usd_per_s: Decimal | None = None
    """For replies that count the input in seconds and not in tokens."""
    audio_output_usd_per_mtok: Decimal | None = None
    image_input_usd_per_mtok: Decimal | None = None
    image_output_usd_per_mtok: Decimal | None = None
    web_search_usd_per_call: Decimal | None = None
    usd_per_call: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RateCard:
    """Rates of the standard tier and of the others by lower-case name; a tier's rates stand by themselves."""

    standard: Rates
    service_tiers: Mapping[str, Rates] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """One dated entry. `long_context` holds (input tokens, card) pairs, highest first: the card of the first
    threshold that the request's input is above. Multipliers apply to tokens, not to searches and calls."""

    starts_on: date = date.min
    card: RateCard = field(default_factory=lambda: RateCard(standard=Rates()))
    long_context: tuple[tuple[int, RateCard], ...] = ()
    speed_multipliers: Mapping[str, Decimal] = field(default_factory=dict)
    region_multipliers: Mapping[str, Decimal] = field(default_factory=dict)
    is_free: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRule:
    """One entry of the operator's file. `provider` matches a provider's name or its label. Prices newest first."""

    provider: str
    model: str
    prices: tuple[Price, ...]


class PriceBook:
    """The operator's rules over a base table, and what was looked up in them so far.

    A model is sought under its own name, then without the date of a snapshot (`-2025-04-14`, `-20250929`,
    `@20250929`) or a path before it (`models/…`, `ft:…` after its base). All forms are tried in the operator's rules
    before any is tried in the base table, exact names before patterns. Last, `vendor/model` is sought as that
    vendor's own model. Reads are safe from any thread; the memo is bounded.
    """

    _MEMO_LIMIT = 4096

    def __init__(
        self, *, rules: Sequence[PriceRule] = (), table: Mapping[str, Mapping[str, Price]], version: str
    ) -> None:
        self.version = version
        self.rules = tuple(rules)
        self._table = table
        self._memo: dict[tuple[str, str, str], tuple[Price, ...]] = {}

    def price(self, usage: Usage, *, provider_label: str, provider_name: str, model: str, on: date) -> Cost:
        """Price one reply. `model` is the one that answered; `on` the UTC day of the request. Never raises."""
        if (reported := reported_cost(usage)) is not None:
            return reported
        price = self.find(provider_label, provider_name, model, on)
        if price is None:
            if not is_counted(usage):  # a name alone has no cost: the provider may never have heard of it
                return NOTHING_COUNTED
            return Cost(status=CostStatus.UNPRICED, reason="no price for the model")
        return cost_of(usage, price, self.version)

    def find(self, provider_label: str, provider_name: str, model: str, on: date) -> Price | None:
        """The price that was valid on that day, or None."""
        key = (provider_label, provider_name, model)
        found = self._memo.get(key)
        if found is None:
            if len(self._memo) >= self._MEMO_LIMIT:
                self._memo.clear()  # names come from outside: an unbounded memo would be a leak
            found = self._memo[key] = tuple(self._candidates(*key))
        return next((price for price in found if price.starts_on <= on), None)

    def _candidates(self, label: str, name: str, model: str) -> Iterator[Price]:
        """Every price that could apply, in order of precedence."""
        forms = model_forms(model)
        matching = [
            ((is_glob(rule.model), depth, precedence(rule.model), is_glob(rule.provider)), rule)
            for rule in self.rules
            for depth, form in enumerate(forms)
            if matches(rule.model, form) and (matches(rule.provider, name) or matches(rule.provider, label))
        ]
        for _, rule in sorted(matching, key=lambda match: match[0]):
            yield from rule.prices
        for vendor, form in [*((label, form) for form in forms), *(_vendor_model(form) for form in forms)]:
            if (price := self._table.get(vendor, {}).get(form.lower())) is not None:
                yield price


_DATE_SUFFIX = re.compile(r"[-@](?:20\d{2}-\d{2}-\d{2}|20\d{6})$")


def model_forms(model: str) -> tuple[str, ...]:
    """The names under which a model's price may stand, the most telling first."""
    whole = model.removeprefix("models/")
    if whole.startswith("ft:"):
        whole = ":".join(whole.split(":")[:2])
    return tuple(dict.fromkeys((model, whole, _DATE_SUFFIX.sub("", whole))))


_VENDORS = {"x-ai": "xai", "mistralai": "mistral", "gemini": "google"}
"""Vendor prefixes that are not the label under which we know the vendor."""


def _vendor_model(model: str) -> tuple[str, str]:
    vendor, slash, rest = model.partition("/")
    return (_VENDORS.get(vendor, vendor), rest) if slash else ("", "")


def reported_cost(usage: Usage) -> Cost | None:
    """The cost that the provider itself stated, which beats any table; None without one, or when it is no amount."""
    stated = usage.provider_cost_usd
    if stated is None or not stated.is_finite() or stated < 0:
        return None
    part = CostPart(name="provider", quantity=_ONE, unit_price_usd=stated, amount_usd=stated)
    return Cost(status=CostStatus.PRICED, total_usd=stated, parts=(part,), source="provider")


def cost_of(usage: Usage, price: Price, pricing_version: str) -> Cost:
    """Charge one reply by one price. Never raises for counts from the wire."""
    if price.is_free:
        return Cost(status=CostStatus.PRICED, total_usd=ZERO, source="table", pricing_version=pricing_version)
    if reason := _impossible(usage):
        return Cost(status=CostStatus.UNKNOWN, reason=reason)
    bill = _Bill()
    rates = bill.choose(usage, price)
    _charge_input(bill, usage, rates)
    _charge_output(bill, usage, rates)
    _charge_calls(bill, usage, rates)
    reason = ", ".join(bill.gaps)
    if not bill.parts:
        if not is_counted(usage):
            return NOTHING_COUNTED
        if bill.gaps:
            return Cost(status=CostStatus.UNPRICED, reason=reason)
    return Cost(
        status=CostStatus.PARTIAL if bill.gaps else CostStatus.PRICED,
        total_usd=sum((part.amount_usd for part in bill.parts), ZERO),
        parts=tuple(bill.parts),
        source="table",
        pricing_version=pricing_version,
        reason=reason,
    )


class _Bill:
    """A sum in the making, and the gaps that keep it from being the whole truth."""

    __slots__ = ("gaps", "multiplier", "parts")

    def __init__(self) -> None:
        self.parts: list[CostPart] = []
        self.gaps: list[str] = []
        self.multiplier = _ONE

    def choose(self, usage: Usage, price: Price) -> Rates:
        """The rates for this reply's length, tier, speed and region."""
        card = price.card
        for above_tokens, long_card in price.long_context:
            if usage.input_tokens is not None and usage.input_tokens > above_tokens:
                card = long_card
                break
        self._multiply(usage.speed, price.speed_multipliers, _STANDARD_SPEEDS, "speed")
        self._multiply(usage.inference_geo, price.region_multipliers, _STANDARD_REGIONS, "region")
        tier = (usage.service_tier or "").lower()
        tier = _TIER_NAMES.get(tier, tier)
        rates = card.service_tiers.get(tier)
        if rates is None and tier not in _STANDARD_TIERS:
            self.gaps.append("no rates for the service tier")
        return rates or card.standard

    def _multiply(
        self, name: str | None, multipliers: Mapping[str, Decimal], standard: frozenset[str], what: str
    ) -> None:
        name = (name or "").lower()
        multiplier = multipliers.get(name)
        if multiplier is not None:
            self.multiplier *= multiplier
        elif name not in standard:
            self.gaps.append(f"no multiplier for the {what}")

    def tokens(self, name: str, count: int, rate: Decimal | None, *, instead: Decimal | None = None) -> None:
        """Charge tokens; without a rate, at the one `instead`, which leaves a gap."""
        if count == 0:
            return
        if rate is None:
            self.gaps.append(f"no rate for {name}")
            rate = instead
        if rate is not None:
            self.charge(name, count, rate * self.multiplier * _PER_MILLION)

    def charge(self, name: str, count: int | Decimal, unit_price_usd: Decimal) -> None:
        """Add one line, unless there is nothing to charge for."""
        quantity = Decimal(count)
        if not quantity:
            return
        self.parts.append(
            CostPart(name=name, quantity=quantity, unit_price_usd=unit_price_usd, amount_usd=quantity * unit_price_usd)
        )


def _charge_input(bill: _Bill, usage: Usage, rates: Rates) -> None:
    base = rates.input_usd_per_mtok
    if usage.input_tokens is None:
        if usage.audio_seconds is not None and rates.audio_input_usd_per_s is not None:
            bill.charge("audio_input", usage.audio_seconds, rates.audio_input_usd_per_s)
        elif base:
            bill.gaps.append("input tokens unknown")
        return
    writes_5m, writes_1h = _cache_writes(usage)
    audio, image = usage.audio_input_tokens or 0, usage.image_input_tokens or 0
    cached = usage.cached_input_tokens or 0
    plain = usage.input_tokens - writes_5m - writes_1h - audio - image - cached
    if plain < 0:
        # Some of the audio or image tokens came from the cache, and nobody says how many: charge them in full.
        cached, plain = cached + plain, 0
        bill.gaps.append("cached audio or image tokens")
    write_5m = rates.cache_write_5m_usd_per_mtok
    bill.tokens("input", plain, base)
    bill.tokens("cached_input", cached, _first(rates.cached_input_usd_per_mtok, base))
    bill.tokens("cache_write_5m", writes_5m, write_5m, instead=base)
    bill.tokens("cache_write_1h", writes_1h, rates.cache_write_1h_usd_per_mtok, instead=_first(write_5m, base))
    bill.tokens("audio_input", audio, rates.audio_input_usd_per_mtok, instead=base)
    bill.tokens("image_input", image, _first(rates.image_input_usd_per_mtok, base))


def _first(rate: Decimal | None, otherwise: Decimal | None) -> Decimal | None:
    return otherwise if rate is None else rate


def _charge_output(bill: _Bill, usage: Usage, rates: Rates) -> None:
    base = rates.output_usd_per_mtok
    if usage.output_tokens is None:
        if base:
            bill.gaps.append("output tokens unknown")
        return
    reasoning = usage.reasoning_tokens or 0
    audio, image = usage.audio_output_tokens or 0, usage.image_output_tokens or 0
    bill.tokens("output", usage.output_tokens - reasoning - audio - image, base)
    bill.tokens("reasoning", reasoning, _first(rates.reasoning_usd_per_mtok, base))
    bill.tokens("audio_output", audio, rates.audio_output_usd_per_mtok, instead=base)
    bill.tokens("image_output", image, rates.image_output_usd_per_mtok, instead=base)


def _charge_calls(bill: _Bill, usage: Usage, rates: Rates) -> None:
    if usage.web_search_calls:
        if rates.web_search_usd_per_call is None:
            bill.gaps.append("no rate for web_search")
        else:
            bill.charge("web_search", usage.web_search_calls, rates.web_search_usd_per_call)
    if rates.usd_per_call is not None:
        bill.charge("call", 1, rates.usd_per_call)


def _cache_writes(usage: Usage) -> tuple[int, int]:
    """Writes by time to live; what the provider did not split has the default one."""
    writes_1h = usage.cache_creation_1h_tokens or 0
    writes_5m = usage.cache_creation_5m_tokens or 0
    total = usage.cache_creation_input_tokens
    return (writes_5m if total is None else total - writes_1h), writes_1h


_counts = attrgetter(*(entry.name for entry in fields(Usage) if entry.name.endswith(("_tokens", "_calls"))))


def is_counted(usage: Usage) -> bool:
    """True where the reply told a quantity that money could be asked for, be it zero."""
    return usage.audio_seconds is not None or any(count is not None for count in _counts(usage))


def _is_length(seconds: Decimal | None) -> bool:
    return seconds is None or (seconds.is_finite() and seconds >= 0)


def _impossible(usage: Usage) -> str:
    """Say which counts contradict each other, with the numbers; "" when they can all be true."""
    writes_5m, writes_1h = _cache_writes(usage)
    writes = writes_5m + writes_1h
    cached, reasoning = usage.cached_input_tokens or 0, usage.reasoning_tokens or 0
    media_in = (usage.audio_input_tokens or 0) + (usage.image_input_tokens or 0)
    media_out = (usage.audio_output_tokens or 0) + (usage.image_output_tokens or 0)
    if writes_5m < 0 or min(filter(None, _counts(usage)), default=0) < 0 or not _is_length(usage.audio_seconds):
        return "a negative count"
    if (usage.cache_creation_5m_tokens or 0) > writes_5m:
        return f"cache writes {usage.cache_creation_5m_tokens} + {writes_1h} > {writes} in all"
    if usage.input_tokens is not None and max(cached, media_in) + writes > usage.input_tokens:
        return f"cached {cached}, cache writes {writes}, audio and image {media_in} > input {usage.input_tokens}"
    if usage.output_tokens is not None and reasoning + media_out > usage.output_tokens:
        return f"reasoning {reasoning}, audio and image {media_out} > output {usage.output_tokens}"
    return ""
