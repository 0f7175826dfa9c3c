from datetime import date
from decimal import Decimal

import pytest

from proxy.config.document import parse_document
from proxy.config.prices import PricingFile, compile_rules
from proxy.config.schema import check_document
from proxy.domain.price_book import PriceRule
from proxy.domain.rates import Origin, Rates

D = Decimal
TODAY = date(2026, 11, 23)


def compiled(text: str) -> tuple[tuple[PriceRule, ...], list[str]]:
    document = parse_document("p", b"version: 1\n" + text.encode(), {})
    rules = compile_rules(document, check_document(document, PricingFile) or PricingFile(version=1))
    return rules, [str(problem) for problem in document.problems]


def one(prices: str) -> PriceRule:
    rules, problems = compiled(f"models:\n  - match: {{provider: p, model: m}}\n    prices:\n{prices}")
    assert problems == []
    return rules[0]


def test_dated_prices_are_taken_newest_first_and_exactly() -> None:
    rule = one(
        "      - {from: 2025-04-14, input_usd_per_mtok: 0.40, source: https://x, checked: 2026-11-20}\n"
        "      - {from: 2026-06-01, input_usd_per_mtok: 0.1500000000000000055, output_usd_per_mtok: 2}\n"
        "      - {input_usd_per_mtok: 9}\n"
    )
    assert (rule.provider, rule.model) == ("p", "m")
    assert [price.starts_on for price in rule.prices] == [date(2026, 6, 1), date(2025, 4, 14), date.min]
    assert rule.prices[0].card.standard == Rates(
        input_usd_per_mtok=D("0.1500000000000000055"), output_usd_per_mtok=D(2)
    )


def test_tiers_have_rates_or_a_multiplier_and_calls_cost_the_same_in_each() -> None:
    (price,) = one(
        "      - input_usd_per_mtok: 2\n        cached_input_usd_per_mtok: 0.5\n        web_search_usd_per_call: 0.01\n"
        "        service_tiers: {Flex: {multiplier: 0.5}, priority: {input_usd_per_mtok: 4}}\n"
    ).prices
    assert price.card.service_tiers == {
        "flex": Rates(input_usd_per_mtok=D(1), cached_input_usd_per_mtok=D("0.25"), web_search_usd_per_call=D("0.01")),
        "priority": Rates(input_usd_per_mtok=D(4), web_search_usd_per_call=D("0.01")),
    }


def test_long_contexts_and_multipliers() -> None:
    (price,) = one(
        "      - input_usd_per_mtok: 1\n        usd_per_call: 0.001\n        long_context:\n"
        "          - {above_input_tokens: 200000, input_usd_per_mtok: 2, service_tiers: {flex: {multiplier: 0.5}}}\n"
        "          - {above_input_tokens: 500000, input_usd_per_mtok: 3}\n"
        "        speed_multipliers: {Fast: 2}\n        region_multipliers: {us: 1.1}\n"
    ).prices
    assert [(above, card.standard.input_usd_per_mtok) for above, card in price.long_context] == [
        (500_000, D(3)),
        (200_000, D(2)),
    ]
    assert price.long_context[1][1].service_tiers["flex"].input_usd_per_mtok == D(1)
    assert price.long_context[0][1].standard.usd_per_call == D("0.001")
    assert (price.speed_multipliers, price.region_multipliers) == ({"fast": D(2)}, {"us": D("1.1")})


