"""Which price holds: the operator's rules before the table, the special before the general, by the call's day."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.domain.price_book import Found, PriceBook, PriceRule, hides, model_forms
from proxy.domain.pricing import Cost, CostStatus
from proxy.domain.rates import Price, RateCard, Rates
from proxy.domain.usage import Usage

D = Decimal
TODAY = date(2026, 11, 23)


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


def test_of_patterns_the_one_that_says_most_wins_whatever_form_of_the_name_it_matches() -> None:
    prices = book(rule("*", dollars(1)), rule("gemini-2.5*", dollars(2)), rule("gemini*", dollars(3)))
    assert priced(prices, "models/gemini-2.5-pro", label="google").total_usd == 2


def test_an_exact_provider_wins_over_a_pattern_and_then_the_order_of_the_file() -> None:
    prices = book(
        rule("m*", dollars(1), provider="open*"),
        rule("m*", dollars(2), provider="*"),
        rule("m*", dollars(3), provider="openai"),
        rule("m-1", dollars(4), provider="*"),
    )
    assert priced(prices, "m-2").total_usd == 3
    assert priced(prices, "m-2", label="openrouter", name="router").total_usd == 1
    assert priced(prices, "m-1").total_usd == 4


def test_what_was_found_says_where_and_under_which_name() -> None:
    own, table = dollars(1, date(2026, 1, 1)), dollars(9)
    entry = rule("gpt-4*", own)
    prices = book(entry, openai={"gpt-4o": table})
    dated = "gpt-4o-2024-08-06"
    assert prices.find("openai", "ours", dated, TODAY) == Found(price=own, form=dated, rule=entry)
    assert prices.find("openai", "ours", dated, date(2025, 1, 1)) == Found(price=table, form="gpt-4o", vendor="openai")
    routed = Found(price=table, form="gpt-4o", vendor="openai")
    assert prices.find("openrouter", "x", "openai/gpt-4o", TODAY) == routed
    assert prices.find("openrouter", "x", "gpt-4o", date(2025, 1, 1)) is None


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
    snapshot = "gpt-3.5-turbo-instruct:20230824-v2"
    assert model_forms(snapshot) == (snapshot, "gpt-3.5-turbo-instruct")
    assert model_forms("gemini-2.5-flash-001") == ("gemini-2.5-flash-001", "gemini-2.5-flash")
    assert model_forms("llama3:70b") == ("llama3:70b",)


def test_the_memo_is_bounded_and_forgets_nothing_that_matters() -> None:
    prices = book(rule("m*", dollars(1)))
    for number in range(10_000):
        assert prices.find("openai", "openai", f"m{number}", TODAY) is not None
    assert len(prices._memo) <= PriceBook._MEMO_LIMIT


def test_tariffs_are_bounded_and_each_call_has_its_own() -> None:
    tiers = {"flex": Rates(input_usd_per_mtok=D("0.5"))}
    new = Price(starts_on=TODAY, card=RateCard(standard=Rates(input_usd_per_mtok=D(2)), service_tiers=tiers))
    prices = book(rule("m*", new, dollars(1)))
    for number in range(1_000):
        model = f"m{number}"
        assert priced(prices, model).total_usd == 2
        assert priced(prices, model, service_tier="flex").total_usd == D("0.5")
        assert priced(prices, model, on=date(2020, 1, 1)).total_usd == 1
        assert priced(prices, model).total_usd == 2
    assert len(prices._tariffs) <= PriceBook._TARIFFS_LIMIT


PATTERNS = st.text("ab*", min_size=1, max_size=4)
OWN_RULES = st.builds(
    lambda provider, model, day: rule(model, dollars(1, day), provider=provider),
    PATTERNS,
    PATTERNS,
    st.sampled_from([date.min, date(2026, 1, 1)]),
)


@settings(max_examples=400)
@given(OWN_RULES, OWN_RULES)
def test_a_hidden_rule_never_holds_and_another_one_does_somewhere(earlier: PriceRule, later: PriceRule) -> None:
    """The call that tells: each `*` stands for something that no pattern names, on the rule's first day."""
    provider, model = (pattern.replace("*", "z") for pattern in (later.provider, later.model))
    found = book(earlier, later).find(provider, provider, model, later.prices[0].starts_on)
    assert found is not None
    assert (found.rule is later) is not hides(earlier, later)


DAYS = st.dates(date(2024, 1, 1), date(2028, 1, 1))


@given(st.dictionaries(DAYS, st.integers(1, 1000), min_size=1, max_size=5), DAYS, DAYS)
def test_a_later_price_never_changes_what_an_earlier_call_costs(
    entries: dict[date, int], begins: date, on: date
) -> None:
    dated = [dollars(amount, day) for day, amount in entries.items() if day != begins]
    before = book(rule("m", *newest_first(dated)), openai={"m": dollars(5000)})
    after = book(rule("m", *newest_first([*dated, dollars(7777, begins)])), openai={"m": dollars(5000)})
    if on < begins:
        assert priced(after, "m", on=on).total_usd == priced(before, "m", on=on).total_usd
    else:
        assert (priced(after, "m", on=on).total_usd == 7777) is not any(begins < day <= on for day in entries)


def newest_first(prices: list[Price]) -> list[Price]:
    return sorted(prices, key=lambda price: price.starts_on, reverse=True)
