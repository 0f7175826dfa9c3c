"""A few simulated months of each kind keep the promise that `make simulate` puts to the test with hundreds of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from proxy.adapters.experiments.judge import judge
from tools.simulate.month import ALIKE, CONTROL, HARMFUL, TREATMENT, Truth, month
from tools.simulate.people import People
from tools.simulate.promise import EXPERIMENT, QUESTION, SCENARIOS, Seen, looked_at, summary
from tools.simulate.proxy_run import run_month

MONTHS = 12
SHARES = {CONTROL: 0.5, TREATMENT: 0.5}


@pytest.fixture(scope="module")
def seen() -> dict[str, list[Seen]]:
    """Looked at every third day."""
    return {
        name: [looked_at(seed, truths, days=30, people_a_day=100, step=3) for seed in range(MONTHS)]
        for name, truths in SCENARIOS.items()
    }


def test_where_versions_are_alike_neither_is_said_to_be_better_and_none_is_stopped(seen: dict[str, list[Seen]]) -> None:
    wrong = [each for each in seen["alike"] if each.better or each.worse or each.stopped]

    assert len(wrong) <= 1


def test_a_better_version_is_found(seen: dict[str, list[Seen]]) -> None:
    assert sum(each.better is not None for each in seen["better"]) >= MONTHS - 1
    assert not any(each.worse or each.stopped for each in seen["better"])


def test_a_version_that_just_keeps_its_guardrail_is_not_stopped(seen: dict[str, list[Seen]]) -> None:
    assert sum(each.stopped is not None for each in seen["at the limit"]) <= 1


def test_a_harmful_version_is_stopped_in_the_first_days(seen: dict[str, list[Seen]]) -> None:
    assert all(each.stopped is not None and each.stopped <= 15 for each in seen["harmful"])


def test_the_same_seed_is_the_same_month_and_people_keep_their_variant() -> None:
    one, other = (month(3, HARMFUL, days=3, people_a_day=20) for _ in range(2))

    assert np.array_equal(one.escalated, other.escalated)
    assert not np.array_equal(one.escalated, month(4, HARMFUL, days=3, people_a_day=20).escalated[: len(one.day)])
    variants = {person: set(one.variant[one.person == person].tolist()) for person in one.person.tolist()}
    assert all(len(found) == 1 for found in variants.values())
    assert (np.diff(one.day) >= 0).all()


def test_a_look_sees_nothing_of_the_days_after_it() -> None:
    simulated = month(1, ALIKE, days=10, people_a_day=100)
    early, late = (judge(EXPERIMENT, QUESTION, SHARES, People(simulated, day)) for day in (2, 10))

    assert sum(early.shares.people.values()) == 200
    assert sum(late.shares.people.values()) == 1_000


def test_the_summary_tells_shares_and_days() -> None:
    told = list(summary("harmful", [Seen(stopped=4, people_at_stop=90), Seen(better=2)]))

    assert told == [
        "harmful: 2 months",
        "  better    50.0%, in the median on day 2",
        "  worse      0.0%",
        "  stopped   50.0%, in the median on day 4",
        "  people who had the treatment when it was stopped, median: 90",
    ]


async def test_a_harmful_version_is_stopped_through_the_real_proxy(tmp_path: Path) -> None:
    """So harmful that two days are enough; what the journal says is what was simulated."""
    truths = {CONTROL: Truth(), TREATMENT: replace(Truth(), escalated=0.5)}

    ran = await run_month(tmp_path, 1, truths, days=2, people_a_day=130)

    assert ran.stopped is not None
    simulated = month(1, truths, days=2, people_a_day=130)
    here = simulated.day < ran.stopped
    assert ran.calls == here.sum()
    escalated = ran.report["guardrails"][0]["variants"]
    assert ran.report["verdict"]["outcome"] == "broken"
    for variant, is_treated in ((CONTROL, False), (TREATMENT, True)):
        whose = here & (simulated.variant == is_treated)
        assert escalated[variant]["people"] == len(np.unique(simulated.person[whose]))
        assert escalated[variant]["value"] == pytest.approx(simulated.escalated[whose].mean())
    cost = ran.report["guardrails"][2]["variants"][CONTROL]["value"]
    assert cost == pytest.approx(simulated.cost_usd[here & ~simulated.variant].mean(), rel=0.01)
