"""Bounds and tests that hold at all times at once: one may look as often as one likes, and stop when one likes.

The usual 95 % interval is right for one look at a time that was fixed beforehand. Who looks each day and stops at the
first good news is fooled far more often than one time in twenty. What is here keeps its promise for the whole life of
an experiment: with probability 1 - alpha no interval of it, at any look, misses the truth.

- Means, ratios and their differences: asymptotic confidence sequences, of a Gaussian mixture (Waudby-Smith, Arbour,
  Sinha, Kennedy, Ramdas: "Time-uniform central limit theory and asymptotic confidence sequences", Annals of
  Statistics 52, 2024, theorem 2.2). They rest on the central limit theorem, so there is a least number of people.
  The always-valid p value and the chance of being better belong to the same mixture.
- The numbers of people in the variants: a sequential test of a multinomial, of a Dirichlet mixture (Lindon, Malek:
  "Anytime-valid inference for multinomial count data", NeurIPS 2022).

One person's outcomes come over time. Later sums of the same person agree with earlier ones more than sums of new
people would, which makes wandering out of the bounds less likely and never more (Slepian's inequality).
"""

from collections.abc import Sequence
from math import erf, exp, inf, lgamma, log, sqrt

LEAST_PEOPLE = 50
"""In each variant, before anything is said of a metric: means of fewer are not normal enough."""
BEST_AT_PEOPLE = 1_000
"""The number of people, all variants together, at which the bounds are as tight as can be. Any fixed one is right."""
SHARES_PRIOR_PEOPLE = 100.0
"""How many people the mixture of the test of shares is worth."""


def _spread(alpha: float) -> float:
    """ρ² of the mixture that is the tightest at `BEST_AT_PEOPLE`; equation 10 of the source, approximately."""
    return (-2 * log(alpha) + log(1 - 2 * log(alpha))) / BEST_AT_PEOPLE


_RHO2 = _spread(0.05)


def margin(standard_error: float, people: int, alpha: float) -> float:
    """Half the width of the two-sided interval around an estimate that has this standard error after `people`."""
    if people <= 0:
        return inf
    scale = people * _RHO2
    return standard_error * sqrt(2 * (scale + 1) / scale * log(sqrt(scale + 1) / alpha))


def one_sided_margin(standard_error: float, people: int, alpha: float) -> float:
    """The same where one side alone matters: the mixture is over half of the line."""
    if people <= 0:
        return inf
    scale = people * _RHO2
    return standard_error * sqrt(2 * (scale + 1) / scale * log(1 + sqrt(scale + 1) / (2 * alpha)))


def p_value(difference: float, standard_error: float, people: int) -> float:
    """Always valid, two-sided, against no difference: the least alpha at which the interval does not hold zero."""
    if not 0 < standard_error < inf:
        return 1.0
    scale = people * _RHO2
    evidence = (difference / standard_error) ** 2 * scale / (2 * (scale + 1))
    return min(1.0, sqrt(scale + 1) * exp(-evidence))


def chance_above_zero(difference: float, standard_error: float, people: int) -> float:
    """The posterior probability that the true difference is above zero, with the mixture as the prior."""
    if not 0 < standard_error < inf:
        return 0.5
    scale = people * _RHO2
    return (1 + erf(difference / standard_error * sqrt(scale / (scale + 1)) / sqrt(2))) / 2


def shares_p_value(counts: Sequence[int], shares: Sequence[float]) -> float:
    """Always valid, against people being dealt out by `shares`, which sum to 1 and are above 0.

    It does not remember: the least value of all looks counts, and an operator who saw it low once was told.
    """
    people = sum(counts)
    log_evidence = lgamma(SHARES_PRIOR_PEOPLE) - lgamma(SHARES_PRIOR_PEOPLE + people)
    for count, share in zip(counts, shares, strict=True):
        prior = SHARES_PRIOR_PEOPLE * share
        log_evidence += lgamma(prior + count) - lgamma(prior) - count * log(share)
    return min(1.0, exp(-log_evidence)) if log_evidence > 0 else 1.0
