from collections.abc import Sequence

import numpy as np
import pytest

from proxy.adapters.experiments.judge import ALPHA, judge
from proxy.adapters.experiments.source import Question
from proxy.domain.experiments import Experiment, Goal, Guardrail, Primary
from proxy.domain.judgement import Judgement, Standing, Watch
from tests.adapters.experiments.known_people import KnownPeople, Values

QUESTION = Question(prompt="support", flag="support-test", variants=("control", "treatment"), until_unix_us=9_000_000)
HALVES = {"control": 0.5, "treatment": 0.5}
PRIMARY = Primary(event="ticket", property="resolved")
RESOLVED = "ticket.resolved"


def drawn(control: float, treatment: float, *, people: int = 2_000, tickets: int = 3, seed: int = 1) -> Values:
    """Tickets of people, of whom some resolve more easily than others."""
    draws = np.random.default_rng(seed)

    def of(rate: float) -> list[list[float]]:
        ease = draws.beta(8 * rate, 8 * (1 - rate), size=people)
        return [draws.binomial(1, each, size=tickets).astype(float).tolist() for each in ease]

    return {"control": of(control), "treatment": of(treatment)}


def judged(values: dict[str, Values], *guardrails: Guardrail, goal: Goal = Goal.INCREASE) -> Judgement:
    primary = Primary(event="ticket", property="resolved", goal=goal)
    experiment = Experiment(primary=primary, guardrails=guardrails)
    return judge(experiment, QUESTION, HALVES, KnownPeople(values))


def watched(values: Values, guardrail: Guardrail, label: str) -> Watch:
    return judged({RESOLVED: drawn(0.5, 0.5), label: values}, guardrail).watches[0]


def test_a_true_difference_is_shown_with_bounds_that_hold_it() -> None:
    found = judged({RESOLVED: drawn(0.5, 0.6)})

    (comparison,) = found.primary.comparisons
    assert comparison.low is not None
    assert comparison.high is not None
    assert 0 < comparison.low < 0.1 < comparison.high
    assert comparison.chance_above_control is not None
    assert comparison.chance_above_control > 0.999
    assert comparison.p_value is not None
    assert comparison.p_value < ALPHA
    control = found.primary.arm("control")
    assert (control.people, control.measured) == (2_000, 2_000)
    assert found.primary.is_share
    assert found.since_unix_us == 1_000_000


def test_of_too_few_people_a_value_is_told_and_no_bound() -> None:
    found = judged({RESOLVED: drawn(0.2, 0.9, people=40)})

    (comparison,) = found.primary.comparisons
    assert comparison.difference is not None
    assert comparison.difference > 0.5
    assert comparison.low is comparison.high is comparison.p_value is None
    assert found.primary.arm("treatment").low is None


def test_a_metric_that_nobody_has_is_not_known() -> None:
    found = judged({"other": drawn(0.5, 0.5)})

    (comparison,) = found.primary.comparisons
    assert comparison.difference is None
    assert found.primary.arm("control").value is None


@pytest.mark.parametrize(
    ("control", "treatment", "standing"),
    [(0.05, 0.15, Standing.BROKEN), (0.05, 0.05, Standing.KEPT), (0.05, 0.075, Standing.OPEN)],
)
def test_an_increase_is_broken_kept_or_open(control: float, treatment: float, standing: Standing) -> None:
    people = 20_000 if standing is Standing.KEPT else 1_500
    guardrail = Guardrail(metric="escalated_to_human", max_increase=0.02)

    watch = watched(drawn(control, treatment, people=people, tickets=1), guardrail, "escalated_to_human")

    assert watch.standings == {"treatment": standing}


def slow(median_ms: float, people: int = 400) -> Sequence[Sequence[float]]:
    draws = np.random.default_rng(int(median_ms))
    return [(median_ms * draws.lognormal(0, 0.5, size=5)).tolist() for _ in range(people)]


@pytest.mark.parametrize(
    ("control_ms", "treatment_ms", "standing"),
    [
        (1_000, 3_000, Standing.BROKEN),
        (1_000, 1_000, Standing.KEPT),
        (1_000, 1_750, Standing.OPEN),
        (3_000, 3_000, Standing.BROKEN_EVERYWHERE),
    ],
)
def test_a_quantile_is_judged_by_the_share_beyond_it(
    control_ms: float, treatment_ms: float, standing: Standing
) -> None:
    """The p95 is 2.28 medians: 4,000 ms at a median of 1,757."""
    guardrail = Guardrail(metric="latency_ms", quantile=0.95, max=4_000)
    values = {"control": slow(control_ms), "treatment": slow(treatment_ms)}

    watch = watched(values, guardrail, "p95 latency_ms")

    assert watch.standings == {"treatment": standing}
    arm = watch.finding.arm("treatment")
    assert arm.low is not None
    assert arm.high is not None
    assert arm.low < 2.28 * treatment_ms < arm.high


def test_a_quantile_may_not_rise_too_far_either() -> None:
    guardrail = Guardrail(metric="latency_ms", quantile=0.95, max_increase=500)
    values = {"control": slow(1_000), "treatment": slow(2_000)}

    watch = watched(values, guardrail, "p95 latency_ms")

    assert watch.standings == {"treatment": Standing.BROKEN}


def test_a_quantile_of_nothing_is_open() -> None:
    guardrail = Guardrail(metric="latency_ms", quantile=0.95, max=1)

    assert watched({}, guardrail, "p95 latency_ms").standings == {"treatment": Standing.OPEN}


def test_the_mean_cost_of_a_task_is_watched_for_each_person() -> None:
    draws = np.random.default_rng(2)
    costs = {
        "control": [[float(cost)] for cost in draws.lognormal(-4, 0.5, 500)],
        "treatment": [[float(cost)] for cost in draws.lognormal(-3, 0.5, 500)],
    }
    guardrail = Guardrail(metric="cost_per_task_usd", max=0.03)

    assert watched(costs, guardrail, "cost_per_task_usd").standings == {"treatment": Standing.BROKEN}


def test_people_who_were_dealt_out_wrongly_are_noticed() -> None:
    records = KnownPeople({RESOLVED: drawn(0.5, 0.5, people=100)}, people={"control": 5_000, "treatment": 4_500})
    found = judge(Experiment(primary=PRIMARY), QUESTION, HALVES, records).shares

    assert found.is_mismatch
    assert found.chi_square_p_value == pytest.approx(2.9e-7, rel=0.1)


def test_shares_that_nobody_knows_are_not_judged() -> None:
    records = KnownPeople({RESOLVED: drawn(0.5, 0.5, people=100)})
    found = judge(Experiment(primary=PRIMARY), QUESTION, None, records).shares

    assert found.p_value is None
    assert not found.is_mismatch
    assert dict(found.people) == {"control": 100, "treatment": 100}


def test_with_more_variants_each_needs_more_evidence() -> None:
    values = {**drawn(0.5, 0.55), "other": drawn(0.5, 0.5)["control"]}
    question = Question(prompt="p", flag="f", variants=("control", "treatment", "other"), until_unix_us=9)
    both = judge(Experiment(primary=PRIMARY), question, None, KnownPeople({RESOLVED: values})).primary
    alone = judged({RESOLVED: values}).primary

    def width(finding: object) -> float:
        comparison = finding.comparison("treatment")  # type: ignore[attr-defined]
        return float(comparison.high - comparison.low)

    assert width(both) > width(alone)
