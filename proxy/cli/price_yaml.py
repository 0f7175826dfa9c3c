"""Entries for pricing.yaml, to paste."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import date
from decimal import Decimal
from typing import Any

from proxy.domain.rates import Price, RateCard, Rates
from proxy.domain.tariffs import Gap, Terms
from proxy.domain.usage import Usage

FILL_IN = Decimal("0.00")
_RATE_KEYS = tuple(entry.name for entry in fields(Rates))
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_.-]+")

Entry = dict[str, Any]


def new_entry(provider: str, model: str, on: date) -> str:
    """An entry for a model that has no price."""
    rates = {"input_usd_per_mtok": FILL_IN, "output_usd_per_mtok": FILL_IN}
    return _entry(provider, model, {"from": on, **rates, "source": "", "checked": on})


def closing_entry(
    provider: str, model: str, on: date, price: Price, terms: Terms, usage: Usage, gaps: Sequence[Gap]
) -> str:
    """An entry that says all that a built-in price does, and has a place for what that leaves open."""
    entry: Entry = {"from": on, **_card(price.card)}
    if price.long_context:
        entry["long_context"] = [{"above_input_tokens": above, **_card(card)} for above, card in price.long_context]
    entry |= {
        key: dict(factors)
        for key, factors in (
            ("speed_multipliers", price.speed_multipliers),
            ("region_multipliers", price.region_multipliers),
        )
        if factors
    }
    for path, value in closing_keys(terms, usage, gaps):
        place = entry
        for part in path[:-1]:
            place = _step(place, part)
        place[path[-1]] = value
    return _entry(provider, model, {**entry, "source": "", "checked": on})


def closing_keys(terms: Terms, usage: Usage, gaps: Sequence[Gap]) -> Iterator[tuple[tuple[str, ...], Decimal]]:
    """Where in a price each gap is closed: the path of the key, and a value to be put right."""
    length = (f"long_context above {terms.above_input_tokens}",) if terms.above_input_tokens else ()
    tier = ("service_tiers", terms.service_tier) if terms.service_tier else ()
    served = {
        "service_tiers": (*length, "service_tiers", usage.service_tier or "", "multiplier"),
        "speed_multipliers": ("speed_multipliers", usage.speed or ""),
        "region_multipliers": ("region_multipliers", usage.inference_geo or ""),
    }
    for gap in gaps:
        if gap.key in served:
            yield served[gap.key], Decimal(1)
        elif gap.key.endswith("_per_mtok"):
            yield (*length, *tier, gap.key), FILL_IN
        elif gap.key:  # tiers and thresholds take it over
            yield (gap.key,), FILL_IN


def _step(place: Entry, part: str) -> Entry:
    name, _, above = part.partition(" above ")
    if above:
        found: Entry = next(each for each in place[name] if each["above_input_tokens"] == int(above))
        return found
    below: Entry = place.setdefault(name, {})
    return below


def _card(card: RateCard) -> Entry:
    tiers = {name: _rates(rates) for name, rates in card.service_tiers.items()}
    return {**_rates(card.standard), **({"service_tiers": tiers} if tiers else {})}


def _rates(rates: Rates) -> Entry:
    return {key: rate for key in _RATE_KEYS if (rate := getattr(rates, key)) is not None}


def _entry(provider: str, model: str, price: Entry) -> str:
    lines = [f"- match: {{provider: {json.dumps(provider)}, model: {json.dumps(model)}}}", "  prices:"]
    start = "    - "
    for key, value in price.items():
        if isinstance(value, dict):
            lines.append(f"{start}{key}:")
            lines += [f"        {_key(name)}: {_flow(below)}" for name, below in value.items()]
        elif isinstance(value, list):
            lines.append(f"{start}{key}:")
            lines += [f"        - {_flow(below)}" for below in value]
        else:
            lines.append(f"{start}{key}: {_flow(value)}")
        start = "      "
    return "\n".join(lines)


def _flow(value: object) -> str:
    match value:
        case Mapping():
            return "{" + ", ".join(f"{_key(str(key))}: {_flow(below)}" for key, below in value.items()) + "}"
        case Decimal():
            return f"{value:f}"
        case str():
            return json.dumps(value)
    return str(value)


def _key(name: str) -> str:
    return name if _PLAIN_KEY.fullmatch(name) else json.dumps(name)
