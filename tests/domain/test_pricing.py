"""What a bill is made of: rates, tiers, thresholds, dates, and what is left open where the list is silent."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from proxy.domain.pricing import Cost, CostStatus, Price, PriceBook, PriceRule, RateCard, Rates, cost_of, model_forms
from proxy.domain.usage import Usage

D = Decimal
TODAY = date(2026, 11, 23)
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


@pytest.mark.parametrize("tier", [None, "default", "standard", "auto", "on_demand", "ON_DEMAND", ""])
def test_the_standard_tier_by_any_name(tier: str | None) -> None:
    cost = charge(flat(MINI, flex=CLAUDE), input_tokens=1_000_000, output_tokens=0, service_tier=tier)
    assert (cost.total_usd, cost.status) == (D("0.4"), CostStatus.PRICED)


@pytest.mark.parametrize("tier", ["flex", "FLEX", "ON_DEMAND_FLEX"])
def test_another_tier_has_its_own_rates(tier: str) -> None:
    flex = Rates(input_usd_per_mtok=D("0.2"), output_usd_per_mtok=D("0.8"))
    cost = charge(flat(MINI, flex=flex), input_tokens=100, cached_input_tokens=50, output_tokens=100, service_tier=tier)
    assert cost.total_usd == D("0.0001")


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


def book(*rules: PriceRule, **tables: dict[str, Price]) -> PriceBook:
    return PriceBook(rules=rules, table=tables, version="base-1")


def priced(
    prices: PriceBook, model: str, *, label: str = "openai", name: str = "openai", on: date = TODAY, **counts: object
) -> Cost:
    usage = Usage(**{"input_tokens": 1_000_000, "output_tokens": 0, **counts})  # type: ignore[arg-type]
    return prices.price(usage, provider_label=label, provider_name=name, model=model, on=on)


def dollars(amount: int, starts_on: date = date.min) -> Price:
    return Price(starts_on=starts_on, card=RateCard(standard=Rates(input_usd_per_mtok=D(amount))))


def rule(model: str, *prices: Price, provider: str = "*") -> PriceRule:
    return PriceRule(provider=provider, model=model, prices=prices)


def test_the_cost_that_the_provider_states_wins() -> None:
    prices = book(rule("m", dollars(1)))
    cost = priced(prices, "m", provider_cost_usd=D("0.123"))
    assert (cost.total_usd, cost.source, cost.status) == (D("0.123"), "provider", CostStatus.PRICED)
    assert sum(part.amount_usd for part in cost.parts) == cost.total_usd
    assert priced(book(), "m", provider_cost_usd=D(0)).total_usd == 0


@pytest.mark.parametrize("stated", [D(-1), D("NaN"), D("Infinity")])
def test_a_stated_cost_that_is_no_amount_is_passed_over(stated: D) -> None:
    assert priced(book(rule("m", dollars(1))), "m", provider_cost_usd=stated).source == "table"


def test_a_model_without_a_price_is_unpriced_and_a_free_one_costs_nothing() -> None:
    assert priced(book(), "m") == Cost(status=CostStatus.UNPRICED, reason="no price for the model")
    free = book(rule("*", Price(is_free=True), provider="local"))
    assert priced(free, "m", name="local", label="vllm").total_usd == 0
    assert priced(free, "m").status is CostStatus.UNPRICED


@pytest.mark.parametrize(
    "usage",
    [Usage(), Usage(service_tier="default", speed="fast", inference_geo="us"), Usage(provider_cost_usd=D(-1))],
)
def test_a_name_that_counted_nothing_is_not_unpriced_but_unknown(usage: Usage) -> None:
    cost = book().price(usage, provider_label="openai", provider_name="openai", model="nobody", on=TODAY)
    assert cost == Cost(status=CostStatus.UNKNOWN, reason="no usage")


@pytest.mark.parametrize(
    "counted",
    [{"input_tokens": 0}, {"output_tokens": 5}, {"audio_seconds": D(3)}, {"web_search_calls": 1}],
)
def test_whatever_was_counted_wants_a_price(counted: dict[str, object]) -> None:
    usage = Usage(**counted)  # type: ignore[arg-type]
    cost = book().price(usage, provider_label="openai", provider_name="openai", model="nobody", on=TODAY)
    assert cost.status is CostStatus.UNPRICED


@pytest.mark.parametrize(
    ("on", "amount"),
    [(date(2025, 1, 1), 9), (date(2025, 6, 1), 1), (date(2026, 5, 31), 1), (date(2026, 6, 1), 2), (TODAY, 2)],
)
def test_a_call_has_the_price_of_its_day(on: date, amount: int) -> None:
    prices = book(rule("m", dollars(2, date(2026, 6, 1)), dollars(1, date(2025, 6, 1))), openai={"m": dollars(9)})
    assert priced(prices, "m", on=on).total_usd == amount


def test_the_operators_rules_win_exact_names_before_patterns() -> None:
    prices = book(
        rule("*", dollars(1)),
        rule("gpt-4*", dollars(2)),
        rule("gpt-4o", dollars(3)),
        rule("gpt-4o-2024-08-06", dollars(4)),
        openai={"gpt-4o": dollars(9), "o3": dollars(9)},
    )
    found = {
        model: priced(prices, model).total_usd
        for model in ("gpt-4o", "gpt-4o-2024-08-06", "gpt-4o-2024-05-13", "gpt-4.1", "o3")
    }
    assert found == {"gpt-4o": 3, "gpt-4o-2024-08-06": 4, "gpt-4o-2024-05-13": 3, "gpt-4.1": 2, "o3": 1}


def test_a_rule_matches_the_providers_name_or_label() -> None:
    prices = book(rule("m", dollars(1), provider="ours"), rule("m", dollars(2), provider="openai"))
    assert priced(prices, "m", name="ours", label="openai").total_usd == 1
    assert priced(prices, "m", name="theirs", label="openai").total_usd == 2
    assert priced(prices, "m", name="x", label="groq").status is CostStatus.UNPRICED


@pytest.mark.parametrize(
    ("label", "model", "amount"),
    [
        ("openai", "gpt-4.1-mini", 1),
        ("openai", "gpt-4.1-mini-2025-04-14", 1),
        ("openai", "GPT-4.1-mini", 1),
        ("openai", "gpt-4.1-mini-2025-04-15", 2),
        ("openai", "ft:gpt-4.1-mini-2025-04-14:org::id", 3),
        ("anthropic", "claude-sonnet-4-5-20250929", 4),
        ("anthropic", "claude-sonnet-4-5@20250929", 4),
        ("google", "models/gemini-2.5-pro", 5),
        ("openrouter", "anthropic/claude-sonnet-4-5", 4),
        ("openrouter", "openai/gpt-4.1-mini-2025-04-14", 1),
        ("openrouter", "x-ai/grok-4", 6),
        ("openai", "claude-sonnet-4-5", None),
        ("openai", "gpt-4.1-mini-preview", None),
    ],
)
def test_the_name_of_a_snapshot_or_a_vendors_path_leads_to_the_model(
    label: str, model: str, amount: int | None
) -> None:
    prices = book(
        openai={
            "gpt-4.1-mini": dollars(1),
            "gpt-4.1-mini-2025-04-15": dollars(2),
            "ft:gpt-4.1-mini-2025-04-14": dollars(3),
        },
        anthropic={"claude-sonnet-4-5": dollars(4)},
        google={"gemini-2.5-pro": dollars(5)},
        xai={"grok-4": dollars(6)},
    )
    assert priced(prices, model, label=label).total_usd == amount


def test_forms_of_a_name_go_from_the_most_telling_to_the_least() -> None:
    assert model_forms("ft:gpt-4o-2024-08-06:org::1") == (
        "ft:gpt-4o-2024-08-06:org::1",
        "ft:gpt-4o-2024-08-06",
        "ft:gpt-4o",
    )
    assert model_forms("gpt-4o") == ("gpt-4o",)
    assert model_forms("gpt-4-0613") == ("gpt-4-0613",)


def test_the_memo_is_bounded_and_forgets_nothing_that_matters() -> None:
    prices = book(rule("m*", dollars(1)))
    for number in range(10_000):
        assert prices.find("openai", "openai", f"m{number}", TODAY) is not None
    assert len(prices._memo) <= PriceBook._MEMO_LIMIT
