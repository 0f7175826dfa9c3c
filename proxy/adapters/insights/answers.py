"""A tile's query to columns and rows: tables as they are, trends by day, funnels step by step."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from proxy.adapters.analysis import Analysis
from proxy.adapters.insights.events import make_view
from proxy.adapters.insights.hogql import FILTERS, MACROS, as_sql
from proxy.domain.dashboards.tiles import Query, Tile, properties_of

NOTHING = "(none)"
"""The series of events without the property that a trend is broken down by."""
_WORDS = {"sum": "sum({})", "avg": "avg({})", "min": "min({})", "max": "max({})", "median": "quantile_cont({}, 0.5)"}
_PERCENTILE = re.compile(r"p(\d\d)")
_TERM = re.compile(r"\b([A-Z])\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a tile shows. Of a trend the columns are day, what it is broken down by, and value."""

    kind: str
    """`table`, `trend` or `funnel`."""
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


class Insights:
    """Answers the tiles of dashboards from the records of one data folder, for a period."""

    def __init__(self, analysis: Analysis, tiles: Iterable[Tile]) -> None:
        """For these tiles, and for no others: what they ask for is what is taken from the records."""
        self._analysis = analysis
        for macro in MACROS:
            analysis.query(f"CREATE OR REPLACE TEMP MACRO {macro}")
        make_view(analysis, {name for tile in tiles for name in properties_of(tile.query)})

    def answer(self, query: Query, begin: datetime, end: datetime) -> Answer:
        """From `begin` (inclusive) to `end`."""
        source = query["source"]
        bounds = {"begin": begin, "end": end}
        match source["kind"]:
            case "HogQLQuery":
                return self._table(as_sql(source["query"]), bounds)
            case "FunnelsQuery":
                return self._funnel(source, bounds)
            case _:
                return self._trend(source, bounds)

    def _table(self, sql: str, bounds: Mapping[str, datetime]) -> Answer:
        rows = self._analysis.query(sql, bounds)
        columns = tuple(rows[0]) if rows else ()
        return Answer(kind="table", columns=columns, rows=tuple(tuple(row.values()) for row in rows))

    def _trend(self, source: Mapping[str, Any], bounds: Mapping[str, datetime]) -> Answer:
        """Series are joined by day and breakdown, and drawn one by one, or as what the formula makes of them."""
        by = [part["property"] for part in source.get("breakdownFilter", {}).get("breakdowns", ())]
        keys = ", ".join(['"day"', *(f'"by{place}"' for place in range(len(by)))])
        letters = [chr(ord("A") + place) for place in range(len(source["series"]))]
        tables = [f"{letter} AS ({_series(node, by)})" for letter, node in zip(letters, source["series"], strict=True)]
        joined = " ".join([f"FROM {letters[0]}", *(f"FULL JOIN {letter} USING ({keys})" for letter in letters[1:])])
        formulas = source["trendsFilter"].get("formulaNodes")
        names = (
            {formula["custom_name"]: _formula(formula["formula"]) for formula in formulas}
            if formulas
            else {
                node["custom_name"]: f"{letter}.value" for letter, node in zip(letters, source["series"], strict=True)
            }
        )
        found: list[tuple[Any, ...]] = []
        for name, expression in names.items():
            sql = f"WITH {', '.join(tables)} SELECT {keys}, {expression} AS value {joined} ORDER BY ALL"
            for row in self._analysis.query(sql, bounds):
                day, *parts, value = row.values()
                label = (" ".join(filter(None, parts)) or NOTHING) if by else name
                found.append((day, label if len(names) == 1 or not by else f"{label} {name}", value))
        return Answer(kind="trend", columns=("day", "series", "value"), rows=tuple(found))

    def _funnel(self, source: Mapping[str, Any], bounds: Mapping[str, datetime]) -> Answer:
        """Users who did each step after the one before, within the window from the first."""
        by = source.get("breakdownFilter", {}).get("breakdown")
        hours = source["funnelsFilter"]["funnelWindowInterval"]
        part = f"arg_min({_property(by)}, timestamp)" if by else "''"
        steps = source["series"]
        ctes = [
            f"s0 AS (SELECT distinct_id, min(timestamp) AS first, min(timestamp) AS at, {part} AS part FROM events"
            f" WHERE {_condition(steps[0])} AND {FILTERS} GROUP BY distinct_id)"
        ]
        for place, node in enumerate(steps[1:], start=1):
            ctes.append(
                f"s{place} AS (SELECT p.distinct_id, p.first, min(e.timestamp) AS at, p.part FROM s{place - 1} AS p"
                f" JOIN events AS e ON e.distinct_id = p.distinct_id AND e.timestamp >= p.at"
                f" AND e.timestamp < p.first + INTERVAL {int(hours)} HOUR WHERE {_condition(node, 'e.')}"
                " GROUP BY p.distinct_id, p.first, p.part)"
            )
        selects = [
            f"SELECT {place} AS place, part, count(*) AS users FROM s{place} GROUP BY part"
            for place in range(len(steps))
        ]
        rows = self._analysis.query(f"WITH {', '.join(ctes)} {' UNION ALL '.join(selects)} ORDER BY ALL", bounds)
        named = tuple(
            (steps[row["place"]]["custom_name"], str(row["part"] or NOTHING) if by else "", row["users"])
            for row in rows
        )
        return Answer(kind="funnel", columns=("step", "series", "value"), rows=named)


def _series(node: Mapping[str, Any], by: Sequence[str]) -> str:
    parts = "".join(f", coalesce({_property(name)}, '') AS \"by{place}\"" for place, name in enumerate(by))
    return (
        f"SELECT date_trunc('day', timestamp) AS \"day\"{parts}, {_measure(node)} AS value FROM events"
        f" WHERE {_condition(node)} AND {FILTERS} GROUP BY ALL"
    )


def _measure(node: Mapping[str, Any]) -> str:
    if node["math"] == "hogql":
        return as_sql(node["math_hogql"])
    value = f"toFloat({_property(node['math_property'])})"
    if (quantile := _PERCENTILE.fullmatch(node["math"])) is not None:
        return f"quantile_cont({value}, 0.{quantile.group(1)})"
    return _WORDS[node["math"]].format(value)


def _condition(node: Mapping[str, Any], of: str = "") -> str:
    return " AND ".join(_conditions(node, of)) or "true"


def _conditions(node: Mapping[str, Any], of: str) -> Iterator[str]:
    if node["event"] is not None:
        yield f"{of}event = '{node['event']}'"
    for one in node.get("properties", ()):
        yield f"{of}{_property(one['key'])} = '{one['value'][0]}'"


def _property(name: str) -> str:
    return f'properties."{name}"'


def _formula(formula: str) -> str:
    """A series that has nothing for a day counts 0; a share of nothing is unknown."""
    terms = _TERM.sub(r"coalesce(\1.value, 0)", formula)
    numerator, _, denominator = terms.rpartition("/")
    return f"({numerator})::DOUBLE / nullif({denominator}, 0)"
