"""What looks wrong in the operator's prices and may yet be right: said by `promptlane check`, never refused."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta
from decimal import Decimal

from proxy.domain.globs import is_glob, matches
from proxy.domain.price_book import PriceRule, model_forms
from proxy.domain.rates import Origin, Price, Rates

_AHEAD = timedelta(days=366)
_OTHER_UNIT = Decimal(300)
"""A rate that is this many times off the built-in one is a slip of the unit rather than a discount."""
_PER_TOKEN = Decimal(30_000)
"""Between a thousand and a million, as ratios go."""

Table = Mapping[str, Mapping[str, Price]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """One thing to look at again. `key` is that of the entry, or empty for the entry as a whole."""

    origin: Origin
    key: str = ""
    message: str

    def __str__(self) -> str:
        path = ".".join(filter(None, (self.origin.path, self.key)))
        return f"{self.origin.file}:{self.origin.line}:{self.origin.column}: {path}: {self.message}"


def doubts(rules: Sequence[PriceRule], table: Table, today: date) -> Iterator[Doubt]:
    """Days that cannot be meant, and rates in what looks like another unit."""
    for rule in rules:
        built_in = _built_in(rule, table)
        for price in rule.prices:
            if price.origin is not None:
                yield from _days(price, price.origin, today)
                yield from _units(price, price.origin, built_in)


def _days(price: Price, origin: Origin, today: date) -> Iterator[Doubt]:
    if price.starts_on > today + _AHEAD:
        yield Doubt(origin=origin, key="from", message=f"{price.starts_on} is more than a year ahead")
    if origin.checked is None:
        return
    if origin.checked > today:
        yield Doubt(origin=origin, key="checked", message=f"{origin.checked} has not come yet")
    elif origin.checked < price.starts_on <= today:
        message = (
            f"the price holds since {price.starts_on} and was checked before that, on {origin.checked}; look again"
        )
        yield Doubt(origin=origin, key="checked", message=message)


def _built_in(rule: PriceRule, table: Table) -> list[tuple[str, Price]]:
    """The built-in prices of the models that the rule is for; a provider that the table does not know may be any."""
    labels = [label for label in table if matches(rule.provider, label)] or list(table)
    if is_glob(rule.model):
        pattern = rule.model.lower()
        return [(name, price) for label in labels for name, price in table[label].items() if matches(pattern, name)]
    names = [form.lower() for form in model_forms(rule.model)]
    return [(name, table[label][name]) for label in labels for name in names if name in table[label]]


def _units(price: Price, origin: Origin, built_in: Sequence[tuple[str, Price]]) -> Iterator[Doubt]:
    """A rate is doubted where it is far off all built-in ones."""
    for key in (entry.name for entry in fields(Rates)):
        rate: Decimal | None = getattr(price.card.standard, key)
        known = [(base, name) for name, entry in built_in if (base := getattr(entry.card.standard, key))]
        if not rate or not known:
            continue
        (lowest, cheapest), (highest, dearest) = min(known), max(known)
        if rate * _OTHER_UNIT <= lowest:
            unit = "per token" if rate * _PER_TOKEN <= lowest else "per thousand tokens"
            question = f": is it {unit}?" if key.endswith("_per_mtok") else ""
            message = f"{rate:f} is about 1/{round(lowest / rate):,} of the built-in {lowest:f} of {cheapest}{question}"
            yield Doubt(origin=origin, key=key, message=message)
        elif rate >= highest * _OTHER_UNIT:
            message = f"{rate:f} is about {round(rate / highest):,} times the built-in {highest:f} of {dearest}"
            yield Doubt(origin=origin, key=key, message=message)
