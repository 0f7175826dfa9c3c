"""The promise is kept under looks after every few people, in simulation with fixed seeds, and where the usual interval
breaks it."""

from math import inf, sqrt

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.adapters.experiments.sequential import (
    LEAST_PEOPLE,
    chance_above_zero,
    margin,
    one_sided_margin,
    p_value,
    shares_p_value,
)

ALPHA = 0.05
RUNS, PEOPLE, STEP = 400, 4_000, 20
LOOKS = np.arange(STEP, PEOPLE + 1, STEP)
TWO_SIDED = np.array([margin(1.0, int(people), ALPHA) for people in LOOKS])
ONE_SIDED = np.array([one_sided_margin(1.0, int(people), ALPHA) for people in LOOKS])
CHANCE = 3 * sqrt(ALPHA * (1 - ALPHA) / RUNS)
"""What the share of false alarms in so many runs may be off by."""

Table = npt.NDArray[np.float64]


def differences(values: Table, is_treated: npt.NDArray[np.bool_]) -> tuple[Table, Table]:
    """Difference and its standard error at each look, one row for each run; NaN while there are too few."""

    def sums(mask: npt.NDArray[np.bool_]) -> tuple[Table, Table]:
        many = np.cumsum(mask, axis=1)[:, STEP - 1 :: STEP].astype(float)
        total = np.cumsum(values * mask, axis=1)[:, STEP - 1 :: STEP]
        squares = np.cumsum(values**2 * mask, axis=1)[:, STEP - 1 :: STEP]
        many[many < LEAST_PEOPLE] = np.nan
        mean = total / many
        return mean, (squares / many - mean**2) / (many - 1)

    (mean, error), (other_mean, other_error) = sums(is_treated), sums(~is_treated)
    return mean - other_mean, np.sqrt(error + other_error)


def without_effect(kind: str, share: float) -> tuple[Table, Table]:
    draws = np.random.default_rng(11)
    shape = (RUNS, PEOPLE)
    made = {
        "rates": lambda: (draws.random(shape) < 0.3).astype(float),
        "rare": lambda: (draws.random(shape) < 0.05).astype(float),
        "costs": lambda: draws.lognormal(0, 1.0, shape),
    }
    return differences(made[kind](), draws.random(shape) < share)


@pytest.mark.parametrize(("kind", "share"), [("rates", 0.5), ("rates", 0.1), ("rare", 0.5), ("costs", 0.5)])
def test_where_there_is_no_effect_none_is_seen_at_any_look_but_in_one_run_of_twenty(kind: str, share: float) -> None:
    difference, error = without_effect(kind, share)

    assert np.mean(np.any(np.abs(difference) > TWO_SIDED * error, axis=1)) < ALPHA + CHANCE
    assert np.mean(np.any(difference > ONE_SIDED * error, axis=1)) < ALPHA + CHANCE


def test_the_usual_interval_would_be_wrong_in_a_third_of_the_runs() -> None:
    difference, error = without_effect("rates", 0.5)

    assert np.mean(np.any(np.abs(difference) > 1.96 * error, axis=1)) > 0.3


def test_an_effect_is_found() -> None:
    draws = np.random.default_rng(5)
    is_treated = draws.random((RUNS, PEOPLE)) < 0.5
    values = (draws.random((RUNS, PEOPLE)) < np.where(is_treated, 0.6, 0.5)).astype(float)
    difference, error = differences(values, is_treated)

    assert np.mean(np.any(difference > TWO_SIDED * error, axis=1)) > 0.99
    assert np.mean(np.any(np.abs(difference - 0.1) > TWO_SIDED * error, axis=1)) < ALPHA + CHANCE


def test_the_price_for_looking_is_an_interval_less_than_twice_as_wide() -> None:
    assert 1.96 < margin(1.0, 1_000, ALPHA) < 1.6 * 1.96
    assert one_sided_margin(1.0, 1_000, ALPHA) < margin(1.0, 1_000, ALPHA)


@given(st.floats(-1, 1), st.floats(0.001, 1), st.integers(1, 10**6))
def test_p_value_interval_and_chance_agree(difference: float, error: float, people: int) -> None:
    p = p_value(difference, error, people)

    assert (p < ALPHA) == (abs(difference) > margin(error, people, ALPHA)) or p == pytest.approx(ALPHA)
    assert (chance_above_zero(difference, error, people) > 0.5) == (difference > 0) or abs(difference) < 1e-9


def test_what_is_not_known_decides_nothing() -> None:
    assert margin(1.0, 0, ALPHA) == one_sided_margin(1.0, 0, ALPHA) == inf
    assert p_value(0.1, inf, 10) == p_value(0.1, 0.0, 10) == 1.0
    assert chance_above_zero(0.1, inf, 10) == 0.5


def test_shares_are_doubted_at_some_look_in_few_runs_only() -> None:
    draws = np.random.default_rng(3)
    counts = np.cumsum(draws.random((200, 3_000)) < 0.1, axis=1)[:, 49::50]
    people = np.arange(50, 3_001, 50)

    lowest = [
        min(
            shares_p_value([total - one, one], [0.9, 0.1])
            for one, total in zip(run.tolist(), people.tolist(), strict=True)
        )
        for run in counts
    ]

    assert np.mean(np.array(lowest) < ALPHA) < ALPHA


def test_shares_that_are_wrong_are_doubted() -> None:
    assert shares_p_value([5_000, 4_500], [0.5, 0.5]) < 0.001
    assert shares_p_value([900, 100], [0.9, 0.1]) == 1.0
    assert shares_p_value([0, 0], [0.5, 0.5]) == 1.0
