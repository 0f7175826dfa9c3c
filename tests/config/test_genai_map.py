"""genai-prices' data as prices: invented models by value, the real ones as a whole."""

import subprocess
import sys
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from genai_prices.types import (
    ClauseEquals,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    Provider,
    StartDateConstraint,
    Tier,
    TieredPrices,
)

from proxy.config import genai_map
from proxy.config.base_table import load_base_table
from proxy.config.genai_map import GenaiPrices
from proxy.domain.price_differences import compare
from proxy.domain.rates import Price, Rates

D = Decimal
TODAY = date(2026, 11, 23)


def stepped(base: int, above: int, *, start: int = 200_000) -> TieredPrices:
    return TieredPrices(base=D(base), tiers=[Tier(start=start, price=D(above))])


def found(monkeypatch: pytest.MonkeyPatch, prices: Any, *, on: date = TODAY, **more: Any) -> Price:
    """One invented model of xAI's, as our price."""
    model = ModelInfo(id="m", match=ClauseEquals(equals="m"), prices=prices, **more)
    monkeypatch.setattr(genai_map, "providers", [Provider(id="x-ai", name="xAI", api_pattern="", models=[model])])
    price = GenaiPrices(on).find("xai", "m")
    assert price is not None
    return price


def test_each_rate_in_our_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    price = found(
        monkeypatch,
        ModelPrice(
            input_mtok=D(2),
            cache_read_mtok=D("0.2"),
            cache_write_mtok=D("2.5"),
            cache_write_1h_mtok=D(4),
            output_mtok=D(8),
            input_audio_mtok=D(6),
            audio_hours=D("0.36"),
            web_searches_kcount=D(10),
            requests_kcount=D(5),
        ),
    )
    assert price.card.standard == Rates(
        input_usd_per_mtok=D(2),
        cached_input_usd_per_mtok=D("0.2"),
        cache_write_5m_usd_per_mtok=D("2.5"),
        cache_write_1h_usd_per_mtok=D(4),
        output_usd_per_mtok=D(8),
        audio_input_usd_per_mtok=D(6),
        audio_input_usd_per_s=D("0.0001"),
        web_search_usd_per_call=D("0.01"),
        usd_per_call=D("0.005"),
    )


@pytest.mark.parametrize("start", [200_000, 199_999])
def test_thresholds_hold_for_all_rates_and_are_above_a_round_number(
    monkeypatch: pytest.MonkeyPatch, start: int
) -> None:
    price = found(monkeypatch, ModelPrice(input_mtok=stepped(2, 4, start=start), output_mtok=D(8)))
    assert price.card.standard.input_usd_per_mtok == 2
    ((above, card),) = price.long_context
    assert (above, card.standard) == (200_000, Rates(input_usd_per_mtok=D(4), output_usd_per_mtok=D(8)))


def test_tiers_and_the_fast_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    price = found(
        monkeypatch,
        ModelPrice(input_mtok=D(2), output_mtok=D(8)),
        price_variants=[
            PriceVariant(when={"service_tier": "flex"}, prices=ModelPrice(input_mtok=D(1))),
            PriceVariant(when={"processing": "batch"}, prices=ModelPrice(input_mtok=D("0.5"))),
            PriceVariant(when={"speed": "fast"}, prices=ModelPrice(input_mtok=D(12), output_mtok=D(48))),
            PriceVariant(when={"route": "eu"}, prices=ModelPrice(input_mtok=D(3))),
        ],
    )
    assert price.card.service_tiers == {
        "flex": Rates(input_usd_per_mtok=D(1), output_usd_per_mtok=D(8)),
        "batch": Rates(input_usd_per_mtok=D("0.5"), output_usd_per_mtok=D(8)),
    }
    assert price.speed_multipliers == {"fast": D(6)}


@pytest.mark.parametrize(("on", "rate"), [(date(2026, 8, 20), 5), (date(2026, 8, 21), 4)])
def test_the_price_is_that_of_the_day(monkeypatch: pytest.MonkeyPatch, on: date, rate: int) -> None:
    prices = [
        ConditionalPrice(prices=ModelPrice(input_mtok=D(5))),
        ConditionalPrice(StartDateConstraint(start_date=date(2026, 8, 21)), prices=ModelPrice(input_mtok=D(4))),
    ]
    assert found(monkeypatch, prices, on=on).card.standard.input_usd_per_mtok == rate


def test_what_the_package_does_not_have_is_none() -> None:
    prices = GenaiPrices(TODAY)
    assert prices.find("openai", "nobody") is None
    assert prices.find("nobody", "gpt-4.1") is None
    assert prices.names("nobody") == []
    assert "gpt-4.1" in prices.names("openai")


def test_most_of_what_both_price_is_priced_alike() -> None:
    """The two are made by different people from the same pages: a fault of either conversion would show here."""
    theirs, agreed, differing = GenaiPrices(TODAY), 0, 0
    for label, models in load_base_table().models.items():
        for model, price in models.items():
            if (other := theirs.find(label, model)) is not None:
                result = compare(price, other)
                agreed, differing = agreed + result.agreed, differing + len(result.differences)
    assert agreed > 1_000
    assert differing < agreed / 10


def test_nothing_is_fetched() -> None:
    code = (
        "import socket, threading\n"
        "def refuse(*args, **kwargs): raise SystemExit('network')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from datetime import date\n"
        "from proxy.config.genai_map import GenaiPrices\n"
        "assert GenaiPrices(date(2026, 11, 23)).find('openai', 'gpt-4.1') is not None\n"
        "assert threading.active_count() == 1\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
