"""From sums to findings: bounds for each variant, differences from control, and guardrails.

The promises are for the whole experiment. The primary metric's 5 % are shared by all variants that are compared with
control; so are the guardrails' 5 %, by all guardrails too. So no more than one harmless experiment in twenty is ever
stopped, and no more than one without effect is ever told to have one.

A quantile is judged by the share of calls above a value, which is a share like any other: `p95 <= 4000` says that at
most 5 % are above 4000. Its bounds are the values at the bounds of that share (Woodruff: "Confidence intervals for
medians and other position measures", 1952), here taken from a sequence that holds at all times.
"""

from collections.abc import Mapping, Sequence
from math import inf, isfinite, sqrt

from proxy.adapters.experiments.moments import Moments
from proxy.adapters.experiments.sequential import (
    LEAST_PEOPLE,
    chance_above_zero,
    margin,
    one_sided_margin,
    p_value,
    shares_p_value,
)
from proxy.adapters.experiments.source import Exposed, Measured, Question, Records
from proxy.domain.experiments import Experiment, Guardrail, Metric, measured_by
from proxy.domain.judgement import Arm, Comparison, Finding, Judgement, Shares, Standing, Watch

ALPHA = 0.05
"""The chance, over the whole experiment, to see a difference where none is; and that to stop a harmless variant."""


def judge(
    experiment: Experiment,
    question: Question,
    expected: Mapping[str, float] | None,
    records: Records,
) -> Judgement:
    """All findings. `expected` are the shares by configuration, as fractions of 1, where they are known."""
    exposed = records.exposed()
    bench = _Bench(records, question.variants, exposed)
    treatments = max(1, len(question.variants) - 1)
    guardrail_alpha = ALPHA / (treatments * max(1, len(experiment.guardrails)))
    return Judgement(
        name=question.prompt,
        flag=question.flag,
        control=question.variants[0],
        goal=experiment.primary.goal,
        since_unix_us=question.since_unix_us or exposed.first_unix_us,
        until_unix_us=question.until_unix_us,
        shares=_shares(exposed, question.variants, expected),
        switched=exposed.switched,
        primary=bench.finding(measured_by(experiment.primary), ALPHA / treatments),
        watches=[bench.watch(guardrail, guardrail_alpha) for guardrail in experiment.guardrails],
    )


class _Bench:
    """Holds what all metrics of one experiment share."""

    def __init__(self, records: Records, variants: Sequence[str], exposed: Exposed) -> None:
        self._records = records
        self._variants = variants
        self._control, self._treatments = variants[0], variants[1:]
        self._exposed = exposed

    def finding(self, metric: Metric, alpha: float) -> Finding:
        """Values and differences, with bounds of this level."""
        return self._of_quantile(metric, alpha) if metric.quantile is not None else self._of_ratio(metric, alpha)

    def watch(self, guardrail: Guardrail, alpha: float) -> Watch:
        """A guardrail is broken when its one-sided bound says so, and kept when the two-sided interval says so."""
        metric = measured_by(guardrail)
        finding = self.finding(metric, alpha)
        if guardrail.max is not None:
            found = self._against_limit(guardrail.max, metric, alpha)
        else:
            found = self._against_control(guardrail.max_increase or 0.0, metric, finding, alpha)
        is_everywhere = found.get(self._control) is Standing.BROKEN
        standings = {
            variant: Standing.BROKEN_EVERYWHERE
            if is_everywhere and found[variant] is Standing.BROKEN
            else found[variant]
            for variant in self._treatments
        }
        return Watch(guardrail=guardrail, finding=finding, standings=standings)

    def _against_limit(self, limit: float, metric: Metric, alpha: float) -> dict[str, Standing]:
        """A quantile is within its limit when the share of calls beyond that is small enough."""
        if metric.quantile is None:
            measured = self._records.measured(metric)
        else:
            measured = self._records.measured(metric, dict.fromkeys(self._variants, limit))
            limit = 1 - metric.quantile
        return {variant: _stands_to(measured, variant, limit, alpha) for variant in self._variants}

    def _against_control(self, limit: float, metric: Metric, finding: Finding, alpha: float) -> dict[str, Standing]:
        measured = self._records.measured(metric) if metric.quantile is None else None
        found = {}
        for variant in self._treatments:
            comparison = finding.comparison(variant)
            low, high = comparison.low, comparison.high
            if measured is not None:
                difference, error, people = _difference(measured, self._control, variant)
                low = difference - one_sided_margin(error, people, alpha)
            found[variant] = _standing(low, high, limit)
        return found

    def _of_ratio(self, metric: Metric, alpha: float) -> Finding:
        measured = self._records.measured(metric)
        return Finding(
            metric=metric,
            is_share=measured.is_share,
            arms=[self._arm(measured, variant, alpha) for variant in self._variants],
            comparisons=[_comparison(measured, self._control, variant, alpha) for variant in self._treatments],
        )

    def _arm(self, measured: Measured, variant: str, alpha: float) -> Arm:
        moments = measured.moments.get(variant, Moments())
        half = margin(_error(moments, is_share=measured.is_share), moments.people, alpha)
        value = moments.ratio
        is_known = value is not None and isfinite(half) and moments.people >= LEAST_PEOPLE
        low, high = (value - half, value + half) if value is not None and is_known else (None, None)
        if measured.is_share and low is not None and high is not None:
            low, high = max(0.0, low), min(1.0, high)
        return Arm(
            variant=variant,
            people=self._exposed.people.get(variant, 0),
            measured=moments.people,
            value=value,
            low=low,
            high=high,
        )

    def _of_quantile(self, metric: Metric, alpha: float) -> Finding:
        """Each of two variants that are compared takes half of alpha: together their bounds hold."""
        assert metric.quantile is not None
        level = metric.quantile
        values = {
            variant: found[0]
            for variant, found in self._records.quantiles(metric, dict.fromkeys(self._variants, (level,))).items()
        }
        measured = self._records.measured(metric, values)
        bounds = self._records.quantiles(
            metric,
            {variant: _levels(measured, variant, level, alpha / 2) for variant in values},
        )
        arms = []
        for variant in self._variants:
            moments = measured.moments.get(variant, Moments())
            low, high = _within(moments, level, alpha / 2, bounds.get(variant, ()))
            people = self._exposed.people.get(variant, 0)
            value = values.get(variant)
            arms.append(Arm(variant=variant, people=people, measured=moments.people, value=value, low=low, high=high))
        return Finding(
            metric=metric,
            is_share=False,
            arms=arms,
            comparisons=[_apart(arms[0], arm) for arm in arms[1:]],
        )


