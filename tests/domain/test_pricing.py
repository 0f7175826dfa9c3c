"""What a bill is made of: rates, tiers, thresholds, dates, and what is left open where the list is silent."""

from dataclasses import replace
from decimal import Decimal

import pytest

from proxy.domain.pricing import Cost, CostStatus, cost_of
from proxy.domain.rates import Price, RateCard, Rates
from proxy.domain.tariffs import Gap
from proxy.domain.usage import Usage

D = Decimal
MINI = Rates(input_usd_per_mtok=D("0.4"), cached_input_usd_per_mtok=D("0.1"), output_usd_per_mtok=D("1.6"))
CLAUDE = Rates(
    input_usd_per_mtok=D(5),
    cached_input_usd_per_mtok=D("0.5"),
    cache_write_5m_usd_per_mtok=D("6.25"),
    cache_write_1h_usd_per_mtok=D(10),
    output_usd_per_mtok=D(25),
    web_search_usd_per_call=D("0.01"),
)


def flat(rates: Rates, **tiers: Rates) -> Price:
    return Price(card=RateCard(standard=rates, service_tiers=tiers))


def charge(price: Price, **counts: object) -> Cost:
    return cost_of(Usage(**counts), price, "v1")  # type: ignore[arg-type]


def amounts(cost: Cost) -> dict[str, D]:
    return {part.name: part.amount_usd for part in cost.parts}


def test_input_cached_and_output_are_charged_once_each() -> None:
    cost = charge(flat(MINI), input_tokens=1000, cached_input_tokens=400, output_tokens=500, reasoning_tokens=0)
    assert amounts(cost) == {"input": D("0.00024"), "cached_input": D("0.00004"), "output": D("0.0008")}
    assert cost.total_usd == D("0.00108")
    assert (cost.status, cost.source, cost.pricing_version, cost.reason) == ("priced", "table", "v1", "")


def test_cache_writes_are_charged_by_their_time_to_live() -> None:
    """A reply with 3 plain, 10,000 cached, 256 five-minute and 2,048 one-hour input tokens, and 550 output tokens."""
    cost = charge(
        flat(CLAUDE),
        input_tokens=12_307,
        cached_input_tokens=10_000,
        cache_creation_input_tokens=2304,
        cache_creation_5m_tokens=256,
        cache_creation_1h_tokens=2048,
        output_tokens=550,
    )
    assert cost.total_usd == D("0.040845")
    assert cost.status is CostStatus.PRICED


def test_cache_writes_that_nobody_split_have_the_default_time_to_live() -> None:
    cost = charge(flat(CLAUDE), input_tokens=2304, cache_creation_input_tokens=2304, output_tokens=0)
    assert amounts(cost) == {"cache_write_5m": D("0.0144")}
    part_split = charge(
        flat(CLAUDE), input_tokens=100, cache_creation_input_tokens=100, cache_creation_1h_tokens=40, output_tokens=0
    )
    assert amounts(part_split) == {"cache_write_5m": D("0.000375"), "cache_write_1h": D("0.0004")}


def test_writes_for_twelve_hours_have_a_rate_of_their_own() -> None:
    """OpenAI's usage splits its writes into 30 minutes, which is its default, and 12 hours."""
    counts = {
        "input_tokens": 100,
        "cache_creation_input_tokens": 90,
        "cache_creation_12h_tokens": 40,
        "output_tokens": 0,
    }
    own = charge(flat(replace(CLAUDE, cache_write_12h_usd_per_mtok=D(20))), **counts)
    assert amounts(own) == {"input": D("0.00005"), "cache_write_5m": D("0.0003125"), "cache_write_12h": D("0.0008")}
    assert own.status is CostStatus.PRICED
    without = charge(flat(CLAUDE), **counts)
    assert [(part.name, part.rate) for part in without.parts][-1] == ("cache_write_12h", "cache_write_1h_usd_per_mtok")
    assert without.gaps == (Gap("no rate for cache_write_12h", "cache_write_12h_usd_per_mtok"),)


def test_reasoning_has_its_own_rate_or_that_of_output() -> None:
    own = replace(MINI, reasoning_usd_per_mtok=D(3))
    usage = {"input_tokens": 0, "output_tokens": 100, "reasoning_tokens": 60}
    assert amounts(charge(flat(own), **usage)) == {"output": D("0.000064"), "reasoning": D("0.00018")}
    assert charge(flat(MINI), **usage).total_usd == D("0.00016")


def test_audio_images_searches_and_calls() -> None:
    rates = Rates(
        input_usd_per_mtok=D(1),
        output_usd_per_mtok=D(2),
        audio_input_usd_per_mtok=D(10),
        audio_output_usd_per_mtok=D(20),
        image_input_usd_per_mtok=D(5),
        image_output_usd_per_mtok=D(40),
        web_search_usd_per_call=D("0.01"),
        usd_per_call=D("0.005"),
    )
    cost = charge(
        flat(rates),
        input_tokens=100,
        audio_input_tokens=30,
        image_input_tokens=20,
        output_tokens=100,
        audio_output_tokens=10,
        image_output_tokens=10,
        web_search_calls=3,
    )
    assert amounts(cost) == {
        "input": D("0.00005"),
        "audio_input": D("0.0003"),
        "image_input": D("0.0001"),
        "output": D("0.00016"),
        "audio_output": D("0.0002"),
        "image_output": D("0.0004"),
        "web_search": D("0.03"),
        "call": D("0.005"),
    }
    assert cost.status is CostStatus.PRICED


