"""What is held against what, and how much of it is shown."""

from datetime import date
from decimal import Decimal

from proxy.cli.price_check import Report, as_json, as_text, hold_against
from proxy.cli.price_sources import TablePrices
from proxy.domain.price_book import PriceBook, PriceRule
from proxy.domain.rates import Origin, Price, RateCard, Rates

D = Decimal
TODAY = date(2026, 11, 23)


def flat(input_usd: str, output_usd: str = "8") -> Price:
    rates = Rates(input_usd_per_mtok=D(input_usd), output_usd_per_mtok=D(output_usd))
    return Price(card=RateCard(standard=rates))


OURS = {
    "openai": {"a": flat("2"), "a-2025-04-14": flat("2"), "b": flat("1", "4"), "c": flat("1")},
    "groq": {"d": flat("3")},
}
THEIRS = TablePrices(
    "theirs 1.0",
    {
        "openai": {"a": flat("4"), "a-2025-04-14": flat("4"), "b": flat("10", "0"), "new": flat("5")},
        "groq": {"d": flat("3")},
    },
)


def report(*rules: PriceRule) -> Report:
    book = PriceBook(rules=rules, table=OURS, version="base-1")
    return hold_against(THEIRS, book, [("openai", "ours"), ("groq", "groq")], TODAY)


def test_the_built_in_table_is_compared_model_by_model() -> None:
    assert list(as_text(report(), None)) == [
        "theirs 1.0: 4 models compared, 4 rates agree, 3 models differ; 1 models are in our table alone",
        "  openai",
        "    b",
        "      output_usd_per_mtok                           ours 4          theirs 0",
        "      input_usd_per_mtok                            ours 1          theirs 10         ×0.1",
        "    a, a-2025-04-14",
        "      input_usd_per_mtok                            ours 2          theirs 4          ×0.5",
    ]


def test_no_more_lines_than_asked_for_and_the_farthest_first() -> None:
    lines = list(as_text(report(), 1))
    assert lines[1:] == [
        "  openai",
        "    b",
        "      output_usd_per_mtok                           ours 4          theirs 0",
        "  2 more lines; --limit 0 shows all",
    ]


def test_many_models_that_differ_alike_are_one_line() -> None:
    many = Report(source="s")
    for number in range(5):
        many.take("openai", f"m{number}", flat("1"), flat("2"))
    assert "    m0, m1, m2 and 2 more" in list(as_text(many, None))


def test_the_operators_entry_is_held_against_the_models_that_it_prices_and_named_by_its_line() -> None:
    origin = Origin(file="pricing.yaml", line=7, column=9, path="models.0.prices.0")
    price = Price(card=RateCard(standard=Rates(input_usd_per_mtok=D(6))), origin=origin)
    found = as_json(report(PriceRule(provider="ours", model="n*", prices=(price,))), None)["differences"]
    assert isinstance(found, list)
    assert [row for row in found if row["place"] == "pricing.yaml:7"] == [
        {
            "place": "pricing.yaml:7",
            "models": ["new"],
            "rate": "input_usd_per_mtok",
            "ours": "6",
            "theirs": "5",
            "ratio": 1.2,
        },
        {
            "place": "pricing.yaml:7",
            "models": ["new"],
            "rate": "output_usd_per_mtok",
            "ours": None,
            "theirs": "8",
            "ratio": None,
        },
    ]


def test_an_entry_for_another_provider_is_not_held_against_it() -> None:
    rule = PriceRule(provider="elsewhere", model="*", prices=(flat("9"),))
    assert report(rule).rows == report().rows
