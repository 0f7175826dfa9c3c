"""In which rates two lists disagree about one model."""

from collections.abc import Iterator
from dataclasses import fields
from decimal import Decimal
from typing import NamedTuple

from proxy.domain.rates import Price, RateCard, Rates

_KEYS = tuple(entry.name for entry in fields(Rates))
_TOKEN_KEYS = tuple(key for key in _KEYS if key.endswith("_per_mtok"))
"""What tiers and thresholds change; the rest is taken over from the standard rates."""
_ROUNDING = Decimal("0.001")
"""Rates by the second are rounded in either list."""


class Difference(NamedTuple):
    """`rate` is a key, after the tier, threshold or speed for which it holds. `ours` None: we do not say."""

    rate: str
    ours: Decimal | None
    theirs: Decimal

    @property
    def ratio(self) -> Decimal | None:
        """Ours by theirs; None where one of them is nothing."""
        return self.ours / self.theirs if self.ours and self.theirs else None


class Comparison(NamedTuple):
    """What two lists say of one model: how many rates both state and agree upon, and the rest of what theirs states."""

    agreed: int
    differences: list[Difference]


def compare(ours: Price, theirs: Price) -> Comparison:
    """Hold the rates that theirs states against ours. Tiers are compared where both list them."""
    agreed, differences = 0, []
    for pair in _pairs(ours, theirs):
        if pair.ours is not None and abs(pair.ours - pair.theirs) <= pair.theirs * _ROUNDING:
            agreed += 1
        elif pair.ours is not None or pair.theirs:
            differences.append(pair)
    return Comparison(agreed, differences)


def _pairs(ours: Price, theirs: Price) -> Iterator[Difference]:
    yield from _rates("", ours.card.standard, theirs.card.standard, _KEYS, is_free=ours.is_free)
    yield from _tiers("", ours.card, theirs.card)
    for above in sorted({tokens for tokens, _ in (*ours.long_context, *theirs.long_context)}):
        ours_longer, theirs_longer = _card_at(ours, above), _card_at(theirs, above)
        where = f"above {above:,} "
        yield from _rates(where, ours_longer.standard, theirs_longer.standard, _TOKEN_KEYS, is_free=ours.is_free)
        yield from _tiers(where, ours_longer, theirs_longer)
    for speed in sorted(ours.speed_multipliers.keys() & theirs.speed_multipliers.keys()):
        yield Difference(f"speed {speed}", ours.speed_multipliers[speed], theirs.speed_multipliers[speed])


def _card_at(price: Price, above: int) -> RateCard:
    """The card for input just above so many tokens."""
    return next((card for tokens, card in price.long_context if tokens <= above), price.card)


def _tiers(where: str, ours: RateCard, theirs: RateCard) -> Iterator[Difference]:
    for name in sorted(ours.service_tiers.keys() & theirs.service_tiers.keys()):
        yield from _rates(f"{name} {where}", ours.service_tiers[name], theirs.service_tiers[name], _TOKEN_KEYS)


def _rates(
    where: str, ours: Rates, theirs: Rates, keys: tuple[str, ...], *, is_free: bool = False
) -> Iterator[Difference]:
    """What theirs states; of a tier or a longer input, only what ours states too."""
    for key in keys:
        mine, other = getattr(ours, key), getattr(theirs, key)
        if is_free:
            mine = Decimal(0)
        if other is not None and (mine is not None or not where):
            yield Difference(where + key, mine, other)