def test_audio_that_is_counted_in_seconds() -> None:
    by_time = flat(Rates(audio_input_usd_per_s=D("0.0001")))
    assert charge(by_time, audio_seconds=D("12.5")).total_usd == D("0.00125")
    assert charge(by_time).status is CostStatus.UNKNOWN
    assert charge(flat(MINI), audio_seconds=D(12)).status is CostStatus.UNPRICED


def test_images_that_are_charged_each() -> None:
    by_image = flat(Rates(usd_per_image=D("0.04")))
    cost = charge(by_image, output_images=3)
    assert (amounts(cost), cost.status) == ({"image": D("0.12")}, CostStatus.PRICED)
    assert charge(by_image, output_images=0).total_usd == 0
    unpriced = charge(flat(MINI), output_images=2)
    assert unpriced.status is CostStatus.UNPRICED
    assert Gap("no rate for image", "usd_per_image") in unpriced.gaps


def test_images_that_were_counted_in_tokens_need_no_rate_for_each() -> None:
    rates = replace(MINI, image_output_usd_per_mtok=D(40))
    counts = {"input_tokens": 10, "output_tokens": 100, "image_output_tokens": 100, "output_images": 1}
    assert charge(flat(rates), **counts).status is CostStatus.PRICED
    both = charge(flat(replace(rates, usd_per_image=D("0.01"))), **counts)
    assert amounts(both)["image"] == D("0.01")


def test_a_part_names_the_rate_that_it_was_charged_by() -> None:
    cost = charge(
        flat(replace(MINI, cached_input_usd_per_mtok=None)),
        input_tokens=100,
        cached_input_tokens=40,
        cache_creation_input_tokens=10,
        output_tokens=0,
    )
    assert {part.name: part.rate for part in cost.parts} == {
        "input": "input_usd_per_mtok",
        "cached_input": "input_usd_per_mtok",
        "cache_write_5m": "input_usd_per_mtok",
    }
    assert cost.gaps == (Gap("no rate for cache_write_5m", "cache_write_5m_usd_per_mtok"),)


def test_cached_input_without_a_rate_is_charged_as_input_never_lower() -> None:
    bare = Rates(input_usd_per_mtok=D(1), output_usd_per_mtok=D(2))
    cost = charge(flat(bare), input_tokens=100, cached_input_tokens=60, output_tokens=0)
    assert (cost.total_usd, cost.status) == (D("0.0001"), CostStatus.PRICED)


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        ({"cache_creation_input_tokens": 50}, "no rate for cache_write_5m"),
        ({"cache_creation_input_tokens": 50, "cache_creation_1h_tokens": 50}, "no rate for cache_write_1h"),
        ({"audio_input_tokens": 50}, "no rate for audio_input"),
        ({"audio_output_tokens": 50}, "no rate for audio_output"),
        ({"image_output_tokens": 50}, "no rate for image_output"),
        ({"web_search_calls": 1}, "no rate for web_search"),
        ({"service_tier": "priority"}, "no rates for the service tier"),
        ({"speed": "fast"}, "no multiplier for the speed"),
        ({"inference_geo": "us"}, "no multiplier for the region"),
    ],
)
def test_what_has_no_rate_is_charged_as_text_and_called_partial(counts: dict[str, object], reason: str) -> None:
    cost = charge(flat(MINI), input_tokens=100, output_tokens=100, **counts)
    assert (cost.status, cost.reason) == (CostStatus.PARTIAL, reason)
    assert cost.total_usd == D("0.0002")


def test_known_on_one_side_alone_is_partial() -> None:
    cost = charge(flat(MINI), input_tokens=1000)
    assert (cost.status, cost.total_usd, cost.reason) == (CostStatus.PARTIAL, D("0.0004"), "output tokens unknown")
    assert charge(flat(MINI), output_tokens=1).reason == "input tokens unknown"
    embedding = flat(Rates(input_usd_per_mtok=D("0.02")))
    assert charge(embedding, input_tokens=1000).status is CostStatus.PRICED


def test_no_usage_is_unknown_and_zero_usage_costs_nothing() -> None:
    assert charge(flat(MINI)) == Cost(status=CostStatus.UNKNOWN, reason="no usage")
    zero = charge(flat(MINI), input_tokens=0, output_tokens=0)
    assert (zero.status, zero.total_usd) == (CostStatus.PRICED, D(0))


