"""Laws of every bill, whatever the counts and the rates."""

from dataclasses import fields, replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.domain.pricing import Cost, CostStatus, cost_of
from proxy.domain.rates import Price, RateCard, Rates
from proxy.domain.tariffs import terms_of
from proxy.domain.usage import Usage

COUNT = st.integers(0, 10_000_000)
OPTIONAL_COUNT = st.none() | st.integers(-5, 10_000_000)
RATE = st.decimals(0, 1000, places=6)
RATES = st.builds(Rates, **{entry.name: st.none() | RATE for entry in fields(Rates)})
FULL_RATES = st.builds(Rates, **{entry.name: RATE for entry in fields(Rates)})
ANY_USAGE = st.builds(
    Usage,
    **{entry.name: OPTIONAL_COUNT for entry in fields(Usage) if entry.name.endswith(("_tokens", "_calls", "_images"))},
    service_tier=st.sampled_from([None, "default", "flex", "priority", "never heard of"]),
    speed=st.sampled_from([None, "standard", "fast"]),
    inference_geo=st.sampled_from([None, "global", "us"]),
    audio_seconds=st.none() | st.decimals(min_value=-1, max_value=10_000, places=3) | st.just(Decimal("NaN")),
)
PRICE = st.builds(
    Price,
    card=st.builds(RateCard, standard=RATES, service_tiers=st.fixed_dictionaries({}, optional={"flex": RATES})),
    long_context=st.lists(st.tuples(COUNT, st.builds(RateCard, standard=RATES)), max_size=2).map(tuple),
    speed_multipliers=st.fixed_dictionaries({}, optional={"fast": st.decimals("0.1", 10, places=2)}),
)


@st.composite
def possible_usages(draw: st.DrawFn) -> Usage:
    """Counts that can be true, made from disjoint parts."""
    plain, cached, short, long, longest = (draw(COUNT) for _ in range(5))
    answer, reasoning = draw(COUNT), draw(COUNT)
    return Usage(
        input_tokens=plain + cached + short + long + longest,
        cached_input_tokens=cached,
        cache_creation_input_tokens=short + long + longest,
        cache_creation_5m_tokens=draw(st.sampled_from([None, short])),
        cache_creation_1h_tokens=long,
        cache_creation_12h_tokens=longest,
        output_tokens=answer + reasoning,
        reasoning_tokens=reasoning,
    )


def charge(usage: Usage, rates: Rates) -> Cost:
    return cost_of(usage, Price(card=RateCard(standard=rates)), "v")


def total(usage: Usage, rates: Rates) -> Decimal:
    cost = charge(usage, rates)
    assert cost.total_usd is not None
    return cost.total_usd


@settings(max_examples=200)
@given(ANY_USAGE, PRICE)
def test_parts_sum_to_the_total_and_none_is_negative(usage: Usage, price: Price) -> None:
    cost = cost_of(usage, price, "v")
    assert all(part.amount_usd >= 0 and part.quantity > 0 for part in cost.parts)
    assert all(part.quantity * part.unit_price_usd == part.amount_usd for part in cost.parts)
    if cost.total_usd is None:
        assert cost.parts == ()
        assert cost.status in (CostStatus.UNKNOWN, CostStatus.UNPRICED)
    else:
        assert sum(part.amount_usd for part in cost.parts) == cost.total_usd
        assert cost.status in (CostStatus.PRICED, CostStatus.PARTIAL)
    assert (cost.reason == "") is (cost.status is CostStatus.PRICED)


@given(possible_usages(), FULL_RATES)
def test_every_token_is_charged_exactly_once(usage: Usage, rates: Rates) -> None:
    cost = charge(usage, rates)
    charged = sum(part.quantity for part in cost.parts if part.name != "call")
    assert charged == (usage.input_tokens or 0) + (usage.output_tokens or 0)


@settings(max_examples=200)
@given(ANY_USAGE, PRICE)
def test_each_part_is_charged_by_the_rate_that_it_names(usage: Usage, price: Price) -> None:
    terms = terms_of(usage, price)
    for part in cost_of(usage, price, "v").parts:
        rate = getattr(terms.rates, part.rate)
        is_by_token = part.rate.endswith("_per_mtok")
        assert part.unit_price_usd == (rate * terms.multiplier / 1_000_000 if is_by_token else rate)


@settings(max_examples=200)
@given(ANY_USAGE, RATES)
def test_a_price_that_names_what_the_gaps_ask_for_leaves_none_of_them(usage: Usage, rates: Rates) -> None:
    asked = {gap.key for gap in charge(usage, rates).gaps} & {entry.name for entry in fields(Rates)}
    closed = charge(usage, replace(rates, **dict.fromkeys(asked, Decimal(1))))
    assert asked.isdisjoint({gap.key for gap in closed.gaps})


@given(possible_usages(), FULL_RATES, COUNT, COUNT)
def test_more_tokens_never_cost_less(usage: Usage, rates: Rates, more_input: int, more_output: int) -> None:
    more = replace(
        usage,
        input_tokens=(usage.input_tokens or 0) + more_input,
        output_tokens=(usage.output_tokens or 0) + more_output,
    )
    assert total(more, rates) >= total(usage, rates)


@given(possible_usages(), FULL_RATES)
def test_a_cached_token_never_costs_more_where_its_rate_is_lower(usage: Usage, rates: Rates) -> None:
    assert rates.input_usd_per_mtok is not None
    cheaper = replace(rates, cached_input_usd_per_mtok=rates.input_usd_per_mtok / 10)
    uncached = replace(usage, cached_input_tokens=0)
    assert total(usage, cheaper) <= total(uncached, cheaper)
    assert total(usage, replace(rates, cached_input_usd_per_mtok=None)) == total(uncached, rates)
