"""pricing.yaml: the operator's prices as written, and as the price book takes them."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from proxy.config.document import Document
from proxy.config.fields import Day, ModelPattern, Section
from proxy.config.problems import Path, dotted
from proxy.domain.price_book import PriceRule, hides
from proxy.domain.rates import Origin, Price, RateCard, Rates

_TOO_DEAR_PER_MTOK = Decimal(1000)
_TOO_CHEAP_PER_MTOK = Decimal("0.0001")
_TOO_DEAR_FOR_ONE = Decimal(100)


def _per_mtok(rate: Decimal) -> Decimal:
    if rate > _TOO_DEAR_PER_MTOK:
        raise ValueError(f"more than {_TOO_DEAR_PER_MTOK} USD per million tokens; the unit is USD per million tokens")
    if 0 < rate < _TOO_CHEAP_PER_MTOK:
        raise ValueError("this looks like USD for one token; the unit is USD per million tokens: multiply by 1000000")
    return rate


PerMtok = Annotated[
    Decimal,
    Field(
        ge=0,
        allow_inf_nan=False,
        title="USD per million tokens",
        json_schema_extra={
            "maximum": int(_TOO_DEAR_PER_MTOK),
            "not": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": float(_TOO_CHEAP_PER_MTOK)},
        },
    ),
    AfterValidator(_per_mtok),
]
PerOne = Annotated[Decimal, Field(ge=0, le=_TOO_DEAR_FOR_ONE, allow_inf_nan=False, title="USD")]
Multiplier = Annotated[Decimal, Field(gt=0, le=10, allow_inf_nan=False, title="factor")]


class RatesSection(Section):
    """Rates; what is absent is charged as `proxy.domain.pricing` lays down."""

    input_usd_per_mtok: PerMtok | None = None
    """Input text."""
    cached_input_usd_per_mtok: PerMtok | None = None
    """Input read from a cache; else charged as input."""
    cache_write_5m_usd_per_mtok: PerMtok | None = None
    """Input written to a cache for the provider's default time to live: 5 minutes, with OpenAI 30."""
    cache_write_1h_usd_per_mtok: PerMtok | None = None
    """Input written to a cache for an hour."""
    cache_write_12h_usd_per_mtok: PerMtok | None = None
    """Input written to a cache for twelve hours."""
    output_usd_per_mtok: PerMtok | None = None
    """Output text."""
    reasoning_usd_per_mtok: PerMtok | None = None
    """Reasoning; else charged as output."""
    audio_input_usd_per_mtok: PerMtok | None = None
    """Input audio, counted in tokens."""
    audio_input_usd_per_s: PerOne | None = None
    """Input audio, where the reply counts its seconds and no tokens."""
    audio_output_usd_per_mtok: PerMtok | None = None
    """Output audio, counted in tokens."""
    image_input_usd_per_mtok: PerMtok | None = None
    """Input images; else charged as input."""
    image_output_usd_per_mtok: PerMtok | None = None
    """Output images, counted in tokens."""
    usd_per_image: PerOne | None = None
    """Each image that was made; a reply does not say of which size and quality, so give the dearest that you use."""
    web_search_usd_per_call: PerOne | None = None
    """Each web search that the provider ran."""
    usd_per_call: PerOne | None = None
    """Each call."""


class TierSection(RatesSection):
    """Rates of a service tier, or a multiplier on the standard rates of tokens."""

    multiplier: Multiplier | None = None
    """On the standard rates of tokens, in place of rates."""


class LongContextSection(RatesSection):
    """Rates of requests whose input has more tokens than the threshold; they hold for the whole request."""

    above_input_tokens: Annotated[int, Field(gt=0)]
    """The threshold; input of exactly so many tokens is not above it."""
    service_tiers: dict[str, TierSection] = Field(default_factory=dict)
    """By the tier that was served, for such a request."""


class PriceSection(RatesSection):
    """A dated price. It holds from its first day until that of the next, and a later one never re-prices a call."""

    starts_on: Day | None = Field(default=None, alias="from")
    """The first day, UTC, on which it holds; without it, ever since."""
    service_tiers: dict[str, TierSection] = Field(default_factory=dict)
    """By the tier that was served, such as flex, priority or batch."""
    long_context: tuple[LongContextSection, ...] = ()
    """Rates of requests with long inputs."""
    speed_multipliers: dict[str, Multiplier] = Field(default_factory=dict)
    """On the rates of tokens, by the speed that was served, such as fast."""
    region_multipliers: dict[str, Multiplier] = Field(default_factory=dict)
    """On the rates of tokens, by the region that was served, such as us."""
    source: str | None = None
    """Where the price was read."""
    checked: Day | None = None
    """The day on which it was read."""


class MatchSection(Section):
    """Which calls a price is for; both take `*`."""

    provider: ModelPattern = "*"
    """A provider's name in routing.yaml, or the vendor as events show it."""
    model: ModelPattern
    """The model that answers; a name without a date is also for its dated snapshots."""