def test_counts_without_any_fitting_rate_are_unpriced() -> None:
    cost = charge(flat(Rates(output_usd_per_mtok=D(1))), input_tokens=10, output_tokens=0)
    assert (cost.status, cost.total_usd, cost.reason) == (CostStatus.UNPRICED, None, "no rate for input")


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        ({"cached_input_tokens": 120}, "cached 120, cache writes 0, audio and image 0 > input 100"),
        (
            {"cached_input_tokens": 60, "cache_creation_input_tokens": 50},
            "cached 60, cache writes 50, audio and image 0 > input 100",
        ),
        ({"audio_input_tokens": 101}, "cached 0, cache writes 0, audio and image 101 > input 100"),
        ({"reasoning_tokens": 101}, "reasoning 101, audio and image 0 > output 100"),
        (
            {"cache_creation_input_tokens": 50, "cache_creation_5m_tokens": 40, "cache_creation_1h_tokens": 20},
            "cache writes 40 + 20 > 50 in all",
        ),
        ({"cached_input_tokens": -1}, "a negative count"),
        ({"audio_output_tokens": -1, "image_output_tokens": 1}, "a negative count"),
        ({"cache_creation_input_tokens": 5, "cache_creation_1h_tokens": 6}, "a negative count"),
    ],
)
def test_impossible_counts_give_no_cost_and_say_the_numbers(counts: dict[str, int], reason: str) -> None:
    cost = charge(flat(CLAUDE), **{"input_tokens": 100, "output_tokens": 100, **counts})
    assert cost == Cost(status=CostStatus.UNKNOWN, reason=reason)


def test_cached_audio_is_charged_as_audio_in_full() -> None:
    rates = replace(MINI, audio_input_usd_per_mtok=D(10))
    cost = charge(flat(rates), input_tokens=100, cached_input_tokens=80, audio_input_tokens=50, output_tokens=0)
    assert amounts(cost) == {"cached_input": D("0.000005"), "audio_input": D("0.0005")}
    assert (cost.status, cost.reason) == (CostStatus.PARTIAL, "cached audio or image tokens")


@pytest.mark.parametrize(
    "tier", [None, "default", "standard", "auto", "scale", "on_demand", "ON_DEMAND", "TRAFFIC_TYPE_UNSPECIFIED", ""]
)
def test_the_standard_tier_by_any_name(tier: str | None) -> None:
    cost = charge(flat(MINI, flex=CLAUDE), input_tokens=1_000_000, output_tokens=0, service_tier=tier)
    assert (cost.total_usd, cost.status) == (D("0.4"), CostStatus.PRICED)


@pytest.mark.parametrize("tier", ["flex", "FLEX", "ON_DEMAND_FLEX"])
def test_another_tier_has_its_own_rates(tier: str) -> None:
    flex = Rates(input_usd_per_mtok=D("0.2"), output_usd_per_mtok=D("0.8"))
    cost = charge(flat(MINI, flex=flex), input_tokens=100, cached_input_tokens=50, output_tokens=100, service_tier=tier)
    assert cost.total_usd == D("0.0001")


def test_throughput_that_was_paid_in_advance_is_charged_as_standard_and_partial_unless_it_is_listed() -> None:
    """Its tokens were paid for already; what one of them costs is known to the operator alone."""
    usage = {"input_tokens": 1_000_000, "output_tokens": 0, "service_tier": "PROVISIONED_THROUGHPUT"}
    silent = charge(flat(MINI), **usage)
    assert (silent.total_usd, silent.status, silent.gaps[0].key) == (D("0.4"), CostStatus.PARTIAL, "service_tiers")
    prepaid = Rates(input_usd_per_mtok=D(0), output_usd_per_mtok=D(0))
    listed = charge(flat(MINI, provisioned_throughput=prepaid), **usage)
    assert (listed.total_usd, listed.status) == (D(0), CostStatus.PRICED)


def test_long_context_rates_apply_to_the_whole_request_above_the_threshold() -> None:
    longer = Rates(input_usd_per_mtok=D(2), output_usd_per_mtok=D(4))
    longest = Rates(input_usd_per_mtok=D(3), output_usd_per_mtok=D(4))
    flex = Rates(input_usd_per_mtok=D(1), output_usd_per_mtok=D(2))
    price = Price(
        card=RateCard(standard=Rates(input_usd_per_mtok=D(1), output_usd_per_mtok=D(2))),
        long_context=(
            (500_000, RateCard(standard=longest)),
            (200_000, RateCard(standard=longer, service_tiers={"flex": flex})),
        ),
    )
    assert charge(price, input_tokens=200_000, output_tokens=0).total_usd == D("0.2")
    assert charge(price, input_tokens=300_000, output_tokens=100_000).total_usd == D(1)
    assert charge(price, input_tokens=300_000, output_tokens=0, service_tier="flex").total_usd == D("0.3")
    assert charge(price, input_tokens=600_000, output_tokens=0).total_usd == D("1.8")


def test_speed_and_region_multiply_tokens_and_not_searches() -> None:
    price = Price(card=RateCard(standard=CLAUDE), speed_multipliers={"fast": D(2)}, region_multipliers={"us": D("1.1")})
    cost = charge(price, input_tokens=1000, output_tokens=0, web_search_calls=1, speed="fast", inference_geo="us")
    assert amounts(cost) == {"input": D("0.011"), "web_search": D("0.01")}
    assert cost.status is CostStatus.PRICED
    assert charge(price, input_tokens=1000, output_tokens=0, inference_geo="global").total_usd == D("0.005")
