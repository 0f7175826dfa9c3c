"""Which of a price's rates hold for a reply, and what they come to for each of its tokens."""

from decimal import Decimal

import pytest

from proxy.domain.rates import Price, RateCard, Rates
from proxy.domain.tariffs import Gap, tariff_of, terms_of
from proxy.domain.usage import Usage

D = Decimal
MINI = Rates(input_usd_per_mtok=D("0.4"), cached_input_usd_per_mtok=D("0.1"), output_usd_per_mtok=D("1.6"))
LONG = Rates(input_usd_per_mtok=D("0.8"), output_usd_per_mtok=D("2.4"), reasoning_usd_per_mtok=D(3))


def flat(rates: Rates, **tiers: Rates) -> Price:
    return Price(card=RateCard(standard=rates, service_tiers=tiers))


@pytest.mark.parametrize(
    ("served", "listed"),
    [
        ("priority", "priority"),
        ("fast", "priority"),
        ("ON_DEMAND_PRIORITY", "priority"),
        ("ON_DEMAND_OFFPEAK", "offpeak"),
        ("ON_DEMAND_OFFPEAK", "on_demand_offpeak"),
        ("batches", "batch"),
        ("PROVISIONED_THROUGHPUT", "provisioned_throughput"),
        ("STANDARD", "standard"),
    ],
)
def test_a_tier_is_found_under_each_of_its_names(served: str, listed: str) -> None:
    price = flat(MINI, **{listed: Rates(input_usd_per_mtok=D(0), output_usd_per_mtok=D(7))})
    terms = terms_of(Usage(service_tier=served), price)
    assert (terms.rates.output_usd_per_mtok, terms.service_tier, terms.gaps) == (D(7), listed, ())


def test_a_tier_that_is_listed_as_served_wins_over_its_other_name() -> None:
    price = flat(MINI, fast=LONG, priority=Rates(usd_per_call=D(1)))
    assert terms_of(Usage(service_tier="fast"), price).rates is LONG


def test_terms_say_what_of_the_price_held() -> None:
    price = Price(
        card=RateCard(standard=MINI),
        long_context=((200_000, RateCard(standard=LONG)),),
        speed_multipliers={"fast": D(2)},
        region_multipliers={"us": D("1.1")},
    )
    terms = terms_of(Usage(input_tokens=200_001, speed="Fast", inference_geo="us"), price)
    assert (terms.rates, terms.above_input_tokens) == (LONG, 200_000)
    assert (terms.speed, terms.region, terms.multiplier) == ("fast", "us", D("2.2"))
    plain = terms_of(Usage(input_tokens=200_000), price)
    assert plain == (MINI, 0, "", "", "", D(1), ())


def test_a_tariff_says_of_each_line_what_a_token_costs_by_which_rate_and_what_the_price_lacks() -> None:
    price = Price(
        card=RateCard(standard=MINI),
        long_context=((200_000, RateCard(standard=LONG)),),
        speed_multipliers={"fast": D(2)},
    )
    tariff = tariff_of(Usage(speed="fast", service_tier="never heard of"), price)
    charges = tariff.standard.charges
    assert charges["input"] == ("input_usd_per_mtok", D("0.0000008"), None)
    assert charges["reasoning"] == ("output_usd_per_mtok", D("0.0000032"), None), (
        "billed as output where none is listed"
    )
    lacking = Gap("no rate for cache_write_1h", "cache_write_1h_usd_per_mtok")
    assert charges["cache_write_1h"] == ("input_usd_per_mtok", D("0.0000008"), lacking)
    assert [gap.key for gap in tariff.standard.gaps] == ["service_tiers"]
    ((above, longer),) = tariff.longer
    assert (above, longer.charges["reasoning"].usd_per_token) == (200_000, D("0.000006"))
    assert tariff_of(Usage(), Price()).standard.charges["output"].usd_per_token is None
