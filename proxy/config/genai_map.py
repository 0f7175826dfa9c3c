"""genai-prices' data as prices, to hold ours against it: the one module that imports the package.

Importing it touches no network; only its `UpdatePrices` would, if somebody started it.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from importlib.metadata import version

from genai_prices.data import providers
from genai_prices.types import ModelInfo, ModelPrice, Provider, TieredPrices

from proxy.domain.rates import Price, RateCard, Rates

_VENDORS = {"azure_openai": "azure", "xai": "x-ai"}
"""Our label → the package's provider, where the two differ."""
_RATES: Mapping[str, tuple[tuple[str, ...], int]] = {
    "input_usd_per_mtok": (("input_mtok",), 1),
    "cached_input_usd_per_mtok": (("cache_read_mtok",), 1),
    "cache_write_5m_usd_per_mtok": (("cache_write_5m_mtok", "cache_write_mtok"), 1),
    "cache_write_1h_usd_per_mtok": (("cache_write_1h_mtok",), 1),
    "output_usd_per_mtok": (("output_mtok",), 1),
    "reasoning_usd_per_mtok": (("output_reasoning_mtok",), 1),
    "audio_input_usd_per_mtok": (("input_audio_mtok",), 1),
    "audio_input_usd_per_s": (("input_audio_hours", "audio_hours"), 3600),
    "audio_output_usd_per_mtok": (("output_audio_mtok",), 1),
    "image_input_usd_per_mtok": (("input_image_mtok",), 1),
    "image_output_usd_per_mtok": (("output_image_mtok",), 1),
    "web_search_usd_per_call": (("web_searches_kcount",), 1000),
    "usd_per_call": (("requests_kcount",), 1000),
}
"""Our key → the package's, the first that is there, and how many of ours are in one of theirs."""
_TIERS = {
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
    "batch": {"processing": "batch"},
}
_FAST = {"speed": "fast"}


class GenaiPrices:
    """The package's prices of one day, at noon UTC: some have prices by the hour, which ours has not."""

    name = f"genai-prices {version('genai-prices')}"

    def __init__(self, on: date) -> None:
        self._at = datetime.combine(on, time(12), UTC)
        self._providers = {provider.id: provider for provider in providers}

    def names(self, label: str) -> list[str]:
        """The models of one vendor."""
        provider = self._provider(label)
        return [model.id for model in provider.models] if provider else []

    def find(self, label: str, model: str) -> Price | None:
        """What the package has for a model of ours."""
        provider = self._provider(label)
        found = provider.find_model(model) if provider else None
        return _price(found, self._at) if found else None

    def _provider(self, label: str) -> Provider | None:
        return self._providers.get(_VENDORS.get(label, label))


def _price(model: ModelInfo, at: datetime) -> Price:
    standard = model.get_prices(at)
    known = [variant.when for variant in model.price_variants or ()]
    tiers = {name: model.get_prices(at, when) for name, when in _TIERS.items() if when in known}
    starts = sorted(_starts([standard, *tiers.values()]), reverse=True)
    fast = _rates(model.get_prices(at, _FAST), 0).input_usd_per_mtok if _FAST in known else None
    base = _rates(standard, 0)
    return Price(
        card=_card(standard, tiers, 0),
        # Where a rate begins at the threshold and not above it, theirs is a token lower.
        long_context=tuple((start + (start % 1000 == 999), _card(standard, tiers, start)) for start in starts),
        speed_multipliers={"fast": fast / base.input_usd_per_mtok} if fast and base.input_usd_per_mtok else {},
    )


def _starts(prices: Iterable[ModelPrice]) -> set[int]:
    tiered = (value for price in prices for value in vars(price).values() if isinstance(value, TieredPrices))
    return {tier.start for value in tiered for tier in value.tiers}


def _card(standard: ModelPrice, tiers: Mapping[str, ModelPrice], start: int) -> RateCard:
    return RateCard(
        standard=_rates(standard, start),
        service_tiers={name: _rates(price, start) for name, price in tiers.items()},
    )


def _rates(price: ModelPrice, start: int) -> Rates:
    found = {}
    for key, (names, count) in _RATES.items():
        value = next((value for name in names if (value := getattr(price, name, None)) is not None), None)
        if value is not None:
            found[key] = _at(value, start) / count
    return Rates(**found)


def _at(value: Decimal | TieredPrices, start: int) -> Decimal:
    """The rate of an input that is longer than `start`."""
    if not isinstance(value, TieredPrices):
        return value
    return next((tier.price for tier in reversed(value.tiers) if tier.start <= start), value.base)
