"""What `promptlane check` asks the operator to look at again, and what it lets pass."""

from datetime import date
from decimal import Decimal

import pytest

from proxy.domain.price_book import PriceRule
from proxy.domain.price_doubts import doubts
from proxy.domain.rates import Origin, Price, RateCard, Rates

D = Decimal
TODAY = date(2026, 11, 23)


def flat(input_usd: str, output_usd: str) -> Price:
    rates = Rates(input_usd_per_mtok=D(input_usd), output_usd_per_mtok=D(output_usd))
    return Price(card=RateCard(standard=rates))


TABLE = {
    "openai": {"gpt-4.1-mini": flat("0.4", "1.6"), "gpt-5-nano": flat("0.05", "0.4"), "gpt-5-pro": flat("15", "120")},
    "groq": {"gpt-4.1-mini": flat("4", "16")},
}


def doubted(
    rates: Rates | None = None,
    *,
    model: str = "gpt-4.1-mini",
    provider: str = "openai",
    starts_on: date = date.min,
    checked: date | None = None,
) -> list[str]:
    origin = Origin(file="pricing.yaml", line=4, column=9, path="models.0.prices.0", checked=checked)
    price = Price(card=RateCard(standard=rates or Rates(usd_per_call=D(1))), starts_on=starts_on, origin=origin)
    return [str(doubt) for doubt in doubts([PriceRule(provider=provider, model=model, prices=(price,))], TABLE, TODAY)]


def test_a_rate_per_thousand_tokens_is_doubted_where_it_stands() -> None:
    rates = Rates(input_usd_per_mtok=D("0.0004"), output_usd_per_mtok=D("1.6"))
    assert doubted(rates) == [
        "pricing.yaml:4:9: models.0.prices.0.input_usd_per_mtok: 0.0004 is about 1/1,000 of the built-in 0.4 of "
        "gpt-4.1-mini: is it per thousand tokens?"
    ]


@pytest.mark.parametrize(
    ("input_usd", "words"),
    [
        ("0.0002", "is it per thousand tokens?"),
        ("0.0000004", "about 1/1,000,000 of the built-in 0.4 of gpt-4.1-mini: is it per token?"),
        ("400", "400 is about 1,000 times the built-in 0.4 of gpt-4.1-mini"),
        ("0.002", None),
        ("0.04", None),
        ("0", None),
        ("100", None),
    ],
)
def test_a_discount_is_a_discount_and_another_unit_is_asked_about(input_usd: str, words: str | None) -> None:
    found = doubted(Rates(input_usd_per_mtok=D(input_usd)))
    assert len(found) == (words is not None)
    assert words is None or words in found[0]


def test_a_snapshot_is_held_against_its_model() -> None:
    assert len(doubted(Rates(input_usd_per_mtok=D("0.0004")), model="gpt-4.1-mini-2025-04-14")) == 1


def test_a_pattern_is_doubted_only_where_it_is_off_every_model_that_it_matches() -> None:
    assert doubted(Rates(input_usd_per_mtok=D("0.0004")), model="gpt-5*") == []
    assert "of gpt-5-nano" in doubted(Rates(input_usd_per_mtok=D("0.00005")), model="GPT-5*")[0]


def test_a_provider_of_the_operators_own_is_held_against_all_vendors() -> None:
    rates = Rates(input_usd_per_mtok=D("0.004"))
    assert doubted(rates, provider="ours") == []
    assert len(doubted(rates, provider="groq")) == 1


def test_what_has_no_built_in_price_is_not_doubted() -> None:
    assert doubted(Rates(input_usd_per_mtok=D("0.0004"), usd_per_call=D(50)), model="ours-1") == []


@pytest.mark.parametrize(
    ("starts_on", "checked", "words"),
    [
        (date(2062, 11, 23), None, ".from: 2062-11-23 is more than a year ahead"),
        (date(2027, 11, 1), None, None),
        (date(2026, 6, 1), date(2026, 5, 1), ".checked: the price holds since 2026-06-01 and was checked before that"),
        (date(2026, 12, 1), date(2026, 11, 20), None),
        (date(2026, 6, 1), date(2026, 6, 1), None),
        (date.min, date(2026, 11, 24), ".checked: 2026-11-24 has not come yet"),
        (date.min, TODAY, None),
    ],
)
def test_days_that_can_hardly_be_meant(starts_on: date, checked: date | None, words: str | None) -> None:
    """A price that was announced is checked before it holds."""
    found = doubted(starts_on=starts_on, checked=checked)
    assert len(found) == (words is not None)
    assert words is None or words in found[0]
