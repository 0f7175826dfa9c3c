"""What the Grafana dashboard shows of /metrics, row by row: a panel is its queries, their unit, and what they mean."""

from dataclasses import dataclass

_HERE = 'job=~"$job", instance=~"$instance"'
_TARGET = f'{_HERE}, target=~"$target"'
_RATE = "$__rate_interval"
_QUANTILES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """PromQL, and what its series are called; `{{label}}` stands for a label's value."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """`unit` as Grafana names it. `good_below` colours a number green below it and red from there on."""

    title: str
    queries: tuple[Query, ...]
    about: str
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    is_stacked: bool = False
    maximum: float | None = None
    good_below: float | None = None
    shows_name: bool = False
    """The panel shows its series' names in place of their values."""


def _rate(metric: str, *labels: str, where: str = _TARGET) -> str:
    return f"sum by ({', '.join(labels)}) (rate({metric}{{{where}}}[{_RATE}]))"


def _total_rate(metric: str, where: str = _HERE) -> str:
    return f"sum(rate({metric}{{{where}}}[{_RATE}]))"


def _quantiles(metric: str, where: str = _TARGET) -> tuple[Query, ...]:
    buckets = _rate(f"{metric}_bucket", "le", where=where)
    return tuple(Query(expr=f"histogram_quantile({share}, {buckets})", legend=name) for name, share in _QUANTILES)


def _gauge(metric: str, legend: str, how: str = "sum", *labels: str) -> Query:
    by = f" by ({', '.join(labels)})" if labels else ""
    return Query(expr=f"{how}{by} ({metric}{{{_HERE}}})", legend=legend)


_FAILED = f'{_TARGET}, status!~"success|cancelled"'
_CALLS = "promptlane_calls_total"

