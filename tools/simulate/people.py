"""A simulated month up to the end of a day, as the records that a judge asks."""

from collections.abc import Mapping, Sequence

import numpy as np

from proxy.adapters.experiments.moments import Moments
from proxy.adapters.experiments.source import Exposed, Measured
from proxy.domain.experiments import Metric
from tools.simulate.month import CONTROL, TREATMENT, Floats, Ints, Month

_COLUMNS = {
    "ticket.resolved": "resolved",
    "escalated_to_human": "escalated",
    "latency_ms": "latency_ms",
    "cost_per_task_usd": "cost_usd",
}


class People:
    """Satisfies `proxy.adapters.experiments.source.Records`."""

    def __init__(self, month: Month, days: int) -> None:
        self._upto = int(np.searchsorted(month.day, days))
        self._month = month

    def exposed(self) -> Exposed:
        """See the port."""
        seen = np.unique(self._month.person[: self._upto])
        treated = np.zeros(self._month.people, bool)
        treated[self._month.person] = self._month.variant
        count = int(treated[seen].sum())
        people = {CONTROL: len(seen) - count, TREATMENT: count}
        return Exposed(people=people, switched=0, first_unix_us=0)

    def measured(self, metric: Metric, above: Mapping[str, float] | None = None) -> Measured:
        """See the port."""
        moments = {}
        for variant in (CONTROL, TREATMENT):
            person, values = self._values(metric, variant)
            if above is not None:
                values = (values > above[variant]).astype(float)
            if len(values):
                moments[variant] = _moments(person, values, self._month.people)
        return Measured(moments=moments, is_share=above is not None or _column(metric) in ("resolved", "escalated"))

    def quantiles(self, metric: Metric, levels: Mapping[str, Sequence[float]]) -> Mapping[str, Sequence[float]]:
        """See the port."""
        found = {variant: self._values(metric, variant)[1] for variant in levels}
        return {
            variant: [float(value) for value in np.quantile(values, levels[variant])]
            for variant, values in found.items()
            if len(values)
        }

    def _values(self, metric: Metric, variant: str) -> tuple[Ints, Floats]:
        here = self._month.variant[: self._upto] == (variant == TREATMENT)
        values: Floats = getattr(self._month, _column(metric))[: self._upto][here]
        return self._month.person[: self._upto][here], values


def _column(metric: Metric) -> str:
    return _COLUMNS[metric.property if metric.event is None else metric.label]


def _moments(person: Ints, values: Floats, people: int) -> Moments:
    total = np.bincount(person, weights=values, minlength=people)
    many = np.bincount(person, minlength=people).astype(float)
    return Moments(
        people=int((many > 0).sum()),
        numerator=float(total.sum()),
        denominator=float(many.sum()),
        numerator_squared=float((total**2).sum()),
        denominator_squared=float((many**2).sum()),
        product=float((total * many).sum()),
    )
