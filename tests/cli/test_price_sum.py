"""Whose price is taken where no provider is named, and what is left unsaid."""

from datetime import date
from decimal import Decimal

from proxy.cli.price_sum import as_json, as_text, nearest, price_call
from proxy.domain.price_book import PriceBook, PriceRule
from proxy.domain.rates import Origin, Price, RateCard, Rates
from proxy.domain.usage import Usage

TODAY = date(2026, 11, 23)
CALL = Usage(input_tokens=1000, output_tokens=0)
CALLERS = [("openai", "ours"), ("groq", "groq"), ("xai", "xai")]


def flat(input_usd: int, source: str | None = None) -> Price:
    rates = Rates(input_usd_per_mtok=Decimal(input_usd))
    origin = Origin(file="p.yaml", line=3, column=5, path="models.0.prices.0", source=source) if source else None
    return Price(card=RateCard(standard=rates), origin=origin)


def book(*rules: PriceRule) -> PriceBook:
    return PriceBook(rules=rules, table={"groq": {"m": flat(1)}, "xai": {"m": flat(2), "n": flat(1)}}, version="base-1")


def test_the_first_provider_that_has_a_price_is_taken_and_the_others_named() -> None:
    made = price_call(book(), CALLERS, "m", CALL, TODAY, is_named=False)
    assert made is not None
    assert (made.provider, made.others) == ("groq", ("xai",))


def test_a_price_for_any_model_of_any_provider_counts_and_one_of_a_single_provider_does_not() -> None:
    everywhere = PriceRule(provider="*", model="*", prices=(flat(7),))
    somewhere = PriceRule(provider="groq", model="*", prices=(flat(8),))
    assert price_call(book(everywhere), CALLERS, "x", CALL, TODAY, is_named=False) is not None
    assert price_call(book(somewhere), CALLERS, "x", CALL, TODAY, is_named=False) is None
    assert price_call(book(somewhere), CALLERS, "x", CALL, TODAY, is_named=True) is not None


def test_a_source_that_holds_a_key_is_not_shown() -> None:
    source = "https://x.test/?token=sk-proj-4f9a8b7c6d5e4f3a2b1c"
    rule = PriceRule(provider="*", model="m", prices=(flat(7, source),))
    made = price_call(book(rule), CALLERS, "m", CALL, TODAY, is_named=True)
    assert made is not None
    assert "source  (a value that looks like a secret)" in list(as_text(made, "v"))
    assert as_json(made, "v")["source"] is None


def test_near_names_are_those_of_both_lists() -> None:
    rule = PriceRule(provider="*", model="Custom-Model", prices=(flat(7),))
    prices = PriceBook(rules=[rule], table={"openai": {"custom-moder": flat(1)}}, version="base-1")
    assert nearest(prices, "custom-mode") == ["custom-moder", "Custom-Model"]
