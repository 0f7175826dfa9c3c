"""One view `events`, shaped like PostHog's table: event, distinct_id, timestamp, uuid, and properties as texts.

Of calls it has their ends, and the attempts that another one followed; of what came of calls, everything.
"""

from collections.abc import Iterable, Mapping

from proxy.adapters.analysis import Analysis
from proxy.domain import event_properties, outcome_properties
from proxy.domain.event_properties import ATTEMPT_FAILED, STARTED

_FLAG = "$feature/"
_TYPED = "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = ?"
_SELECTS = {
    "calls": "SELECT exchange_id AS uuid, event, ended_at AS timestamp, distinct_id, {properties} FROM calls",
    "outcomes": 'SELECT uuid, name AS event, "at" AS timestamp, distinct_id, {properties} FROM outcomes',
    "starts": f"SELECT exchange_id || '-start' AS uuid, '{STARTED}' AS event, started_at AS timestamp, distinct_id,"
    " {properties} FROM calls",
    "attempts": f"SELECT exchange_id || '-' || attempt AS uuid, '{ATTEMPT_FAILED}' AS event,"
    " call_started_at AS timestamp, NULL AS distinct_id, {properties} FROM attempts WHERE error_type IS NOT NULL"
    " AND attempt < (SELECT max(other.attempt) FROM attempts AS other WHERE other.exchange_id = attempts.exchange_id)",
}
_ALIASES = {
    row.name.removeprefix("$"): row.name
    for row in (*event_properties.TABLE, *outcome_properties.TABLE)
    if row.name.startswith("$")
}
"""Columns whose property begins with a dollar sign."""


def make_view(analysis: Analysis, asked: set[str]) -> None:
    """Make the view, with the properties that somebody asks for."""
    columns = {table: _names(analysis, table) for table in ("calls", "outcomes", "attempts")}
    columns["starts"] = columns["calls"]
    parts = [
        select.format(properties=_struct(sorted(asked), columns[table], table)) for table, select in _SELECTS.items()
    ]
    analysis.query(f"CREATE OR REPLACE TEMP VIEW events AS {' UNION ALL '.join(parts)}")


def _names(analysis: Analysis, table: str) -> dict[str, str]:
    """Columns of one value each, by the names of their properties."""
    rows = analysis.query(_TYPED, [table])
    names = [row["column_name"] for row in rows if "[" not in row["data_type"] and "MAP" not in row["data_type"]]
    return {_ALIASES.get(name, name): name for name in names}


def _struct(asked: Iterable[str], columns: Mapping[str, str], table: str) -> str:
    members = ", ".join(f'"{name}": {_value(name, columns, table)}' for name in asked)
    return f"{{{members}}} AS properties"


def _value(name: str, columns: Mapping[str, str], table: str) -> str:
    """A column, a flag, or what the record has beside: one's own properties, and what has no single value."""
    assert '"' not in name
    quoted = name.replace("'", "''")
    if name in columns:
        return f'CAST("{columns[name]}" AS VARCHAR)'
    if table == "attempts":
        return "NULL::VARCHAR"
    if name.startswith(_FLAG):
        return f"flags['{quoted.removeprefix(_FLAG)}']"
    return f"""json_extract_string({"properties" if table == "outcomes" else "own"}, '$."{quoted}"')"""