_NOW = (
    Panel(
        title="Calls running",
        about="Calls that have begun and not ended, in all workers.",
        queries=(_gauge("promptlane_calls_running", "running"),),
        kind="stat",
        width=4,
    ),
    Panel(
        title="Failed calls",
        about="Share of the calls that ended otherwise than well. A client that left has not failed.",
        queries=(Query(expr=f"{_total_rate(_CALLS, _FAILED)} / {_total_rate(_CALLS, _TARGET)}", legend="failed"),),
        unit="percentunit",
        kind="stat",
        width=4,
        good_below=0.05,
    ),
    Panel(
        title="Cost of an hour like now",
        about="USD. What is priced only in part counts with that part.",
        queries=(Query(expr=f"3600 * {_total_rate('promptlane_cost_usd_total', _TARGET)}", legend="USD/h"),),
        unit="currencyUSD",
        kind="stat",
        width=4,
    ),
    Panel(
        title="Oldest undelivered event",
        about="Grows while PostHog cannot be reached. Calls are not touched by that.",
        queries=(_gauge("promptlane_outbox_oldest_age_seconds", "age", "max"),),
        unit="s",
        kind="stat",
        width=4,
        good_below=600,
    ),
    Panel(
        title="Degraded",
        about="What of the analytics is in trouble: memory (no file can be written), disk_full, delivery.",
        queries=(_gauge("promptlane_degraded", "{{part}}", "max", "part"),),
        kind="stat",
        width=8,
        good_below=1,
    ),
)
_CALLS_ROW = (
    Panel(
        title="Calls by status",
        about="Ended calls a second. `cancelled`: the client left.",
        queries=(Query(expr=_rate(_CALLS, "status"), legend="{{status}}"),),
        unit="reqps",
        is_stacked=True,
    ),
    Panel(
        title="Failed calls by target and error",
        about="Share of the target's calls. The types are those of the events page.",
        queries=(
            Query(
                expr=(
                    f"{_rate(_CALLS, 'target', 'error_type', where=_FAILED)} "
                    f"/ on (target) group_left () {_rate(_CALLS, 'target')}"
                ),
                legend="{{target}} {{error_type}}",
            ),
        ),
        unit="percentunit",
    ),
    Panel(
        title="Calls by endpoint",
        about="Ended calls a second. `other` is what is passed through and not metered.",
        queries=(Query(expr=_rate(_CALLS, "endpoint"), legend="{{endpoint}}"),),
        unit="reqps",
        is_stacked=True,
    ),
)
_TIME = (
    Panel(
        title="Call, from request to last byte",
        about="Quantiles over the chosen targets.",
        queries=_quantiles("promptlane_call_seconds"),
        unit="s",
    ),
    Panel(
        title="First token",
        about="From request to the first token of a stream.",
        queries=_quantiles("promptlane_first_token_seconds"),
        unit="s",
    ),
    Panel(
        title="Overhead",
        about="What the proxy itself adds before the request goes upstream.",
        queries=_quantiles("promptlane_overhead_seconds", _HERE),
        unit="s",
    ),
    Panel(
        title="Call, p95 by target",
        about="Which provider is slow.",
        queries=(
            Query(
                expr=f"histogram_quantile(0.95, {_rate('promptlane_call_seconds_bucket', 'target', 'le')})",
                legend="{{target}}",
            ),
        ),
        unit="s",
        width=12,
    ),
    Panel(
        title="First token, p95 by target",
        about="Which provider is slow to begin.",
        queries=(
            Query(
                expr=f"histogram_quantile(0.95, {_rate('promptlane_first_token_seconds_bucket', 'target', 'le')})",
                legend="{{target}}",
            ),
        ),
        unit="s",
        width=12,
    ),
)
_MONEY = (
    Panel(
        title="Tokens by direction and source",
        about="A second. `provider`: as reported; `estimated`: counted here.",
        queries=(
            Query(expr=_rate("promptlane_tokens_total", "direction", "source"), legend="{{direction}} {{source}}"),
        ),
        is_stacked=True,
    ),
    Panel(
        title="Cost by target",
        about="USD an hour.",
        queries=(Query(expr=f"3600 * {_rate('promptlane_cost_usd_total', 'target')}", legend="{{target}}"),),
        unit="currencyUSD",
        is_stacked=True,
    ),
    Panel(
        title="Calls by what is known of their cost",
        about="`unpriced` calls have a model without a price: the log says which line to add to pricing.yaml.",
        queries=(
            Query(
                expr=(
                    f"{_rate('promptlane_cost_status_total', 'cost_status')} "
                    f"/ ignoring (cost_status) group_left () {_total_rate('promptlane_cost_status_total', _TARGET)}"
                ),
                legend="{{cost_status}}",
            ),
        ),
        unit="percentunit",
        is_stacked=True,
        maximum=1,
    ),
)
_DELIVERY = (
    Panel(
        title="Events to PostHog",
        about="A second. `unverified`: accepted by an endpoint that gives no verdict.",
        queries=(
            Query(expr=_total_rate("promptlane_outbox_delivered_total"), legend="delivered"),
            Query(expr=_total_rate("promptlane_outbox_delivered_unverified_total"), legend="of them unverified"),
            Query(expr=_total_rate("promptlane_outbox_retried_total"), legend="sent again"),
        ),
    ),
    Panel(
        title="Outbox",
        about="Events that wait for PostHog.",
        queries=(_gauge("promptlane_outbox_pending_events", "{{instance}}", "sum", "instance"),),
    ),
    Panel(
        title="Outbox, of what may wait",
        about="At 1 the newest events are dropped.",
        queries=(
            Query(
                expr=(
                    f"sum by (instance) (promptlane_outbox_bytes{{{_HERE}}}) "
                    f"/ sum by (instance) (promptlane_outbox_max_bytes{{{_HERE}}})"
                ),
                legend="{{instance}}",
            ),
        ),
        unit="percentunit",
        maximum=1,
    ),
    Panel(
        title="Dropped events",
        about="Lost, by reason, in the last hour.",
        queries=(
            Query(
                expr=f"sum by (reason) (increase(promptlane_outbox_dropped_total{{{_HERE}}}[1h]))", legend="{{reason}}"
            ),
        ),
    ),
    Panel(
        title="Dead events",
        about="What PostHog refused, kept for `promptlane outbox replay`.",
        queries=(_gauge("promptlane_outbox_dead", "{{reason}}", "sum", "reason"),),
    ),
    Panel(
        title="Dropped analytics values",
        about="Headers and body values that were malformed, an hour. The calls went through.",
        queries=(
            Query(
                expr=f"3600 * {_rate('promptlane_analytics_warnings_total', 'value', 'reason', where=_HERE)}",
                legend="{{value}} {{reason}}",
            ),
        ),
    ),
)
_HOUSE = (
    Panel(
        title="Journal's commits",
        about="How long the disk takes. Calls do not wait for it.",
        queries=_quantiles("promptlane_journal_commit_seconds", _HERE),
        unit="s",
    ),
    Panel(
        title="Rows that wait for the journal",
        about="A queue that grows means a slow disk; when it is full, events are dropped.",
        queries=(_gauge("promptlane_journal_queued_rows", "rows"),),
    ),
    Panel(
        title="Bytes on disk and in the queue",
        about="The store is bounded by `store.max_bytes`.",
        queries=(
            _gauge("promptlane_store_bytes", "store"),
            _gauge("promptlane_outbox_bytes", "outbox"),
            _gauge("promptlane_journal_queued_bytes", "queue"),
        ),
        unit="bytes",
    ),
    Panel(
        title="Workers",
        about="Processes that serve.",
        queries=(_gauge("promptlane_workers", "workers"),),
        kind="stat",
        width=3,
    ),
    Panel(
        title="Calls in the store",
        about="For traces, `promptlane calls` and reports.",
        queries=(_gauge("promptlane_store_calls", "calls"),),
        kind="stat",
        width=3,
    ),
    Panel(
        title="Version",
        about="More than one while a new release is rolled out.",
        queries=(_gauge("promptlane_build_info", "{{version}}", "count", "version"),),
        kind="stat",
        width=4,
        shows_name=True,
    ),
    Panel(
        title="Configuration",
        about="The digest that `promptlane check` prints for the same files.",
        queries=(_gauge("promptlane_config_info", "{{digest}}", "count", "digest"),),
        kind="stat",
        width=5,
        shows_name=True,
    ),
    Panel(
        title="Configuration on disk is refused",
        about="1: what lies there cannot be used and an earlier one runs; `promptlane check` says why.",
        queries=(Query(expr=f"1 - min(promptlane_config_last_reload_successful{{{_HERE}}})", legend="refused"),),
        kind="stat",
        width=5,
        good_below=1,
    ),
    Panel(
        title="Age of the configuration",
        about="Since it was taken up.",
        queries=(Query(expr=f"time() - min(promptlane_config_loaded_timestamp_seconds{{{_HERE}}})", legend="age"),),
        unit="s",
        kind="stat",
        width=4,
    ),
    Panel(
        title="Reloads",
        about="By result, in the last hour; each worker counts its own.",
        queries=(
            Query(
                expr=f"sum by (result) (increase(promptlane_config_reloads_total{{{_HERE}}}[1h]))", legend="{{result}}"
            ),
        ),
        width=6,
    ),
    Panel(
        title="Worker starts",
        about="In the last hour. One that dies is started again.",
        queries=(Query(expr=f"sum(increase(promptlane_worker_starts_total{{{_HERE}}}[1h]))", legend="starts"),),
        kind="stat",
        width=6,
    ),
    Panel(
        title="Unaccounted events",
        about="Must be 0; anything else is a bug, please report it.",
        queries=(_gauge("promptlane_outbox_unbalanced", "events", "max"),),
        kind="stat",
        width=6,
        good_below=1,
    ),
    Panel(
        title="Lost spans and content",
        about="Spans that no OpenTelemetry collector took, and calls whose content had no room, in the last hour.",
        queries=(
            Query(expr=f"sum(increase(promptlane_telemetry_lost_spans_total{{{_HERE}}}[1h]))", legend="spans"),
            Query(expr=f"sum(increase(promptlane_content_lost_total{{{_HERE}}}[1h]))", legend="content"),
        ),
        kind="stat",
        width=6,
        good_below=1,
    ),
    Panel(
        title="Alerts that fire",
        about="Rules of alerts.yaml; `promptlane alerts ls` names them.",
        queries=(_gauge("promptlane_alerts_firing", "alerts", "sum"),),
        kind="stat",
        width=6,
        good_below=1,
    ),
)
ROWS = (
    ("Now", _NOW),
    ("Calls", _CALLS_ROW),
    ("Time", _TIME),
    ("Tokens and cost", _MONEY),
    ("Events to PostHog", _DELIVERY),
    ("Disk, configuration, processes", _HOUSE),
)
