from collections.abc import Sequence
from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.adapters.experiments.moments import DOUBT_PEOPLE, Moments


def moments_of(numerators: Sequence[float], denominators: Sequence[float]) -> Moments:
    pairs = list(zip(numerators, denominators, strict=True))
    return Moments(
        people=len(pairs),
        numerator=sum(numerators),
        denominator=sum(denominators),
        numerator_squared=sum(each**2 for each in numerators),
        denominator_squared=sum(each**2 for each in denominators),
        product=sum(one * other for one, other in pairs),
    )


@given(st.lists(st.floats(0, 1_000), min_size=2, max_size=50))
def test_with_one_value_for_each_person_it_is_the_mean_and_its_standard_error(values: list[float]) -> None:
    moments = moments_of(values, [1.0] * len(values))

    assert moments.ratio == pytest.approx(np.mean(values))
    expected = np.std(values, ddof=1) / np.sqrt(len(values))
    assert moments.standard_error() == pytest.approx(expected, abs=1e-4 * max(values) + 1e-9)


def test_calls_of_one_person_that_are_all_alike_are_no_more_than_one() -> None:
    once = moments_of([0, 1, 1, 0, 1], [1] * 5)
    often = moments_of([0, 40, 40, 0, 40], [40] * 5)

    assert often.ratio == once.ratio
    assert often.standard_error() == pytest.approx(once.standard_error())


def test_people_without_any_change_nothing() -> None:
    some = moments_of([1, 0, 3], [2, 1, 4])
    more = moments_of([1, 0, 3, 0, 0], [2, 1, 4, 0, 0])

    assert more.ratio == some.ratio
    assert more.standard_error() == pytest.approx(some.standard_error() * (5 / 4 * 2 / 3) ** 0.5)


def test_the_delta_method_agrees_with_drawing_again() -> None:
    draws = np.random.default_rng(7)
    tickets = draws.integers(1, 6, size=(2_000, 300))
    solved = draws.binomial(tickets, draws.beta(2, 2, size=tickets.shape))
    seen = (solved.sum(axis=1) / tickets.sum(axis=1)).std()

    assert moments_of(solved[0].tolist(), tickets[0].tolist()).standard_error() == pytest.approx(seen, rel=0.1)


def test_of_too_few_nothing_is_known() -> None:
    assert Moments().ratio is None
    assert Moments().standard_error() == inf
    assert moments_of([1], [1]).standard_error() == inf


def test_doubt_adds_people_of_both_kinds_who_are_as_busy_as_the_others() -> None:
    nothing_yet = moments_of([0] * 60, [2] * 60)
    doubted = nothing_yet.with_doubt()

    assert nothing_yet.standard_error() == 0
    assert doubted.people == 60 + 2 * DOUBT_PEOPLE
    assert doubted.ratio == pytest.approx(DOUBT_PEOPLE / (60 + 2 * DOUBT_PEOPLE))
    assert doubted.standard_error() > 0
    assert Moments().with_doubt() == Moments()