def test_a_free_model() -> None:
    rules, problems = compiled('models: [{match: {model: "*"}, free: true}]')
    assert problems == []
    assert rules[0].provider == "*"
    assert rules[0].prices[0].is_free


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("input_usd_per_mtok: 0.00000015", "looks like USD for one token"),
        ("input_usd_per_mtok: 1500", "more than 1000 USD per million tokens"),
        ("input_usd_per_mtok: -1", "at least 0 USD"),
        ("input_usd_per_mtok: true", "this must be a number"),
        ("input_usd_per_mtok: cheap", "this must be a number"),
        ("input_usd_per_mtok: .inf", "finite"),
        ("input_usd_per_mtok: 'Infinity'", "finite"),
        ("usd_per_call: 101", "at most 100 USD"),
        ("input_usd_per_token: 1", "did you mean `input_usd_per_mtok`?"),
        ("from: 2025-13-01, usd_per_call: 1", "a date, year first"),
        ("source: x", "a price needs at least one rate"),
        ("usd_per_call: 1, service_tiers: {flex: {multiplier: 2, usd_per_call: 1}}", "either a `multiplier` or rates"),
        ("usd_per_call: 1, speed_multipliers: {fast: 0}", "more than 0"),
        (
            "usd_per_call: 1, long_context: [{above_input_tokens: 5}, {above_input_tokens: 5, usd_per_call: 2}]",
            "two entries are for the same threshold",
        ),
        ("usd_per_image: 101", "at most 100 USD"),
        ("cache_write_12h_usd_per_mtok: 0.00001", "looks like USD for one token"),
        ("usd_per_call: 1, long_context: [{input_usd_per_mtok: 1}]", "above_input_tokens: this key is required"),
    ],
)
def test_a_slip_in_a_price_is_named(entry: str, problem: str) -> None:
    found = compiled(f"models: [{{match: {{model: m}}, prices: [{{{entry}}}]}}]")[1]
    assert any(problem in line and "p:2:" in line for line in found), found


def test_a_price_knows_where_it_is_written_and_on_whose_word() -> None:
    rules, problems = compiled(
        "models:\n  - match: {model: m}\n    prices:\n"
        "      - {from: 2026-01-01, usd_per_call: 1}\n"
        "      - {usd_per_call: 2, source: https://x, checked: 2026-11-20}\n"
        "  - {match: {model: n}, free: true}\n"
    )
    assert problems == []
    newest, oldest = rules[0].prices
    assert newest.origin == Origin(file="p", line=5, column=9, path="models.0.prices.0")
    assert oldest.origin == Origin(
        file="p", line=6, column=9, path="models.0.prices.1", source="https://x", checked=date(2026, 11, 20)
    )
    assert rules[1].prices[0].origin == Origin(file="p", line=7, column=5, path="models.1")


@pytest.mark.parametrize(
    ("first", "second", "problem"),
    [
        (("openai", "m"), ("openai", "m"), "the entry on line 3 is for the same calls; put the prices of both"),
        (("*", "gpt-*"), ("open*", "gpt-*"), "this never holds: the entry on line 3 matches all that it does"),
        (("*", "*a*"), ("*", "a*"), "this never holds"),
        (("open*", "gpt-*"), ("*", "gpt-*"), None),
        (("*", "gpt-*"), ("openai", "gpt-*"), None),
        (("*", "gpt-*"), ("*", "gpt-4*"), None),
        (("*", "gpt-*"), ("*", "gpt-4o"), None),
        (("ours", "m"), ("openai", "m"), None),
    ],
)
def test_an_entry_that_can_never_hold_is_named(
    first: tuple[str, str], second: tuple[str, str], problem: str | None
) -> None:
    entries = "".join(
        f'  - {{match: {{provider: "{provider}", model: "{model}"}}, free: true}}\n'
        for provider, model in (first, second)
    )
    found = compiled("models:\n" + entries)[1]
    assert len(found) == (problem is not None)
    assert problem is None or (found[0].startswith("p:4:5: models.1: ") and problem in found[0])


def test_an_entry_that_holds_on_earlier_days_is_not_hidden() -> None:
    later, earlier = "[{from: 2026-01-01, usd_per_call: 1}]", "[{usd_per_call: 2}]"
    for first, second, problems in ((later, earlier, 0), (earlier, later, 1)):
        entries = (
            f"- {{match: {{model: '{model}'}}, prices: {prices}}}\n"
            for model, prices in (("*a*", first), ("a*", second))
        )
        assert len(compiled("models:\n" + "".join(entries))[1]) == problems


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("{match: {model: m}}", "give either `prices` or `free: true`"),
        ("{match: {model: m}, free: true, prices: [{usd_per_call: 1}]}", "give either `prices` or `free: true`"),
        ("{match: {model: m}, prices: [{usd_per_call: 1}, {usd_per_call: 2}]}", "two prices start on the same day"),
    ],
)
def test_an_entry_is_of_one_kind_and_its_days_differ(entry: str, problem: str) -> None:
    assert [line.split(": ", 2)[2] for line in compiled(f"models: [{entry}]")[1]] == [problem]
