"""The numbers of alert rules, out of the kept records."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

from proxy.domain.alerts import DIMENSIONS, TRAITS, Drops, Metric, Reading, Rule

_DAY = timedelta(days=1)
_WITHIN = "WHERE ended_at >= $begin AND ended_at < $end"
_QUANTILE = "SELECT quantile_cont({name}, {quantile}) AS value, count({name}) AS calls FROM calls {within}"
_QUERIES: Mapping[Metric, str] = {
    Metric.ERROR_RATE: "SELECT avg((status NOT IN ('success', 'cancelled'))::INTEGER) AS value, count(*) AS calls "
    "FROM calls {within}",
    # judges spend, too
    Metric.COST: "SELECT coalesce(sum(estimated_cost_usd), 0)::DOUBLE AS value, count(*) AS calls "
    "FROM all_calls {within}",
    Metric.LATENCY: _QUANTILE.replace("{name}", "latency_ms") + " AND status = 'success'",
    Metric.TTFT: _QUANTILE.replace("{name}", "ttft_ms") + " AND status = 'success'",
    Metric.DRIFT: "SELECT count(*)::DOUBLE AS value, 0 AS calls FROM outcomes"
    ' WHERE name = \'llm_prompt_drifted\' AND "at" >= $begin AND "at" < $end',
}


class Tables(Protocol):
    """Satisfied by `adapters.analysis.Analysis`."""

    def query(self, sql: str, params: Mapping[str, object]) -> list[dict[str, Any]]:
        """The rows of a query."""


def reading_of(tables: Tables, rule: Rule, now: datetime) -> Reading:
    """The number of a rule on calls or drift, over its window up to now, exclusively; and the usual one."""
    begin = now - timedelta(seconds=rule.window_s)
    value, calls = _taken(tables, rule, begin, now)
    usual = None
    if rule.times_usual is not None:
        usual, _ = _taken(tables, rule, begin - _DAY, begin)
        if usual is not None and rule.metric is Metric.COST:
            usual *= timedelta(seconds=rule.window_s) / _DAY  # a sum grows with the time
    return Reading(value=value, calls=calls, usual=usual)


def dropped(drops: Drops, rule: Rule, now: datetime) -> Reading:
    """The number of a rule on dropped events."""
    since = now - timedelta(seconds=rule.window_s)
    return Reading(value=float(drops.since(int(since.timestamp() * 1e6))))


def _taken(tables: Tables, rule: Rule, begin: datetime, end: datetime) -> tuple[float | None, int]:
    parameters: dict[str, object] = {"begin": begin, "end": end, **rule.where}
    narrowed = "".join(f" AND {DIMENSIONS[name]} = ${name}" for name in rule.where)
    asked = _QUERIES[rule.metric].replace("{within}", _WITHIN)
    sql = asked.replace("{quantile}", repr(float(rule.quantile))) + narrowed  # a quantile must be a constant
    (row,) = tables.query(sql, parameters)
    is_known = TRAITS[rule.metric].min_calls is None or row["calls"] >= rule.min_calls
    return (row["value"] if is_known else None), row["calls"]
