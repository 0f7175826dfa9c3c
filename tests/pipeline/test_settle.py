"""What the end says when the provider did not say it all."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from proxy.domain.errors import UpstreamReset
from proxy.domain.estimate import Estimate
from proxy.domain.meter import Reading
from proxy.domain.price_book import PriceBook, PriceRule
from proxy.domain.rates import Price, RateCard, Rates
from proxy.domain.usage import Usage, UsageSource
from proxy.pipeline.settle import with_estimate
from tests.pipeline.fakes import (
    CHAT,
    DONE,
    ScriptedReply,
    call,
    plain,
    request,
    snapshot,
    stream_chunk,
    streamed,
    world,
)

STREAM = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}
SILENT = (stream_chunk("Hel"), stream_chunk("lo.", finish_reason="stop"), DONE)


async def test_without_usage_the_tokens_are_estimated_and_marked() -> None:
    made = world(streamed(*SILENT))
    await call(made, request(STREAM))
    end = made.journal.end()
    assert (end["input_tokens"], end["output_tokens"], end["usage_source"]) == (7, 3, "estimated")
    assert end["cost_status"] == "partial"
    assert end["estimated_cost_usd"] == pytest.approx((7 * 0.4 + 3 * 1.6) / 1e6)
    assert made.estimator.jobs[0].output_text == "Hello."


async def test_embeddings_without_usage_are_estimated_by_what_was_sent() -> None:
    made = world(ScriptedReply(steps=[b'{"object":"list","data":[]}']))
    made.estimator.answer = Estimate(input_tokens=7, output_tokens=None)
    await call(made, request({"model": "gpt-4.1-mini", "input": "Hello"}, target="/v1/embeddings"))
    end = made.journal.end()
    assert (end["input_tokens"], end["usage_source"]) == (7, "estimated")
    assert made.estimator.jobs[0].api == "embeddings"


async def test_when_the_estimator_is_full_the_tokens_stay_unknown() -> None:
    made = world(streamed(*SILENT))
    made.estimator.is_full = True
    await call(made, request(STREAM))
    end = made.journal.end()
    assert "input_tokens" not in end
    assert (end["usage_source"], end["cost_status"]) == ("unknown", "unknown")
    assert "estimated_cost_usd" not in end


async def test_an_estimate_that_found_nothing_changes_nothing() -> None:
    made = world(streamed(*SILENT))
    made.estimator.answer = Estimate(input_tokens=None, output_tokens=None)
    await call(made, request(STREAM))
    assert made.journal.end()["usage_source"] == "unknown"


async def test_a_failed_call_has_estimated_tokens_but_no_invented_cost() -> None:
    made = world(streamed(stream_chunk("Hel"), UpstreamReset("broke")))
    with pytest.raises(UpstreamReset):
        await call(made, request(STREAM))
    end = made.journal.end()
    assert (end["output_tokens"], end["usage_source"]) == (3, "estimated")
    assert end["cost_status"] == "unknown"
    assert "estimated_cost_usd" not in end


async def test_a_call_that_the_client_left_is_priced_as_far_as_it_came() -> None:
    made = world(streamed(stream_chunk("Hel"), stream_chunk("lo")))

    def leave(_: int) -> None:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await call(made, request(STREAM), on_piece=leave)
    assert made.journal.end()["cost_status"] == "partial"


async def test_what_the_provider_reported_is_never_estimated() -> None:
    made = world(streamed())
    await call(made, request(STREAM))
    assert not made.estimator.jobs
    assert made.journal.end()["cost_status"] == "priced"


def test_an_estimate_fills_only_what_is_unknown() -> None:
    partial = Reading(usage=Usage(input_tokens=100), usage_source=UsageSource.PARTIAL)
    filled = with_estimate(partial, Estimate(input_tokens=7, output_tokens=3))
    assert (filled.usage.input_tokens, filled.usage.output_tokens) == (100, 3)
    assert filled.usage_source is UsageSource.MIXED


@pytest.mark.parametrize("status", [404, 500])
async def test_a_refused_call_is_of_unknown_cost_under_any_name_and_price(status: int) -> None:
    per_call = Price(card=RateCard(standard=Rates(usd_per_call=Decimal(1))))
    for prices in ({}, {"gpt-4.1-mini": per_call}):
        refused = ScriptedReply(status=status, steps=[b'{"error":{"code":"model_not_found"}}'])
        configured = replace(snapshot(), prices=PriceBook(table={"openai": prices}, version="test"))
        made = world(refused, configured=configured)
        await call(made, request(CHAT))
        end = made.journal.end()
        assert end["cost_status"] == "unknown"
        assert "estimated_cost_usd" not in end


def priced_at(usd_per_call: int, *, version: str) -> PriceBook:
    per_call = Price(card=RateCard(standard=Rates(usd_per_call=Decimal(usd_per_call))))
    return PriceBook(table={"openai": {"gpt-4.1-mini": per_call}}, version=version)


@pytest.mark.parametrize("reply", [streamed(), streamed(*SILENT)], ids=["counted", "estimated"])
async def test_a_running_call_keeps_the_prices_with_which_it_began(reply: ScriptedReply) -> None:
    """The configuration is reloaded while the provider answers; the estimate comes even later."""
    current = [replace(snapshot(), prices=priced_at(1, version="old"))]

    async def reload() -> None:
        current[0] = replace(snapshot(), prices=priced_at(2, version="new"))

    made = world(replace(reply, before_head=reload), plain())
    made.services.snapshot = lambda: current[0]
    await call(made, request(STREAM))
    await call(made, request(CHAT))
    first, second = made.journal.events("llm_request_completed")
    assert (first["properties"]["estimated_cost_usd"], first["properties"]["pricing_version"]) == (1, "old")
    assert (second["properties"]["estimated_cost_usd"], second["properties"]["pricing_version"]) == (2, "new")


async def test_a_call_has_the_price_of_the_day_on_which_it_came() -> None:
    came_on = datetime.fromtimestamp(request().received_unix_us / 1e6, UTC).date()
    prices = tuple(
        Price(starts_on=day, card=RateCard(standard=Rates(usd_per_call=Decimal(usd))))
        for day, usd in ((came_on + timedelta(days=1), 3), (came_on, 2), (date.min, 1))
    )
    book = PriceBook(rules=[PriceRule(provider="*", model="*", prices=prices)], table={}, version="test")
    made = world(plain(), configured=replace(snapshot(), prices=book))
    await call(made, request(CHAT))
    assert made.journal.end()["estimated_cost_usd"] == 2


async def test_start_and_end_are_written_when_there_is_time_and_in_order() -> None:
    made = world(plain())
    waiting: list[Callable[[], None]] = []
    made.services.later = waiting.append
    await call(made, request(CHAT))
    assert (made.journal.openings, made.journal.closings, made.observed) == ([], [], [])
    waiting.pop(0)()
    assert (len(made.journal.openings), made.journal.closings) == (1, [])
    waiting.pop(0)()
    assert (len(made.journal.closings), len(made.observed), waiting) == (1, 1, [])