def _error(moments: Moments, *, is_share: bool) -> float:
    return (moments.with_doubt() if is_share else moments).standard_error()


def _difference(measured: Measured, control: str, variant: str) -> tuple[float, float, int]:
    """Difference, its standard error (infinite where there are too few people), and people of both."""
    one, other = (measured.moments.get(name, Moments()) for name in (variant, control))
    people = one.people + other.people
    if one.ratio is None or other.ratio is None:
        return 0.0, inf, people
    difference = one.ratio - other.ratio
    if min(one.people, other.people) < LEAST_PEOPLE:
        return difference, inf, people
    errors = [_error(moments, is_share=measured.is_share) for moments in (one, other)]
    return difference, sqrt(errors[0] ** 2 + errors[1] ** 2), people


def _comparison(measured: Measured, control: str, variant: str, alpha: float) -> Comparison:
    if not {control, variant} <= measured.moments.keys():
        return Comparison(variant=variant, difference=None, low=None, high=None)
    difference, error, people = _difference(measured, control, variant)
    if not isfinite(error):
        return Comparison(variant=variant, difference=difference, low=None, high=None)
    half = margin(error, people, alpha)
    return Comparison(
        variant=variant,
        difference=difference,
        low=difference - half,
        high=difference + half,
        chance_above_control=chance_above_zero(difference, error, people),
        p_value=p_value(difference, error, people),
    )


def _stands_to(measured: Measured, variant: str, limit: float, alpha: float) -> Standing:
    moments = measured.moments.get(variant, Moments())
    if moments.ratio is None or moments.people < LEAST_PEOPLE:
        return Standing.OPEN
    error = _error(moments, is_share=measured.is_share)
    low = moments.ratio - one_sided_margin(error, moments.people, alpha)
    return _standing(low, moments.ratio + margin(error, moments.people, alpha), limit)


def _standing(low: float | None, high: float | None, limit: float) -> Standing:
    if low is not None and low > limit:
        return Standing.BROKEN
    return Standing.KEPT if high is not None and high <= limit else Standing.OPEN


def _levels(measured: Measured, variant: str, level: float, alpha: float) -> list[float]:
    moments = measured.moments.get(variant, Moments())
    half = margin(_error(moments, is_share=True), moments.people, alpha)
    return [max(0.0, level - half), min(1.0, level + half)]


def _within(moments: Moments, level: float, alpha: float, bounds: Sequence[float]) -> tuple[float | None, float | None]:
    """Bounds of a quantile; None for one that lies beyond all that was seen."""
    if moments.people < LEAST_PEOPLE or len(bounds) < 2:
        return None, None
    half = margin(_error(moments, is_share=True), moments.people, alpha)
    return bounds[0] if level - half > 0 else None, bounds[1] if level + half < 1 else None


def _apart(control: Arm, arm: Arm) -> Comparison:
    """Of two quantiles: as near and as far as their bounds allow."""
    if control.value is None or arm.value is None:
        return Comparison(variant=arm.variant, difference=None, low=None, high=None)
    return Comparison(
        variant=arm.variant,
        difference=arm.value - control.value,
        low=None if arm.low is None or control.high is None else arm.low - control.high,
        high=None if arm.high is None or control.low is None else arm.high - control.low,
    )


def _shares(exposed: Exposed, variants: Sequence[str], expected: Mapping[str, float] | None) -> Shares:
    people = {variant: exposed.people.get(variant, 0) for variant in variants}
    if expected is None or not sum(people.values()):
        return Shares(people=people, expected=expected, p_value=None, chi_square_p_value=None)
    dealt = [variant for variant in variants if expected.get(variant, 0) > 0]
    counts, shares = [people[variant] for variant in dealt], [expected[variant] for variant in dealt]
    if len(dealt) < 2 or not sum(counts):
        return Shares(people=people, expected=expected, p_value=None, chi_square_p_value=None)
    whole = sum(shares)
    shares = [share / whole for share in shares]
    return Shares(
        people=people,
        expected=expected,
        p_value=shares_p_value(counts, shares),
        chi_square_p_value=_chi_square(counts, shares),
    )


def _chi_square(counts: Sequence[int], shares: Sequence[float]) -> float:
    from scipy.stats import chisquare  # type: ignore[import-untyped]  # half a second to load

    people = sum(counts)
    return float(chisquare(counts, [share * people for share in shares]).pvalue)
