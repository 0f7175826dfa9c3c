"""One look at the alerts: the numbers of all rules, what fires and resolves by them, and the webhook told of it.

What fired counts, and is on disk, before anybody is told; a message that nobody took is tried again at the next looks.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from proxy.adapters.alert_readings import dropped, reading_of
from proxy.adapters.alert_state import AlertState
from proxy.adapters.journal_stats import stats_by_file
from proxy.adapters.webhook import send
from proxy.domain.alert_words import message
from proxy.domain.alerts import (
    AlertBook,
    AlertChange,
    AlertPolicy,
    Delivery,
    Drops,
    Metric,
    Reading,
    looked,
    overdue,
    sent,
)
from proxy.pages.filters import Filters


def look(policy: AlertPolicy, data_dir: Path, now: datetime, pages_url: str | None) -> AlertBook:
    """The book after the look. Raises OSError, Damaged."""
    state = AlertState(data_dir)
    with state.looking() as before:
        drops = drops_of(before.drops, data_dir, now)
        numbers = readings(policy, data_dir, drops, now)
        has_webhook = policy.webhook_url is not None
        book = looked(replace(before, drops=drops), policy.rules, numbers, _us(now), has_webhook=has_webhook)
        book = overdue(book, _us(now), has_webhook=has_webhook)
        state.write(book)
        if policy.webhook_url is not None:
            for change in book.unsent:
                if not is_taken(asyncio.run(send(policy.webhook_url, message(change, link_of(change, pages_url))))):
                    break  # the next ones would be told before it
                book = sent(book, change, Delivery.DONE)
                state.write(book)
    return book


def readings(policy: AlertPolicy, data_dir: Path, drops: Drops, now: datetime) -> Mapping[str, Reading]:
    """The number of each rule by its name, up to now. Raises OSError."""
    found = {rule.name: dropped(drops, rule, now) for rule in policy.rules if rule.metric is Metric.DROPPED}
    others = [rule for rule in policy.rules if rule.metric is not Metric.DROPPED]
    if others:
        from proxy.adapters.analysis import open_analysis

        with open_analysis(data_dir) as tables:
            found |= {rule.name: reading_of(tables, rule, now) for rule in others}
    return found


def drops_of(before: Drops, data_dir: Path, now: datetime) -> Drops:
    """Dropped events as they are now."""
    totals = {name: sum(stats.dropped.values()) for name, stats in stats_by_file(data_dir).items()}
    return before.seen(totals, _us(now))


def is_taken(status: int | None) -> bool:
    """Whether the webhook's answer says that it has the message."""
    return status is not None and 200 <= status < 300


def link_of(change: AlertChange, pages_url: str | None) -> str | None:
    """The page that shows what the alert is about, in the time that it is about."""
    if pages_url is None:
        return None
    fired_at, until = _moment(change.fired_at_unix_us), _moment(change.at_unix_us)
    begin = fired_at - timedelta(seconds=change.window_s)
    filters = Filters(begin=begin, end=until + timedelta(seconds=1), chosen=dict(change.where))
    match change.metric:
        case Metric.ERROR_RATE:
            page = filters.to("/ui/traces", failed="yes")
        case Metric.LATENCY:
            page = filters.to("/ui/traces", slower=f"{change.limit:g}")
        case Metric.TTFT | Metric.COST:
            page = filters.to("/ui/latency")
        case Metric.DRIFT:
            page = filters.to("/ui/prompts")
        case Metric.DROPPED:
            page = "/ui/health"
    return pages_url + page


def _us(moment: datetime) -> int:
    return int(moment.timestamp() * 1e6)


def _moment(unix_us: int) -> datetime:
    return datetime.fromtimestamp(unix_us / 1e6, UTC).replace(microsecond=0)
