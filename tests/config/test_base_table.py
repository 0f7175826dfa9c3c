"""The table that is checked in: what people call has its price, and no rate is absurd."""

from datetime import date
from decimal import Decimal
from importlib.resources import files

import pytest

from proxy.config.base_table import load_base_table
from proxy.domain.price_book import PriceBook
from proxy.domain.pricing import CostStatus, cost_of
from proxy.domain.usage import Usage

D = Decimal
TODAY = date(2026, 11, 23)
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
        (
            "openai",
            "gpt-6-sol",
            {"cache_creation_input_tokens": 900, "cache_creation_12h_tokens": 500},
            "0.0087",
        ),
        (
            "xai",
            "grok-imagine-image",
            {"input_tokens": None, "output_tokens": None, "output_images": 2},
            "0.04",
        ),
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
