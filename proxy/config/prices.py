"""pricing.yaml and the base table under it: as written, and as the price book takes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from importlib.resources import files
from typing import Annotated, Any, Literal

import orjson
from pydantic import AfterValidator, Field

from proxy.config.document import Document
from proxy.config.fields import Section
from proxy.config.problems import Path
from proxy.domain.price_book import PriceRule
from proxy.domain.rates import Price, RateCard, Rates

_TOO_DEAR_PER_MTOK = Decimal(1000)
_TOO_CHEAP_PER_MTOK = Decimal("0.0001")
_TOO_DEAR_PER_CALL = Decimal(100)


def _per_mtok(rate: Decimal) -> Decimal:
    if rate > _TOO_DEAR_PER_MTOK:
        raise ValueError(f"more than {_TOO_DEAR_PER_MTOK} USD per million tokens; the unit is USD per million tokens")
    if 0 < rate < _TOO_CHEAP_PER_MTOK:
        raise ValueError("this looks like USD for one token; the unit is USD per million tokens: multiply by 1000000")
    return rate


PerMtok = Annotated[Decimal, Field(ge=0, allow_inf_nan=False), AfterValidator(_per_mtok)]
PerCall = Annotated[Decimal, Field(ge=0, le=_TOO_DEAR_PER_CALL, allow_inf_nan=False)]
Multiplier = Annotated[Decimal, Field(gt=0, le=10, allow_inf_nan=False)]
Day = Annotated[date, Field(strict=False)]


class RatesSection(Section):
    """Rates; what is absent is charged as `proxy.domain.pricing` lays down."""

    input_usd_per_mtok: PerMtok | None = None
    cached_input_usd_per_mtok: PerMtok | None = None
    cache_write_5m_usd_per_mtok: PerMtok | None = None
    cache_write_1h_usd_per_mtok: PerMtok | None = None
    output_usd_per_mtok: PerMtok | None = None
    reasoning_usd_per_mtok: PerMtok | None = None
    audio_input_usd_per_mtok: PerMtok | None = None
    audio_input_usd_per_s: PerCall | None = None
    audio_output_usd_per_mtok: PerMtok | None = None
    image_input_usd_per_mtok: PerMtok | None = None
    image_output_usd_per_mtok: PerMtok | None = None
    web_search_usd_per_call: PerCall | None = None
    usd_per_call: PerCall | None = None


class TierSection(RatesSection):
    """One of `service_tiers:`: rates of its own, or a multiplier on the standard token rates."""

    multiplier: Multiplier | None = None


class LongContextSection(RatesSection):
    """One of `long_context:`; holds for the whole request once its input has more tokens than the threshold."""

    above_input_tokens: Annotated[int, Field(gt=0)]
    service_tiers: dict[str, TierSection] = Field(default_factory=dict)


class PriceSection(RatesSection):
    """One of `prices:`."""

    starts_on: Day | None = Field(default=None, alias="from")
    service_tiers: dict[str, TierSection] = Field(default_factory=dict)
    long_context: tuple[LongContextSection, ...] = ()
    speed_multipliers: dict[str, Multiplier] = Field(default_factory=dict)
    region_multipliers: dict[str, Multiplier] = Field(default_factory=dict)
    source: str | None = None
    checked: Day | None = None


class MatchSection(Section):
    """Which calls a price is for; both take `*`."""

    provider: Annotated[str, Field(min_length=1, max_length=200)] = "*"
    model: Annotated[str, Field(min_length=1, max_length=200)]


class PricedModelSection(Section):
    """One entry of `models:`."""

    match: MatchSection
    prices: tuple[PriceSection, ...] = ()
    free: bool = False


class PricingFile(Section):
    """pricing.yaml."""

    version: Literal[1]
    models: tuple[PricedModelSection, ...] = ()


def compile_rules(document: Document, file: PricingFile) -> tuple[PriceRule, ...]:
    """The operator's rules; problems go to the document."""
    rules = []
    for index, section in enumerate(file.models):
        path: Path = ("models", index)
        if section.free == bool(section.prices):
            document.report(path, "give either `prices` or `free: true`")
        prices = [_price(document, (*path, "prices", at), price) for at, price in enumerate(section.prices)]
        if len({price.starts_on for price in prices}) < len(prices):
            document.report((*path, "prices"), "two prices start on the same day")
        prices.sort(key=lambda price: price.starts_on, reverse=True)
        rules.append(
            PriceRule(
                provider=section.match.provider,
                model=section.match.model,
                prices=(Price(is_free=True),) if section.free else tuple(prices),
            )
        )
    return tuple(rules)


