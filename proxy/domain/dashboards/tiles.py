"""A tile, a dashboard, and the few kinds of PostHog query that ours are made of.

The shapes are those of PostHog's insight queries; a test holds every tile to a JSON schema made from PostHog's
published types, and every HogQL to PostHog's parser. Counts are `uniq(uuid)`: PostHog merges an event that was sent
twice only some time later.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from proxy.domain.event_properties import COMPLETED
from proxy.domain.outcome_properties import TASK_COMPLETED

Query = Mapping[str, Any]
Format = Literal["numeric", "duration_ms", "percentage_scaled"]

DATE_FROM = "-14d"
COUNT = "uniq(uuid)"
COLUMNS = 12
"""Of PostHog's grid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One insight. `slug` names it for ever within its dashboard; `width` is in columns of twelve."""

    slug: str
    name: str
    description: str
    query: Query
    width: int = 6
    height: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """`slug` names it for ever: by it, it is found again."""

    slug: str
    name: str
    description: str
    tiles: tuple[Tile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line of a chart: an event, a measure of it, and which of its events count.

    `where` holds exact values by property. `measure` is HogQL over the events, or one of PostHog's words with the
    property that it is about: ("p95", "latency_ms").
    """

    event: str | None
    name: str
    measure: str | tuple[str, str] = COUNT
    where: Mapping[str, str] | None = None

    def node(self) -> dict[str, Any]:
        """As PostHog has it. `event` None is any event."""
        node: dict[str, Any] = {"kind": "EventsNode", "event": self.event, "custom_name": self.name}
        if self.event is not None:
            node["name"] = self.event
        if isinstance(self.measure, str):
            node |= {"math": "hogql", "math_hogql": self.measure}
        else:
            node |= {"math": self.measure[0], "math_property": self.measure[1]}
        if self.where:
            node["properties"] = [
                {"key": key, "value": [value], "operator": "exact", "type": "event"}
                for key, value in self.where.items()
            ]
        return node


def tasks(name: str, **where: str) -> Series:
    """Tasks that were reported, or those of which something holds."""
    return Series(event=TASK_COMPLETED, name=name, where=where)


def latency(measure: str, name: str, of: str = "latency_ms") -> Series:
    """A quantile of a time of completed calls."""
    return Series(event=COMPLETED, name=name, measure=(measure, of))


def trend(
    *series: Series,
    by: Sequence[str] = (),
    ratio: tuple[str, str] | None = None,
    display: str = "ActionsLineGraph",
    axis: Format = "numeric",
    dollars: bool = False,
) -> Query:
    """Series over time, by days. `ratio` is (formula over A, B, …, its name), and then alone is drawn."""
    shown: dict[str, Any] = {"display": display, "showLegend": True, "aggregationAxisFormat": axis}
    if ratio is not None:
        shown["formulaNodes"] = [{"formula": ratio[0], "custom_name": ratio[1]}]
    if axis == "percentage_scaled":
        shown["decimalPlaces"] = 2
    if dollars:
        shown |= {"aggregationAxisPrefix": "$", "decimalPlaces": 4}
    source: dict[str, Any] = {
        "kind": "TrendsQuery",
        "interval": "day",
        "dateRange": {"date_from": DATE_FROM},
        "series": [one.node() for one in series],
        "trendsFilter": shown,
    }
    if by:
        source["breakdownFilter"] = {
            "breakdowns": [{"property": name, "type": "event"} for name in by],
            "breakdown_limit": 15,
        }
    return {"kind": "InsightVizNode", "source": source}


def share(part: Series, whole: Series, name: str, *, by: Sequence[str] = (), of_both: bool = False) -> Query:
    """The part's share of the whole over time; `of_both`: of part and whole together."""
    formula = "A/(A+B)" if of_both else "A/B"
    return trend(part, whole, by=by, ratio=(formula, name), axis="percentage_scaled")


def funnel(*steps: Series, by: str | None = None, hours: int = 24) -> Query:
    """How many users go from each step to the next within `hours`."""
    nodes = []
    for step in steps:
        node = step.node()
        del node["math_hogql"]
        nodes.append(node | {"math": "total"})
    source: dict[str, Any] = {
        "kind": "FunnelsQuery",
        "dateRange": {"date_from": DATE_FROM},
        "series": nodes,
        "funnelsFilter": {
            "funnelVizType": "steps",
            "funnelOrderType": "ordered",
            "funnelWindowInterval": hours,
            "funnelWindowIntervalUnit": "hour",
        },
    }
    if by is not None:
        source["breakdownFilter"] = {"breakdown": by, "breakdown_type": "event"}
    return {"kind": "InsightVizNode", "source": source}


def table(hogql: str) -> Query:
    """Rows of a query that holds `{filters}`, where the dashboard's dates and filters go in."""
    return {
        "kind": "DataVisualizationNode",
        "display": "ActionsTable",
        "source": {
            "kind": "HogQLQuery",
            "query": " ".join(hogql.split()),
            "filters": {"dateRange": {"date_from": DATE_FROM}},
        },
    }


def number(name: str) -> str:
    """HogQL: a numeric property, which arrives as a string."""
    return f"toFloat(properties.{name})"


def is_true(name: str) -> str:
    """HogQL: a boolean property is true, whatever type the project has given it."""
    return f"toString(properties.{name}) = 'true'"


def percent(condition: str) -> str:
    """HogQL: of how many rows in a hundred the condition holds."""
    return f"round(100 * countIf({condition}) / count(), 1)"


_NAMED_IN_HOGQL = re.compile(r"properties\.`?([$\w/.-]*\w)`?")
_NAMING_KEYS = frozenset({"math_property", "breakdown", "property"})
_HOGQL_KEYS = frozenset({"query", "math_hogql"})


def properties_of(query: object) -> Iterator[str]:
    """The names of the properties that a query asks for, some of them more than once."""
    if isinstance(query, Mapping):
        for key, value in query.items():
            if key in _NAMING_KEYS or (key == "key" and query.get("type") == "event"):
                yield str(value)
            elif key in _HOGQL_KEYS and isinstance(value, str):
                yield from _NAMED_IN_HOGQL.findall(value)
            else:
                yield from properties_of(value)
    elif isinstance(query, list | tuple):
        for value in query:
            yield from properties_of(value)
