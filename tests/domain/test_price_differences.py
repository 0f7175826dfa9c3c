"""What counts as a disagreement between two lists, and what does not."""

from decimal import Decimal

import pytest

from proxy.domain.price_differences import Difference, compare
from proxy.domain.rates import Price, RateCard, Rates

D = Decimal
BASE = Rates(input_usd_per_mtok=D(2), output_usd_per_mtok=D(8), web_search_usd_per_call=D("0.01"))
HALF = Rates(input_usd_per_mtok=D(1), output_usd_per_mtok=D(4), web_search_usd_per_call=D("0.01"))


def flat(rates: Rates, **tiers: Rates) -> Price:
    return Price(card=RateCard(standard=rates, service_tiers=tiers))


def differences(ours: Price, theirs: Price) -> list[Difference]:
    return compare(ours, theirs).differences


def test_alike_lists_agree_on_every_rate_that_both_state() -> None:
    price = Price(
        card=RateCard(standard=BASE, service_tiers={"flex": HALF}),
        long_context=((200_000, RateCard(standard=HALF)),),
        speed_multipliers={"fast": D(2)},
    )
    # Three standard rates, two of the tier, two above the threshold, and one multiplier.
    assert compare(price, price) == (8, [])


def test_a_difference_says_which_rate_and_how_far() -> None:
    (found,) = differences(flat(BASE), flat(Rates(input_usd_per_mtok=D(1), output_usd_per_mtok=D(8))))
    assert found == Difference("input_usd_per_mtok", D(2), D(1))
    assert found.ratio == 2


@pytest.mark.parametrize(("theirs", "count"), [("2.001", 0), ("1.999", 0), ("2.01", 1), ("0", 1)])
def test_rounding_is_no_difference(theirs: str, count: int) -> None:
    ours = flat(Rates(input_usd_per_mtok=D(2)))
    assert len(differences(ours, flat(Rates(input_usd_per_mtok=D(theirs))))) == count


def test_what_only_theirs_charges_is_told_and_what_only_ours_does_is_not() -> None:
    theirs = Rates(input_usd_per_mtok=D(2), reasoning_usd_per_mtok=D(9), audio_input_usd_per_mtok=D(0))
    assert differences(flat(BASE), flat(theirs)) == [Difference("reasoning_usd_per_mtok", None, D(9))]
    assert differences(flat(BASE), flat(theirs))[0].ratio is None


def test_tiers_are_compared_where_both_list_them() -> None:
    ours, theirs = flat(BASE, flex=HALF, batch=HALF), flat(BASE, flex=BASE, priority=BASE)
    assert [found.rate for found in differences(ours, theirs)] == [
        "flex input_usd_per_mtok",
        "flex output_usd_per_mtok",
    ]


def test_a_threshold_of_one_list_is_held_against_the_others_rates_there() -> None:
    longer = Price(card=RateCard(standard=HALF), long_context=((200_000, RateCard(standard=BASE)),))
    rates = [("above 200,000 input_usd_per_mtok", D(2), D(1)), ("above 200,000 output_usd_per_mtok", D(8), D(4))]
    assert differences(longer, flat(HALF)) == [Difference(rate, more, less) for rate, more, less in rates]
    assert differences(flat(HALF), longer) == [Difference(rate, less, more) for rate, more, less in rates]


def test_a_free_model_of_ours_that_costs_something_there_is_told() -> None:
    assert differences(Price(is_free=True), flat(Rates(input_usd_per_mtok=D(2)))) == [
        Difference("input_usd_per_mtok", D(0), D(2))
    ]


def test_multipliers_by_speed() -> None:
    ours, theirs = (Price(speed_multipliers={"fast": D(factor)}) for factor in (2, 6))
    assert differences(ours, theirs) == [Difference("speed fast", D(2), D(6))]
