"""Who writes in when, and what would come of it under each version. Everything follows from the seed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from proxy.domain.rollout import Split

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
FLAG = "support-answer"
CONTROL, TREATMENT = "control", "treatment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What one version does, in the average ticket of the average person."""

    resolved: float = 0.60
    escalated: float = 0.05
    latency_ms: float = 1_200
    """The median; the p95 is 2.3 times as much."""
    cost_usd: float = 0.010


ALIKE: Mapping[str, Truth] = {CONTROL: Truth(), TREATMENT: Truth()}
BETTER = {CONTROL: Truth(), TREATMENT: replace(Truth(), resolved=0.67)}
AT_THE_LIMIT = {CONTROL: Truth(), TREATMENT: replace(Truth(), escalated=0.06676)}
"""Two points more escalations over all people, exactly what the guardrail allows."""
HARMFUL = {CONTROL: Truth(), TREATMENT: replace(Truth(), escalated=0.15)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """One entry for each ticket, in the order in which they come; `person` counts from 0."""

    people: int
    person: Ints
    day: Ints
    variant: npt.NDArray[np.bool_]
    """True for treatment."""
    resolved: Floats
    escalated: Floats
    latency_ms: Floats
    cost_usd: Floats
    names: tuple[str, ...] = field(repr=False)


def month(
    seed: int, truths: Mapping[str, Truth], *, days: int = 30, people_a_day: int = 100, treated_percent: float = 50
) -> Month:
    """People come on each day, and come back with more tickets on later ones; some are easier to help than others."""
    draws = np.random.default_rng(seed)
    people = days * people_a_day
    names = tuple(f"user_{seed}_{number}" for number in range(people))
    split = Split(((CONTROL, 100 - treated_percent), (TREATMENT, treated_percent)))
    is_treated = np.array([split.variant_of(FLAG, name) == TREATMENT for name in names])
    first_day = np.repeat(np.arange(days), people_a_day)
    tickets = 1 + draws.poisson(1.5, people)
    person = np.repeat(np.arange(people), tickets)
    waited = np.where(_is_first(person), 0, draws.geometric(0.2, len(person)))
    day = first_day[person] + waited
    ease = draws.normal(0, 0.8, people)[person]
    treated = is_treated[person]

    def of(name: str) -> Floats:
        found: Floats = np.where(treated, getattr(truths[TREATMENT], name), getattr(truths[CONTROL], name))
        return found

    resolved = draws.random(len(person)) < _shifted(of("resolved"), ease)
    escalated = draws.random(len(person)) < _shifted(of("escalated"), -ease)
    found = Month(
        people=people,
        person=person,
        day=day,
        variant=treated,
        resolved=resolved.astype(float),
        escalated=escalated.astype(float),
        latency_ms=of("latency_ms") * draws.lognormal(0, 0.5, len(person)),
        cost_usd=of("cost_usd") * draws.lognormal(0, 0.4, len(person)),
        names=names,
    )
    return _within(found, np.flatnonzero(day < days)[np.argsort(day[day < days], kind="stable")])


def _is_first(person: Ints) -> npt.NDArray[np.bool_]:
    first: npt.NDArray[np.bool_] = np.diff(person, prepend=-1) > 0
    return first


def _shifted(share: Floats, ease: Floats) -> Floats:
    """The share for somebody of this ease."""
    shifted: Floats = 1 / (1 + (1 / share - 1) * np.exp(-ease))
    return shifted


def _within(found: Month, kept: Ints) -> Month:
    names = ("person", "day", "variant", "resolved", "escalated", "latency_ms", "cost_usd")
    return replace(found, **{name: getattr(found, name)[kept] for name in names})
