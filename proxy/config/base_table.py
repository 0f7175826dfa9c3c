"""The base table under the operator's prices: generated, checked in, read locally."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson

from proxy.domain.rates import Price, RateCard, Rates

FILE = Path(__file__).parents[1] / "data" / "prices.json"
SHORT = {
    "input": "input_usd_per_mtok",
    "cached": "cached_input_usd_per_mtok",
    "write_5m": "cache_write_5m_usd_per_mtok",
    "write_1h": "cache_write_1h_usd_per_mtok",
    "write_12h": "cache_write_12h_usd_per_mtok",
    "output": "output_usd_per_mtok",
    "reasoning": "reasoning_usd_per_mtok",
    "audio_in": "audio_input_usd_per_mtok",
    "audio_in_s": "audio_input_usd_per_s",
    "audio_out": "audio_output_usd_per_mtok",
    "image_in": "image_input_usd_per_mtok",
    "image_out": "image_output_usd_per_mtok",
    "image": "usd_per_image",
    "search": "web_search_usd_per_call",
    "call": "usd_per_call",
}
"""Keys of the base table, which is generated and not for people: some thousand models have to load in milliseconds."""


class VendorPrices(Mapping[str, Price]):
    """One vendor's models, each as its row's text: of more than a thousand, a proxy is asked for a few."""

    __slots__ = ("_rows",)

    def __init__(self, rows: Mapping[str, Mapping[str, Any]]) -> None:
        self._rows = {model: orjson.dumps(row) for model, row in rows.items()}

    def __getitem__(self, model: str) -> Price:
        return price_of(orjson.loads(self._rows[model]))

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseTable:
    """The generated table. `version` names the package that it was made from."""

    version: str
    models: Mapping[str, Mapping[str, Price]]


def load_base_table() -> BaseTable:
    """Read proxy/data/prices.json. Its ranges are checked where it is made and by the tests."""
    raw = orjson.loads(FILE.read_bytes())
    provenance = raw["provenance"]
    return BaseTable(
        version=f"{provenance['package']}-{provenance['version']}",
        models={label: VendorPrices(rows) for label, rows in raw["models"].items()},
    )


def prices_of(rows: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, dict[str, Price]]:
    """Rows by label and model as prices."""
    return {label: {model: price_of(row) for model, row in models.items()} for label, models in rows.items()}


def price_of(row: Mapping[str, Any]) -> Price:
    """A row of the table, or one that `litellm_map` made, as a price."""
    if row.get("free"):
        return Price(is_free=True)
    return Price(
        card=_card(row),
        long_context=tuple((int(above), _card(longer)) for above, longer in row.get("above", {}).items()),
        speed_multipliers={name: Decimal(value) for name, value in row.get("speeds", {}).items()},
        region_multipliers={name: Decimal(value) for name, value in row.get("regions", {}).items()},
    )


def _card(row: Mapping[str, Any]) -> RateCard:
    return RateCard(
        standard=_rates(row),
        service_tiers={name: _rates(tier) for name, tier in row.get("tiers", {}).items()},
    )


def _rates(row: Mapping[str, Any]) -> Rates:
    return Rates(**{SHORT[name]: Decimal(value) for name, value in row.items() if name in SHORT})
