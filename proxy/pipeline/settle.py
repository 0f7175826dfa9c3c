"""The end of an exchange: measurement → cost → events → journal. Once, without an await, never raising.

`settle` runs when `handle` is left, whoever failed, so nothing here may wait: no shield is needed against a client
that leaves. It seals the exchange, which nobody touches any more; start and end are made into rows a little later,
those of several calls in one go, which takes half the time of doing it between two pieces of traffic. Where the
provider reported no usage and there is something to count, the estimator counts elsewhere, and the end follows when it
answers.
"""

import logging
from dataclasses import replace
from datetime import date, timedelta
from functools import lru_cache, partial

from proxy.domain import events
from proxy.domain.errors import Status, Unauthenticated
from proxy.domain.estimate import Estimate, TextToCount
from proxy.domain.exchange import Attempt, Exchange
from proxy.domain.fate import fate_of
from proxy.domain.meter import Reading, StreamEnd
from proxy.domain.pricing import NOTHING_COUNTED, Cost, CostStatus, is_counted
from proxy.domain.usage import UsageSource
from proxy.pipeline.begin import begin
from proxy.pipeline.capture import hand_over
from proxy.pipeline.checks import check_answer
from proxy.pipeline.drift import watch_drift
from proxy.pipeline.services import Services, Snapshot
from proxy.pipeline.stitch import remember

log = logging.getLogger(__name__)

_ERROR = StreamEnd.ERROR
_UNTOLD = (UsageSource.NONE, UsageSource.PARTIAL)
_GUESSED = (UsageSource.ESTIMATED, UsageSource.MIXED, UsageSource.PARTIAL)
_DAY_US = 86_400_000_000
_FIRST_DAY = date(1970, 1, 1)


def settle(
    exchange: Exchange,
    error: BaseException | None,
    snapshot: Snapshot,
    services: Services,
) -> None:
    """Seal the exchange."""
    try:
        exchange.ended_ns = services.clock.monotonic_ns()
        exchange.fate = fate_of(exchange, error, is_cutting=services.is_cutting)
        sent, exchange.sent = exchange.sent, None
        remember(exchange, services)
        if isinstance(error, Unauthenticated) or exchange.caller is None or not exchange.endpoint.is_model_call:
            services.observe(exchange)
            return
        begin(exchange, snapshot, services)
        if exchange.tap is not None:
            hand_over(exchange, services)
        if exchange.judges and services.judge is not None:
            services.judge(exchange, sent)
        job = _estimate_job(exchange, sent)
        if job is None or not services.estimator.submit(
            job, lambda found: _estimated(exchange, found, snapshot, services)
        ):
            _check(exchange, snapshot, services)
    except Exception:
        log.exception("settlement failed", extra={"exchange_id": exchange.exchange_id})


def price(attempt: Attempt, exchange: Exchange, snapshot: Snapshot) -> None:
    """Set the attempt's cost from its reading, once."""
    if attempt.cost is not None or attempt.reading is None:
        return
    reading, target = attempt.reading, attempt.target
    model = reading.model or target.model or exchange.asked_model
    if model is None or (reading.stream_end is _ERROR and _counted_nothing(reading)):
        attempt.cost = NOTHING_COUNTED
        return
    attempt.cost = snapshot.prices.price(
        reading.usage,
        provider_label=target.provider.label,
        provider_name=target.provider.name,
        model=model,
        on=_day_of(exchange.received_unix_us // _DAY_US),
    )


@lru_cache(maxsize=2)
def _day_of(days: int) -> date:
    """The UTC day that is so many days after 1 January 1970."""
    return _FIRST_DAY + timedelta(days)


def _counted_nothing(reading: Reading) -> bool:
    """Such an error costs nothing that we know of, also where each call has a price."""
    usage = reading.usage
    return usage.provider_cost_usd is None and not is_counted(usage)


def _estimate_job(exchange: Exchange, sent: bytes | None) -> TextToCount | None:
    """What to count, or None where the provider told all, or nothing was produced."""
    attempt = exchange.final_attempt
    if sent is None or attempt is None or attempt.reading is None or not exchange.endpoint.api:
        return None
    reading = attempt.reading
    is_reply = attempt.http_status is not None and attempt.http_status < 300
    if not is_reply or reading.usage_source not in _UNTOLD:
        return None
    is_empty = reading.output_chars == 0 and reading.finish_reason is None
    if is_empty and not (exchange.endpoint.is_embedding and reading.stream_end is StreamEnd.COMPLETE):
        return None
    return TextToCount(
        request_body=sent,
        api=exchange.endpoint.api,
        output_text=reading.output_text,
        output_chars=reading.output_chars,
    )


def _estimated(exchange: Exchange, found: Estimate, snapshot: Snapshot, services: Services) -> None:
    """Put the counts where the provider gave none; runs when it answers."""
    try:
        attempt = exchange.final_attempt
        if attempt is not None and attempt.reading is not None:
            attempt.reading = with_estimate(attempt.reading, found)
            attempt.cost = None
    finally:
        _check(exchange, snapshot, services)


def _check(exchange: Exchange, snapshot: Snapshot, services: Services) -> None:
    """Have the answer checked where its route says so; then the end is written. Never raises."""
    conclude = partial(_conclude, exchange, snapshot, services)
    is_awaited = False
    if exchange.checks:
        try:
            is_awaited = check_answer(exchange, services, partial(services.later, conclude))
        except Exception:
            log.exception("an answer could not be checked", extra={"exchange_id": exchange.exchange_id})
    if not is_awaited:
        services.later(conclude)


def with_estimate(reading: Reading, found: Estimate) -> Reading:
    """Fill unknown totals; what the provider said stays."""
    usage = reading.usage
    filled = replace(
        usage,
        input_tokens=found.input_tokens if usage.input_tokens is None else usage.input_tokens,
        output_tokens=found.output_tokens if usage.output_tokens is None else usage.output_tokens,
    )
    if filled == usage:
        return reading
    had_some = usage.input_tokens is not None or usage.output_tokens is not None
    return replace(reading, usage=filled, usage_source=UsageSource.MIXED if had_some else UsageSource.ESTIMATED)


def _conclude(exchange: Exchange, snapshot: Snapshot, services: Services) -> None:
    """Price every attempt and write the end. Never raises."""
    try:
        for attempt in exchange.attempts:
            price(attempt, exchange, snapshot)
            _mark_estimated_cost(attempt, exchange)
        watch_drift(exchange, snapshot, services)
        services.journal.close(events.closing(exchange, snapshot.events))
        services.observe(exchange)
    except Exception:
        log.exception("the end of a call could not be written", extra={"exchange_id": exchange.exchange_id})


def _mark_estimated_cost(attempt: Attempt, exchange: Exchange) -> None:
    """A cost that rests on estimates is partial; on a failed call it would be invented, so it is unknown."""
    cost, reading = attempt.cost, attempt.reading
    if cost is None or reading is None or cost.total_usd is None or cost.source == "provider":
        return
    if reading.usage_source not in _GUESSED:
        return
    is_meant = exchange.fate is not None and (exchange.fate.is_whole or exchange.fate.status is Status.CANCELLED)
    attempt.cost = replace(cost, status=CostStatus.PARTIAL) if is_meant else Cost(status=CostStatus.UNKNOWN)
