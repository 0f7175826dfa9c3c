"""What an operator wants to know of a proxy, worked out of two scrapes. Unknown is None."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from proxy.cli.top.scrape import Window

NO_TARGET = "none"
"""Label of calls that were refused before any target was asked."""
_NO_ERROR = ("success", "cancelled")
"""A client's leaving is not the target's failure."""
_HAS_PRICE = ("priced", "partial")


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Calls that ended in the time between the scrapes. Quantiles are of that time too."""

    calls: int
    cancelled: int
    unpriced: int
    errors: Mapping[str, int]
    """By error type."""
    error_share: float | None
    """From 0 to 1."""
    calls_per_s: float
    ttft_p50_s: float | None
    ttft_p95_s: float | None
    latency_p50_s: float | None
    latency_p95_s: float | None
    input_tokens_per_s: float | None
    output_tokens_per_s: float | None
    cost_usd_per_h: float | None
    cost_usd_total: float | None
    """Since the proxy was started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbox:
    """Events on their way to PostHog. Keys are reasons; what was dropped is counted since the files were made."""

    pending_events: int | None
    pending_bytes: int | None
    max_bytes: int | None
    oldest_age_s: float | None
    delivered_per_s: float | None
    unbalanced: int | None
    dead: Mapping[str, int]
    dropped_total: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """All of it. `targets` has the busiest first."""

    span_s: float
    version: str | None
    workers: int | None
    config_digests: tuple[str, ...]
    was_last_reload_applied: bool
    calls_running: int | None
    total: Traffic
    targets: Mapping[str, Traffic]
    outbox: Outbox
    degraded: tuple[str, ...]


def view_of(window: Window) -> View:
    """Work it out."""
    now = window.after
    targets = {name: _traffic(part) for name, part in window.split("target").items()}
    busiest = sorted(targets, key=lambda name: (-targets[name].calls, name))
    return View(
        span_s=window.span_s,
        version=next(iter(now.values("promptlane_build_info", "version")), None),
        workers=_whole(now.value("promptlane_workers")),
        config_digests=tuple(sorted(now.values("promptlane_config_info", "digest"))),
        was_last_reload_applied=now.value("promptlane_config_last_reload_successful") != 0,
        calls_running=_whole(now.value("promptlane_calls_running")),
        total=_traffic(window),
        targets={name: targets[name] for name in busiest},
        outbox=_outbox(window),
        degraded=tuple(sorted(part for part, is_so in now.values("promptlane_degraded", "part").items() if is_so)),
    )


def _traffic(window: Window) -> Traffic:
    by_status = window.gains("promptlane_calls_total", "status")
    calls = sum(by_status.values())
    errors = _errors(window)
    ttft_p50_s, ttft_p95_s = window.quantiles("promptlane_first_token_seconds", 0.5, 0.95)
    latency_p50_s, latency_p95_s = window.quantiles("promptlane_call_seconds", 0.5, 0.95)
    prices = window.gains("promptlane_cost_status_total", "cost_status")
    return Traffic(
        calls=round(calls),
        cancelled=round(by_status.get("cancelled", 0)),
        unpriced=round(prices.get("unpriced", 0)),
        errors=errors,
        error_share=sum(errors.values()) / calls if calls else None,
        calls_per_s=calls / window.span_s,
        ttft_p50_s=ttft_p50_s,
        ttft_p95_s=ttft_p95_s,
        latency_p50_s=latency_p50_s,
        latency_p95_s=latency_p95_s,
        input_tokens_per_s=window.per_s("promptlane_tokens_total", direction="input"),
        output_tokens_per_s=window.per_s("promptlane_tokens_total", direction="output"),
        cost_usd_per_h=_cost_usd_per_h(window, prices),
        cost_usd_total=window.after.value("promptlane_cost_usd_total"),
    )


def _cost_usd_per_h(window: Window, prices: Mapping[str, float]) -> float | None:
    """None also where calls ended and none of them had a price."""
    per_s = window.per_s("promptlane_cost_usd_total")
    is_unknown = bool(prices.get("unpriced")) and not any(prices.get(status) for status in _HAS_PRICE)
    return None if per_s is None or is_unknown else per_s * 3600


def _errors(window: Window) -> Mapping[str, int]:
    found: Counter[str] = Counter()
    for status in window.gains("promptlane_calls_total", "status"):
        if status not in _NO_ERROR:
            found.update(window.gains("promptlane_calls_total", "error_type", status=status))
    return _most_first(found)


def _outbox(window: Window) -> Outbox:
    now = window.after
    return Outbox(
        pending_events=_whole(now.value("promptlane_outbox_pending_events")),
        pending_bytes=_whole(now.value("promptlane_outbox_bytes")),
        max_bytes=_whole(now.value("promptlane_outbox_max_bytes")),
        oldest_age_s=now.value("promptlane_outbox_oldest_age_seconds"),
        delivered_per_s=window.per_s("promptlane_outbox_delivered_total"),
        unbalanced=_whole(now.value("promptlane_outbox_unbalanced")),
        dead=_most_first(now.values("promptlane_outbox_dead", "reason")),
        dropped_total=_most_first(now.values("promptlane_outbox_dropped_total", "reason")),
    )


def _most_first(counts: Mapping[str, float]) -> Mapping[str, int]:
    """Without what never happened."""
    return {key: round(count) for key, count in sorted(counts.items(), key=lambda item: -item[1]) if count}


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)
