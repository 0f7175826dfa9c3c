"""Records of people whose values are known, as a judge asks for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from proxy.adapters.experiments.moments import Moments
from proxy.adapters.experiments.source import Exposed, Measured
from proxy.domain.experiments import Metric

Values = Mapping[str, Sequence[Sequence[float]]]
"""By variant, for each person their single values."""


def moments_of(people: Sequence[Sequence[float]]) -> Moments:
    having = [person for person in people if len(person)]
    total, many = np.array([sum(it) for it in having], float), np.array([len(it) for it in having], float)
    return Moments(
        people=len(having),
        numerator=float(total.sum()),
        denominator=float(many.sum()),
        numerator_squared=float((total**2).sum()),
        denominator_squared=float((many**2).sum()),
        product=float((total * many).sum()),
    )


@dataclass
class KnownPeople:
    """`values` by the metric's label."""

    values: Mapping[str, Values]
    switched: int = 0
    people: Mapping[str, int] = field(default_factory=dict)

    def exposed(self) -> Exposed:
        most = self.people or {
            variant: max((len(values.get(variant, ())) for values in self.values.values()), default=0)
            for values in self.values.values()
            for variant in values
        }
        return Exposed(people=most, switched=self.switched, first_unix_us=1_000_000 if any(most.values()) else None)

    def measured(self, metric: Metric, above: Mapping[str, float] | None = None) -> Measured:
        values = self.values.get(metric.label, {})
        if above is not None:
            values = {
                variant: [[float(value > above[variant]) for value in person] for person in people]
                for variant, people in values.items()
            }
        singles = {value for people in values.values() for person in people for value in person}
        return Measured(
            moments={variant: moments_of(people) for variant, people in values.items() if any(map(len, people))},
            is_share=bool(singles) and singles <= {0, 1},
        )

    def quantiles(self, metric: Metric, levels: Mapping[str, Sequence[float]]) -> Mapping[str, Sequence[float]]:
        found = {}
        for variant, wanted in levels.items():
            singles = [value for person in self.values.get(metric.label, {}).get(variant, ()) for value in person]
            if singles:
                found[variant] = [float(value) for value in np.quantile(singles, wanted)]
        return found