class PricedModelSection(Section):
    """What the calls cost that it matches. Needs `prices` or `free`."""

    match: MatchSection
    """Which calls it is for."""
    prices: tuple[PriceSection, ...] = ()
    """By date."""
    free: bool = False
    """Costs nothing, in place of prices."""


class PricingFile(Section):
    """Your prices, over the built-in table."""

    version: Literal[1]
    """Of the file's format."""
    models: tuple[PricedModelSection, ...] = ()
    """Prices by provider and model. An exact name wins, then the pattern that says most."""


def compile_rules(document: Document, file: PricingFile) -> tuple[PriceRule, ...]:
    """The operator's rules; problems go to the document."""
    rules: list[PriceRule] = []
    for index, section in enumerate(file.models):
        path: Path = ("models", index)
        if section.free == bool(section.prices):
            document.report(path, "give either `prices` or `free: true`")
        prices = [_price(document, (*path, "prices", at), price) for at, price in enumerate(section.prices)]
        if len({price.starts_on for price in prices}) < len(prices):
            document.report((*path, "prices"), "two prices start on the same day")
        if section.free:
            prices = [Price(is_free=True, origin=_origin(document, path))]
        prices.sort(key=lambda price: price.starts_on, reverse=True)
        rule = PriceRule(provider=section.match.provider, model=section.match.model, prices=tuple(prices))
        _report_hidden(document, path, rule, rules)
        rules.append(rule)
    return tuple(rules)


def _report_hidden(document: Document, path: Path, rule: PriceRule, earlier: Sequence[PriceRule]) -> None:
    """An entry without effect is a mistake of whoever wrote it."""
    for index, other in enumerate(earlier):
        line = document.places.get(("models", index), (0, 0))[0]
        if (other.provider, other.model) == (rule.provider, rule.model):
            document.report(
                path, f"the entry on line {line} is for the same calls; put the prices of both into one list, by `from`"
            )
            return
        if hides(other, rule):
            document.report(
                path,
                f"this never holds: the entry on line {line} matches all that it does and comes first; "
                "put the more special one first, or remove one",
            )
            return


def _price(document: Document, path: Path, section: PriceSection) -> Price:
    card = _card(document, path, section, section.service_tiers)
    if card.standard == Rates():
        document.report(path, "a price needs at least one rate")
    longer = [
        (entry.above_input_tokens, _card(document, (*path, "long_context", at), entry, entry.service_tiers, card))
        for at, entry in enumerate(section.long_context)
    ]
    if len({above for above, _ in longer}) < len(longer):
        document.report((*path, "long_context"), "two entries are for the same threshold")
    return Price(
        starts_on=section.starts_on or date.min,
        card=card,
        long_context=tuple(sorted(longer, key=lambda entry: entry[0], reverse=True)),
        speed_multipliers=_lowered(section.speed_multipliers),
        region_multipliers=_lowered(section.region_multipliers),
        origin=_origin(document, path, section.source, section.checked),
    )


def _origin(document: Document, path: Path, source: str | None = None, checked: date | None = None) -> Origin:
    line, column = document.places.get(path, (0, 0))
    return Origin(file=document.file, line=line, column=column, path=dotted(path), source=source, checked=checked)


def _card(
    document: Document,
    path: Path,
    section: RatesSection,
    tiers: Mapping[str, TierSection],
    base: RateCard | None = None,
) -> RateCard:
    standard = _rates(section, base.standard if base else None)
    compiled = {}
    for name, tier in tiers.items():
        here = (*path, "service_tiers", name)
        rates = _rates(tier, standard)
        if tier.multiplier is not None:
            if tier.model_fields_set != {"multiplier"}:
                document.report(here, "give either a `multiplier` or rates")
            rates = _scaled(standard, tier.multiplier)
        compiled[name.lower()] = rates
    return RateCard(standard=standard, service_tiers=compiled)


_EACH = ("usd_per_image", "web_search_usd_per_call", "usd_per_call")


def _rates(section: RatesSection, base: Rates | None) -> Rates:
    """The rates as written; images, searches and calls have no tiers and are taken over from the base."""
    written: dict[str, Any] = {name: getattr(section, name) for name in RatesSection.model_fields}
    for name in _EACH:
        if base is not None and written[name] is None:
            written[name] = getattr(base, name)
    return Rates(**written)


def _scaled(rates: Rates, multiplier: Decimal) -> Rates:
    values = {name: getattr(rates, name) for name in RatesSection.model_fields}
    return Rates(
        **{name: value if value is None or name in _EACH else value * multiplier for name, value in values.items()}
    )


def _lowered(multipliers: Mapping[str, Decimal]) -> dict[str, Decimal]:
    return {name.lower(): multiplier for name, multiplier in multipliers.items()}
