"""Which price holds for a call: the operator's rules, by provider, model and day, over the built-in table."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from proxy.domain.globs import covers, is_glob, matches, precedence
from proxy.domain.pricing import (
    NOTHING_COUNTED,
    Cost,
    CostStatus,
    charged,
    is_counted,
    reported_cost,
)
from proxy.domain.rates import Price
from proxy.domain.tariffs import Tariff, tariff_of
from proxy.domain.usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRule:
    """One entry of the operator's file. `provider` matches a provider's name or its label. Prices newest first."""

    provider: str
    model: str
    prices: tuple[Price, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A price, and how it was found: by a rule, or under a vendor's label in the table (None: in the rules).

    `form` is the model's name as it was sought; see `model_forms`.
    """

    price: Price
    form: str
    rule: PriceRule | None = None
    vendor: str | None = None


class PriceBook:
    """The operator's rules over a base table, and what was looked up in them so far.

    A model is sought under its own name, then without the date of a snapshot (`-2025-04-14`, `-20250929`,
    `@20250929`) or a path before it (`models/…`, `ft:…` after its base). Of the operator's rules that match any form
    and had begun on the day, the first in this order holds: an exact model before a pattern; the longer model, `*` not
    counted; an exact provider before a pattern; the order of the file. Then the base table, form by form; last,
    `vendor/model` is sought as that vendor's own model.

    Reads are safe from any thread; the memos are bounded.
    """

    _MEMO_LIMIT = 4096
    _TARIFFS_LIMIT = 512

    def __init__(
        self, *, rules: Sequence[PriceRule] = (), table: Mapping[str, Mapping[str, Price]], version: str
    ) -> None:
        self.version = version
        self.rules = tuple(rules)
        self.table = table
        self._memo: dict[tuple[str, str, str], tuple[Found, ...]] = {}
        self._tariffs: dict[tuple[object, ...], Tariff] = {}

    def price(self, usage: Usage, *, provider_label: str, provider_name: str, model: str, on: date) -> Cost:
        """Price one reply. `model` is the one that answered; `on` the UTC day of the request. Never raises."""
        if usage.provider_cost_usd is not None and (reported := reported_cost(usage)) is not None:
            return reported
        key = (provider_label, provider_name, model, on, usage.service_tier, usage.speed, usage.inference_geo)
        tariff = self._tariffs.get(key)
        if tariff is None:
            found = self.find(provider_label, provider_name, model, on)
            if found is None:
                if not is_counted(usage):  # a name alone has no cost: the provider may never have heard of it
                    return NOTHING_COUNTED
                return Cost(status=CostStatus.UNPRICED, reason="no price for the model")
            if len(self._tariffs) >= self._TARIFFS_LIMIT:
                self._tariffs.clear()
            tariff = self._tariffs[key] = tariff_of(usage, found.price)
        return charged(usage, tariff, self.version)

    def find(self, provider_label: str, provider_name: str, model: str, on: date) -> Found | None:
        """The price that was valid on that day, or None."""
        key = (provider_label, provider_name, model)
        known = self._memo.get(key)
        if known is None:
            if len(self._memo) >= self._MEMO_LIMIT:
                self._memo.clear()  # names come from outside: an unbounded memo would be a leak
            known = self._memo[key] = tuple(self._candidates(*key))
        for found in known:
            if found.price.starts_on <= on:
                return found
        return None

    def _candidates(self, label: str, name: str, model: str) -> Iterator[Found]:
        """Every price that could apply, in order of precedence."""
        forms = model_forms(model)
        matching = [
            (_rank(rule), form, rule)
            for rule in self.rules
            for form in forms
            if matches(rule.model, form) and (matches(rule.provider, name) or matches(rule.provider, label))
        ]
        for _, form, rule in sorted(matching, key=lambda match: match[0]):
            yield from (Found(price=price, form=form, rule=rule) for price in rule.prices)
        for vendor, form in [*((label, form) for form in forms), *(_vendor_model(form) for form in forms)]:
            if (price := self.table.get(vendor, {}).get(form.lower())) is not None:
                yield Found(price=price, form=form, vendor=vendor)


def _rank(rule: PriceRule) -> tuple[tuple[bool, int], bool]:
    """Sort key, first wins; a stable sort keeps the order of the file in ties."""
    return precedence(rule.model), is_glob(rule.provider)


def hides(earlier: PriceRule, rule: PriceRule) -> bool:
    """True when `rule` can never hold, since `earlier` in the file matches all that it does, on all of its days.

    A rule of another rank never hides one: the pattern that says more matches less.
    """
    return (
        _rank(earlier) == _rank(rule)
        and covers(earlier.model, rule.model)
        and covers(earlier.provider, rule.provider)
        and min((price.starts_on for price in earlier.prices), default=date.max)
        <= min((price.starts_on for price in rule.prices), default=date.min)
    )


_SNAPSHOT = re.compile(r"(?:[-@](?:20\d{2}-\d{2}-\d{2}|20\d{6})|:20\d{6}-v\d|-00\d)$")
"""What names one snapshot of a model: a date, as OpenAI's older `:20230824-v2`, or a number, as Google's `-001`."""


def model_forms(model: str) -> tuple[str, ...]:
    """The names under which a model's price may stand, the most telling first."""
    whole = model.removeprefix("models/")
    if whole.startswith("ft:"):
        whole = ":".join(whole.split(":")[:2])
    return tuple(dict.fromkeys((model, whole, _SNAPSHOT.sub("", whole))))


_VENDORS = {"x-ai": "xai", "mistralai": "mistral", "gemini": "google"}
"""Vendor prefixes that are not the label under which we know the vendor."""


def _vendor_model(model: str) -> tuple[str, str]:
    vendor, slash, rest = model.partition("/")
    return (_VENDORS.get(vendor, vendor), rest) if slash else ("", "")
