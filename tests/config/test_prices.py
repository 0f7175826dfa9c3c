from datetime import date
from decimal import Decimal
from importlib.resources import files

import pytest

from proxy.config.document import parse_document
from proxy.config.prices import PricingFile, compile_rules, load_base_table
from proxy.config.schema import check_document
from proxy.domain.price_book import PriceBook, PriceRule
from proxy.domain.pricing import CostStatus, cost_of
from proxy.domain.rates import Rates
from proxy.domain.usage import Usage

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
        ("usd_per_call: 1, long_context: [{input_usd_per_mtok: 1}]", "above_input_tokens: this key is required"),
    ],
)
def test_a_slip_in_a_price_is_named(entry: str, problem: str) -> None:
    found = compiled(f"models: [{{match: {{model: m}}, prices: [{{{entry}}}]}}]")[1]
    assert any(problem in line and "p:2:" in line for line in found), found


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


BASE = load_base_table()
BOOK = PriceBook(table=BASE.models, version=BASE.version)


@pytest.mark.parametrize(
    ("label", "model", "counts", "total"),
    [
        ("openai", "gpt-4.1-mini-2025-04-14", {"cached_input_tokens": 400}, "0.00108"),
        ("openai", "gpt-5", {"service_tier": "flex"}, "0.003125"),
        ("openai", "gpt-5", {"service_tier": "priority"}, "0.0125"),
        ("anthropic", "claude-opus-5", {"speed": "fast", "inference_geo": "us"}, "0.0385"),
        ("google", "gemini-2.5-pro", {"input_tokens": 300_000, "output_tokens": 0}, "0.75"),
        ("openrouter", "openai/gpt-4.1-mini", {}, "0.0012"),
        ("openai", "omni-moderation-latest", {}, "0"),
        ("openai", "whisper-1", {"input_tokens": None, "output_tokens": None, "audio_seconds": D(60)}, "0.006"),
    ],
)
def test_the_base_table_prices_what_people_call(label: str, model: str, counts: dict[str, object], total: str) -> None:
    usage = Usage(**{"input_tokens": 1000, "output_tokens": 500, **counts})  # type: ignore[arg-type]
    cost = BOOK.price(usage, provider_label=label, provider_name=label, model=model, on=TODAY)
    assert (cost.total_usd, cost.status) == (D(total), CostStatus.PRICED)
    assert cost.pricing_version == BASE.version


def test_the_base_table_is_sane_and_small() -> None:
    assert len((files("proxy") / "data" / "prices.json").read_bytes()) < 1024 * 1024
    assert {"openai", "anthropic", "google", "azure_openai", "groq", "mistral", "deepseek", "xai"} <= set(BASE.models)
    for models in BASE.models.values():
        for model, price in models.items():
            assert model == model.lower()
            rates = [price.card.standard, *price.card.service_tiers.values()]
            rates += [rate for _, card in price.long_context for rate in (card.standard, *card.service_tiers.values())]
            per_mtok = [
                rate for entry in rates for rate in (entry.input_usd_per_mtok, entry.output_usd_per_mtok) if rate
            ]
            assert all(D("0.0001") <= rate <= 1000 for rate in per_mtok), model
            assert [above for above, _ in price.long_context] == sorted(
                (above for above, _ in price.long_context), reverse=True
            )


def test_no_model_of_the_base_table_makes_cached_input_dearer() -> None:
    plain = Usage(input_tokens=1000, cached_input_tokens=0, output_tokens=0)
    cached = Usage(input_tokens=1000, cached_input_tokens=1000, output_tokens=0)
    dearer = {
        model
        for models in BASE.models.values()
        for model, price in models.items()
        if (cost_of(cached, price, "").total_usd or 0) > (cost_of(plain, price, "").total_usd or 0)
    }
    assert dearer == set()
