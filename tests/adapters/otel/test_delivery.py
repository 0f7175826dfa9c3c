import asyncio
from datetime import UTC, datetime

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from proxy.adapters.otel.backlog import Spans
from proxy.adapters.otel.delivery import LONGEST_WAIT_S, Delivered, Delivery
from proxy.adapters.otel.messages import INPUT
from proxy.adapters.otel.spans import SpanMaker
from proxy.domain.events import EventPolicy, closing, recorded
from tests.harness.collector import Collector, SeenSpan
from tests.harness.exchanges import finished

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


def rows(count: int, said: str | None = None) -> list[Spans]:
    """Calls with two spans each, of which the second tells what was said."""
    maker = SpanMaker(Resource({}), ALWAYS_ON, {})
    records = [recorded(closing(finished(exchange_id=f"c{n}"), EventPolicy()).record) for n in range(count)]
    return [maker.of_call(record, (lambda _: {INPUT: said}) if said is not None else None) for record in records]


async def deliver(given: list[Spans]) -> Delivered:
    return await asyncio.to_thread(Delivery(lambda: NOW).deliver, given)


def calls(collector: Collector) -> list[str]:
    return [span.attributes["promptlane.exchange_id"] for span in collector.spans if span.kind == "server"]


async def test_a_batch_is_taken_in_one_request(collector: Collector) -> None:
    assert await deliver(rows(3)) == Delivered(3, 0)
    assert (len(collector.spans), len(collector.heads)) == (6, 1)


async def test_what_a_collector_refuses_is_lost_and_nothing_else(collector: Collector) -> None:
    def poison(span: SeenSpan) -> bool:
        return span.attributes.get("promptlane.exchange_id") in ("c1", "c6")

    collector.poison = poison
    assert await deliver(rows(8)) == Delivered(8, 4)
    assert calls(collector) == ["c0", "c2", "c3", "c4", "c5", "c7"]


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_one_row_that_is_refused_is_lost(collector: Collector, status: int) -> None:
    collector.status = status
    assert await deliver(rows(1)) == Delivered(1, 2)


async def test_a_row_that_is_refused_goes_without_what_was_said(collector: Collector) -> None:
    """The other rows keep theirs; and the second time all is lost that still has no place."""
    collector.poison = lambda span: len(span.attributes.get(INPUT, "")) > 5
    given = rows(1, "long text") + rows(1, "text")
    assert await deliver(given) == Delivered(2, 0)
    assert [span.attributes.get(INPUT) for span in collector.spans if span.kind == "client"] == [None, "text"]
    collector.poison = lambda span: True
    assert await deliver(rows(1, "text")) == Delivered(1, 2)


@pytest.mark.parametrize("status", [301, 307, 401, 403, 404, 408, 429, 500, 502, 503, 504])
async def test_of_anything_else_the_batch_is_not_to_blame(collector: Collector, status: int) -> None:
    collector.status, collector.headers = status, (("Retry-After", "40"),)
    assert await deliver(rows(2)) == Delivered(0, 0, 40.0)
    assert len(collector.heads) == 1


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        ("Thu, 26 Nov 2026 12:00:30 GMT", 30.0),
        ("Thu, 26 Nov 2026 11:00:00 GMT", 0.0),
        ("99999", LONGEST_WAIT_S),
        ("9" * 400, LONGEST_WAIT_S),
        ("soon", 0.0),
        ("-5", 0.0),
    ],
)
async def test_how_long_a_collector_wants_to_be_left_alone(collector: Collector, header: str, wait_s: float) -> None:
    collector.status, collector.headers = 500, (("Retry-After", header),)
    assert (await deliver(rows(1))).wait_s == wait_s


async def test_a_collector_that_is_away_is_waited_for(collector: Collector) -> None:
    await collector.refuse()
    assert await deliver(rows(2)) == Delivered(0, 0)


async def test_what_was_taken_before_it_went_away_counts(collector: Collector) -> None:
    def poison(span: SeenSpan) -> bool:
        is_third = len(collector.heads) == 3
        collector.status = 503 if is_third else 200
        return span.attributes.get("promptlane.exchange_id") == "c3" and not is_third

    collector.poison, collector.headers = poison, (("Retry-After", "9"),)
    assert await deliver(rows(4)) == Delivered(2, 0, 9.0)
    assert calls(collector) == ["c0", "c1"]


async def test_spans_that_a_partial_success_left_out_are_lost(collector: Collector) -> None:
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = 3
    answer.partial_success.error_message = "no"
    collector.reply = answer.SerializeToString()
    assert await deliver(rows(2)) == Delivered(2, 3)
    answer.partial_success.rejected_spans = 1000
    collector.reply = answer.SerializeToString()
    assert await deliver(rows(2)) == Delivered(2, 4)


@pytest.mark.parametrize("reply", [b"{}", b"<html>", b"\xff\xff"])
async def test_another_answer_of_a_collector_that_took_all_is_passed_over(collector: Collector, reply: bytes) -> None:
    collector.reply = reply
    assert await deliver(rows(1)) == Delivered(1, 0)


async def test_what_cannot_be_encoded_is_lost_and_not_tried_for_ever(collector: Collector) -> None:
    good, bad = rows(2)
    object.__setattr__(bad[0], "_start_time", 2**70)
    assert await deliver([good, bad]) == Delivered(2, 2)
    assert calls(collector) == ["c0"]
