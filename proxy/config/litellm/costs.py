"""Prices that stand in a deployment, as entries of pricing.yaml: from USD per token to USD per million, exactly."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from pydantic import TypeAdapter

from proxy.config.base_table import SHORT
from proxy.config.fields import fits
from proxy.config.litellm.parts import Part
from proxy.config.litellm.remarks import Ledger
from proxy.config.litellm_map import TIERS, TOKEN_RATES
from proxy.config.prices import PerMtok, PerOne
from proxy.config.yaml_text import Plain

_PER_TOKEN = {field: SHORT[name] for name, field in TOKEN_RATES.items()}
_PER_ONE = {
    "input_cost_per_request": "usd_per_call",
    "input_cost_per_query": "usd_per_call",
    "output_cost_per_image": "usd_per_image",
}
_SEARCHES = "search_context_cost_per_query"
_COST = re.compile(rf"(?P<rate>\w+?)(?:_above_(?P<thousands>\d{{1,6}})k_tokens)?(?P<tier>{'|'.join(TIERS)})?")

Rates = Mapping[str, Plain]
FREE: Rates = {"free": True}


@dataclass(slots=True)
class _Card:
    rates: dict[str, Decimal] = field(default_factory=dict)
    tiers: dict[str, dict[str, Decimal]] = field(default_factory=dict)

    def written(self) -> dict[str, Plain]:
        return {**self.rates, **({"service_tiers": self.tiers} if self.tiers else {})}


def _is_cost(key: str) -> bool:
    """True for what LiteLLM calls its prices, also those that have no counterpart here."""
    return "cost_per_" in key or "_cost" in key


def costs_of(ledger: Ledger, params: Mapping[str, Part], info: Part) -> Rates:
    """The rates of a deployment as pricing.yaml has them, FREE where all are 0; empty where it has none.

    Parameters win over `model_info`.
    """
    given = {key: part for key, part in params.items() if _is_cost(key)}
    for key, part in info.members().items():
        if _is_cost(key) and part.value is not None and given.setdefault(key, part) is not part:
            ledger.moot(part, "`litellm_params` has a price too, which wins")
    cards: dict[int, _Card] = {}
    for key, part in given.items():
        _take(ledger, cards, key, part)
    standard = cards.pop(0, _Card())
    if (cards or standard.tiers) and not standard.rates:
        ledger.lost(next(iter(given.values())), "a price needs rates without a threshold and without a tier, too")
        return {}
    if standard.rates and not cards and not standard.tiers and not any(standard.rates.values()):
        return FREE
    longer: list[Plain] = [{"above_input_tokens": above, **card.written()} for above, card in sorted(cards.items())]
    return {**standard.written(), **({"long_context": longer} if longer else {})}


def _take(ledger: Ledger, cards: dict[int, _Card], key: str, part: Part) -> None:
    match = _COST.fullmatch(key)
    name = _PER_TOKEN.get(match["rate"]) if match else None
    if key == _SEARCHES:
        _take_searches(ledger, cards, part)
    elif key in _PER_ONE:
        if (usd := _per_one(ledger, part)) is not None:
            cards.setdefault(0, _Card()).rates[_PER_ONE[key]] = usd
    elif match is None or name is None:
        ledger.lost(part, "pricing.yaml has no rate of this kind")
    elif (usd := _per_mtok(ledger, part)) is not None:
        card = cards.setdefault(int(match["thousands"] or 0) * 1000, _Card())
        rates = card.tiers.setdefault(TIERS[match["tier"]], {}) if match["tier"] else card.rates
        rates[name] = usd


def _take_searches(ledger: Ledger, cards: dict[int, _Card], part: Part) -> None:
    """The dearest search context, since a reply does not say which it was."""
    found = [usd for size in part.members().values() if (usd := _per_one(ledger, size)) is not None]
    if found:
        cards.setdefault(0, _Card()).rates["web_search_usd_per_call"] = max(found)
        ledger.settle(part)
    else:
        ledger.lost(part, "a cost of searches is a mapping of sizes to USD")


def _per_one(ledger: Ledger, part: Part) -> Decimal | None:
    number = part.number
    if number is None or not fits(TypeAdapter(PerOne), number):
        ledger.lost(part, "a cost of one thing is a number of USD, at most 100")
        return None
    ledger.settle(part)
    return number


def _per_mtok(ledger: Ledger, part: Part) -> Decimal | None:
    number = part.number
    if number is None:
        ledger.lost(part, "a cost is a number of USD")
        return None
    per_mtok = (number * 1_000_000).normalize()
    if not fits(TypeAdapter(PerMtok), per_mtok):
        ledger.lost(part, f"{per_mtok:f} USD per million tokens cannot be right; LiteLLM's unit is USD for one token")
        return None
    ledger.settle(part)
    return per_mtok
