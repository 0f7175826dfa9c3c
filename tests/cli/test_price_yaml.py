"""What is offered to paste can be pasted, and says all that the price said before."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from proxy.cli.price_yaml import closing_entry, closing_keys, new_entry
from proxy.config.base_table import load_base_table
from proxy.config.document import parse_document
from proxy.config.prices import PricingFile, compile_rules
from proxy.config.schema import check_document
from proxy.domain.price_book import PriceRule
from proxy.domain.pricing import cost_of
from proxy.domain.rates import Price, RateCard, Rates
from proxy.domain.tariffs import terms_of
from proxy.domain.usage import Usage

D = Decimal
TODAY = date(2026, 11, 23)
BASE = load_base_table().models


def pasted(entry: str) -> PriceRule:
    text = "version: 1\nmodels:\n" + "\n".join(f"  {line}" for line in entry.splitlines())
    document = parse_document("p", text.encode(), {})
    file = check_document(document, PricingFile)
    assert file is not None, document.problems
    (rule,) = compile_rules(document, file)
    assert document.problems == []
    return rule


@pytest.mark.parametrize("model", ["m", 'odd "name": #x', "ünïcode/m:free", "yes", "1e3"])
def test_an_entry_for_a_new_model_can_be_pasted(model: str) -> None:
    rule = pasted(new_entry("*", model, TODAY))
    assert (rule.provider, rule.model) == ("*", model)
    assert (rule.prices[0].starts_on, rule.prices[0].card.standard.output_usd_per_mtok) == (TODAY, D(0))


def test_an_entry_that_closes_nothing_is_the_built_in_price() -> None:
    for label, model in (("openai", "gpt-6-sol"), ("anthropic", "claude-opus-5"), ("google", "gemini-2.5-pro")):
        price = BASE[label][model]
        terms = terms_of(Usage(), price)
        rule = pasted(closing_entry(label, model, TODAY, price, terms, Usage(), ()))
        assert replace(rule.prices[0], origin=None) == replace(price, starts_on=TODAY)


TIERED = Price(
    card=RateCard(standard=Rates(input_usd_per_mtok=D(2), output_usd_per_mtok=D(8))),
    long_context=(
        (
            200_000,
            RateCard(
                standard=Rates(input_usd_per_mtok=D(4), output_usd_per_mtok=D(12)),
                service_tiers={"flex": Rates(input_usd_per_mtok=D(1))},
            ),
        ),
    ),
)


@pytest.mark.parametrize(
    ("counts", "paths"),
    [
        ({"audio_input_tokens": 5}, ["audio_input_usd_per_mtok"]),
        ({"web_search_calls": 1}, ["web_search_usd_per_call"]),
        ({"service_tier": "Priority"}, ["service_tiers.Priority.multiplier"]),
        ({"speed": "fast", "inference_geo": "us"}, ["speed_multipliers.fast", "region_multipliers.us"]),
        (
            {"input_tokens": 300_000, "service_tier": "odd: tier"},
            ["long_context above 200000.service_tiers.odd: tier.multiplier"],
        ),
        ({"input_tokens": 300_000, "audio_input_tokens": 5}, ["long_context above 200000.audio_input_usd_per_mtok"]),
        (
            {"input_tokens": 300_000, "service_tier": "flex"},
            ["long_context above 200000.service_tiers.flex.output_usd_per_mtok"],
        ),
    ],
)
def test_each_gap_is_closed_where_it_arose_and_the_entry_then_has_none(
    counts: dict[str, object], paths: list[str]
) -> None:
    usage = Usage(**{"input_tokens": 100, "output_tokens": 50, **counts})  # type: ignore[arg-type]
    gaps, terms = cost_of(usage, TIERED, "").gaps, terms_of(usage, TIERED)
    assert [".".join(path) for path, _ in closing_keys(terms, usage, gaps)] == paths
    rule = pasted(closing_entry("openai", "m", TODAY, TIERED, terms, usage, gaps))
    assert cost_of(usage, rule.prices[0], "").gaps == ()
