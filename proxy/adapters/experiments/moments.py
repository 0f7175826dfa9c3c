"""A metric in one variant, as six sums over people: enough for its ratio and for the spread of that.

A person is the unit that was dealt a variant, so a person counts once, however many calls, tasks or outcomes came of
them. With N and D of each person the metric is ΣN ÷ ΣD; each person then weighs in by (N - ratio·D) ÷ mean D, whose
variance is the delta method's for a ratio (Deng, Knoblich, Lu: "Applying the Delta Method in Metric Analytics",
KDD 2018). Calls of one person may depend on each other as they like.
"""

from dataclasses import dataclass
from math import inf, sqrt

DOUBT_PEOPLE = 3
"""On each side, see `with_doubt`: with as many, bounds of rare things keep their promise in simulation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Sums over the people that have a denominator above zero; `people` counts them."""

    people: int = 0
    numerator: float = 0.0
    denominator: float = 0.0
    numerator_squared: float = 0.0
    denominator_squared: float = 0.0
    product: float = 0.0
    """Of each person's numerator and denominator."""

    @property
    def ratio(self) -> float | None:
        """The metric; None where nobody has one."""
        return self.numerator / self.denominator if self.denominator > 0 else None

    def standard_error(self) -> float:
        """Of `ratio`; infinite where it cannot be known."""
        if self.people < 2 or self.denominator <= 0:
            return inf
        ratio = self.numerator / self.denominator
        squares = self.numerator_squared - 2 * ratio * self.product + ratio**2 * self.denominator_squared
        return sqrt(max(squares, 0.0) * self.people / (self.people - 1)) / self.denominator

    def with_doubt(self) -> "Moments":
        """With three more people for whom all of it happened, and three for whom nothing did.

        For shares: where nothing has happened yet, or all of it, the spread that was seen is zero and says nothing
        (Agresti, Coull: "Approximate is better than exact", 1998). They are as busy as the average person.
        """
        if not self.people:
            return self
        each = self.denominator / self.people
        return Moments(
            people=self.people + 2 * DOUBT_PEOPLE,
            numerator=self.numerator + DOUBT_PEOPLE * each,
            denominator=self.denominator + 2 * DOUBT_PEOPLE * each,
            numerator_squared=self.numerator_squared + DOUBT_PEOPLE * each**2,
            denominator_squared=self.denominator_squared + 2 * DOUBT_PEOPLE * each**2,
            product=self.product + DOUBT_PEOPLE * each**2,
        )