def _price(document: Document, path: Path, section: PriceSection) -> Price:
    card = _card(document, path, section, section.service_tiers)
    if card.standard == Rates():
        document.report(path, "a price needs at least one rate")
    longer = [
        (entry.above_input_tokens, _card(document, (*path, "long_context", at), entry, entry.service_tiers, card))
        for at, entry in enumerate(section.long_context)
    ]
    return Price(
        starts_on=section.starts_on or date.min,
        card=card,
        long_context=tuple(sorted(longer, key=lambda entry: entry[0], reverse=True)),
        speed_multipliers=_lowered(section.speed_multipliers),
        region_multipliers=_lowered(section.region_multipliers),
    )


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


_CALLS = ("web_search_usd_per_call", "usd_per_call")


def _rates(section: RatesSection, base: Rates | None) -> Rates:
    """The rates as written; searches and calls have no tiers and are taken over from the base."""
    written: dict[str, Any] = {name: getattr(section, name) for name in RatesSection.model_fields}
    for name in _CALLS:
        if base is not None and written[name] is None:
            written[name] = getattr(base, name)
    return Rates(**written)


def _scaled(rates: Rates, multiplier: Decimal) -> Rates:
    values = {name: getattr(rates, name) for name in RatesSection.model_fields}
    return Rates(
        **{name: value if value is None or name in _CALLS else value * multiplier for name, value in values.items()}
    )


def _lowered(multipliers: Mapping[str, Decimal]) -> dict[str, Decimal]:
    return {name.lower(): multiplier for name, multiplier in multipliers.items()}


_SHORT = {
    "input": "input_usd_per_mtok",
    "cached": "cached_input_usd_per_mtok",
    "write_5m": "cache_write_5m_usd_per_mtok",
    "write_1h": "cache_write_1h_usd_per_mtok",
    "output": "output_usd_per_mtok",
    "reasoning": "reasoning_usd_per_mtok",
    "audio_in": "audio_input_usd_per_mtok",
    "audio_in_s": "audio_input_usd_per_s",
    "audio_out": "audio_output_usd_per_mtok",
    "image_in": "image_input_usd_per_mtok",
    "image_out": "image_output_usd_per_mtok",
    "search": "web_search_usd_per_call",
    "call": "usd_per_call",
}
"""Keys of the base table, which is generated and not for people: some thousand models have to load in milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseTable:
    """The generated table. `version` names the package that it was made from."""

    version: str
    models: Mapping[str, Mapping[str, Price]]


def load_base_table() -> BaseTable:
    """Read proxy/data/prices.json. Its ranges are checked where it is made and by the tests."""
    raw = orjson.loads((files("proxy") / "data" / "prices.json").read_bytes())
    provenance = raw["provenance"]
    return BaseTable(
        version=f"{provenance['package']}-{provenance['version']}",
        models={
            label: {model: _base_price(row) for model, row in models.items()} for label, models in raw["models"].items()
        },
    )


def _base_price(row: Mapping[str, Any]) -> Price:
    if row.get("free"):
        return Price(is_free=True)
    return Price(
        card=_base_card(row),
        long_context=tuple((int(above), _base_card(longer)) for above, longer in row.get("above", {}).items()),
        speed_multipliers={name: Decimal(value) for name, value in row.get("speeds", {}).items()},
        region_multipliers={name: Decimal(value) for name, value in row.get("regions", {}).items()},
    )


def _base_card(row: Mapping[str, Any]) -> RateCard:
    return RateCard(
        standard=_base_rates(row),
        service_tiers={name: _base_rates(tier) for name, tier in row.get("tiers", {}).items()},
    )


def _base_rates(row: Mapping[str, Any]) -> Rates:
    return Rates(**{_SHORT[name]: Decimal(value) for name, value in row.items() if name in _SHORT})
