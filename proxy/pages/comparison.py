"""A period beside the one before it, as a whole and by several properties: all that out of one scan."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from proxy.pages.filters import NONE

Row = dict[str, Any]
Pairs = Sequence[tuple[Row, Row]]
"""Groups, each with the same group of the period before; that one is empty where there was none."""

MOST_GROUPS = 1_000
"""So many values of a property are looked at: those with the most rows."""


class Analysis(Protocol):
    """The kept records as tables: `calls`, `attempts`, `outcomes`."""

    def query(self, sql: str, params: Mapping[str, object]) -> list[Row]:
        """Rows of a query with named parameters (`$name`)."""


class Remembered:
    """Asks each question once. The tiles of a page share what they have in common; rows are for reading alone."""

    def __init__(self, analysis: Analysis) -> None:
        self._analysis = analysis
        self._answers: dict[tuple[str, str], list[Row]] = {}

    def query(self, sql: str, params: Mapping[str, object]) -> list[Row]:
        """As the analysis that is asked."""
        question = sql, repr(params)
        if question not in self._answers:
            self._answers[question] = self._analysis.query(sql, params)
        return self._answers[question]


@dataclass(frozen=True, slots=True)
class Comparison:
    """`whole` is that of the period and of the one before, where it was asked for."""

    whole: tuple[Row, Row]
    groups: Mapping[str, Pairs]

    def greatest(self, by: str, value: Callable[[Row], float | None], limit: int = 12) -> Pairs:
        """Those of the groups that have the value, the greatest first, then by name."""
        known = [(found, pair) for pair in self.groups[by] if (found := value(pair[0])) is not None]
        known.sort(key=lambda one: (-one[0], one[1][0]["name"]))
        return [pair for _, pair in known[:limit]]


def some(name: str) -> Callable[[Row], float | None]:
    """For `Comparison.greatest`: a count, where it is not 0."""
    return lambda row: row[name] or None


def compared(
    analysis: Analysis,
    source: str,
    parameters: Mapping[str, object],
    *,
    by: Sequence[str | None],
    columns: Mapping[str, str],
    measures: Mapping[str, str],
    is_before: str,
) -> Comparison:
    """The measures of both periods, for each of the properties in `by`, of which None is the whole.

    `source` is what follows FROM, a condition included; `is_before` is true of the rows of the earlier period.
    """
    named = {name: columns[name] for name in by if name is not None}
    sets = ", ".join(f"(is_before, {columns[name]})" if name is not None else "(is_before)" for name in by)
    kind = " ".join(f"WHEN GROUPING({column}) = 0 THEN '{name}'" for name, column in named.items())
    value = "".join(f"{column}, " for column in named.values())  # all but the one that is grouped by are NULL
    told = ", ".join(f"{measure} AS {name}" for name, measure in measures.items())
    rows = analysis.query(
        f"SELECT {is_before} AS is_before, CASE {kind or 'WHEN false THEN 0'} END AS kind,"  # noqa: S608
        f" coalesce({value}'{NONE}') AS group_name, {told} FROM {source} GROUP BY GROUPING SETS ({sets}) QUALIFY"
        f" row_number() OVER (PARTITION BY is_before, kind ORDER BY count(*) DESC, group_name) <= {MOST_GROUPS}",
        parameters,
    )
    nothing = {name: 0 if measure.startswith(("count(", "coalesce(")) else None for name, measure in measures.items()}
    whole = {row["is_before"]: {name: row[name] for name in measures} for row in rows if row["kind"] is None}
    groups = {name: _paired([row for row in rows if row["kind"] == name], measures) for name in named}
    return Comparison((whole.get(False, nothing), whole.get(True, nothing)), groups)


def _paired(rows: Sequence[Row], measures: Mapping[str, str]) -> Pairs:
    read = [(row["is_before"], {"name": row["group_name"], **{name: row[name] for name in measures}}) for row in rows]
    then = {row["name"]: row for is_before, row in read if is_before}
    return [(row, then.get(row["name"], {})) for is_before, row in read if not is_before]
