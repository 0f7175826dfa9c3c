"""The columns of calls, attempts and outcomes, made from the tables of properties, and how records become rows.

A column is named as its property without the `$`. A value that does not have the column's type is NULL.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import orjson

from proxy.adapters.analysis.database import named, quoted
from proxy.domain import event_properties, outcome_properties
from proxy.domain.errors import ErrorType, Status
from proxy.domain.event_properties import COMPLETED, FAILED
from proxy.domain.property_rows import Kind, Property

LAYOUT = 1
"""Another one makes all files anew. It must grow when a column changes its type, or an attempt its members; columns
that come or go need nothing."""

_TYPES = {
    Kind.TEXT: "VARCHAR",
    Kind.INTEGER: "BIGINT",
    Kind.NUMBER: "DOUBLE",
    Kind.BOOLEAN: "BOOLEAN",
    Kind.TEXTS: "VARCHAR[]",
    Kind.MAP: "MAP(VARCHAR, VARCHAR)",
}
ATTEMPT = {
    "attempt": "BIGINT",
    "provider": "VARCHAR",
    "model": "VARCHAR",
    "target": "VARCHAR",
    "latency_ms": "DOUBLE",
    "error_type": "VARCHAR",
    "error_code": "VARCHAR",
    "http_status": "BIGINT",
    "started_us": "BIGINT",
    "sent_us": "BIGINT",
    "first_byte_us": "BIGINT",
    "first_token_us": "BIGINT",
    "ended_us": "BIGINT",
    "reached_provider": "BOOLEAN",
    "input_tokens": "BIGINT",
    "output_tokens": "BIGINT",
    "cost_usd": "DOUBLE",
}
"""Times are microseconds from the receipt of the request."""

_FLAG = "$feature/"
_FLAGS = f"""CASE WHEN contains(body, '"{_FLAG}') THEN map_from_entries([
    (key[{len(_FLAG) + 1}:], json_extract_string(body, '/properties/' || replace(replace(key, '~', '~0'), '/', '~1')))
    for key in json_keys(body, '$.properties') if starts_with(key, '{_FLAG}')]) END"""
_RAW = (
    "SELECT unnest($id) AS id, unnest($exchange_id) AS exchange_id, unnest($trace_id) AS trace_id,"
    " unnest($name) AS name, unnest($at_us) AS at_us, unnest($body) AS body"
)


@dataclass(frozen=True, slots=True)
class Column:
    """`value` is the expression over a raw row, whose text is `body` and, taken apart, `told`."""

    name: str
    type: str
    value: str


@dataclass(frozen=True, slots=True)
class Table:
    """One kind of rows. `key` names the column that no two rows share; `$id` of a raw row is its value."""

    name: str
    key: str
    at: str
    """The column of time by which rows are sorted."""
    columns: tuple[Column, ...]
    shape: str
    """What of the JSON text is taken apart, for `from_json`."""

    @property
    def parse(self) -> str:
        """From lists of raw values (`$id`, …) to rows."""
        values = ", ".join(f"CAST({it.value} AS {it.type}) AS {named(it.name)}" for it in self.columns)
        told = f"SELECT *, from_json(body, {self.shape}) AS told FROM ({_RAW}) WHERE json_valid(body)"
        return f"SELECT {values} FROM ({told})"

    @property
    def create(self) -> str:
        """An empty table in memory."""
        return f"CREATE TABLE {self.memory}({', '.join(f'{named(it.name)} {it.type}' for it in self.columns)})"

    @property
    def memory(self) -> str:
        """The name of the table of the newest rows."""
        return f"new_{self.name}"

    @property
    def files(self) -> str:
        """The name of the view of the rows in files."""
        return f"old_{self.name}"

    @property
    def names(self) -> str:
        """All columns, for a SELECT."""
        return ", ".join(named(it.name) for it in self.columns)


def _properties(rows: Iterable[Property]) -> dict[str, str]:
    """The types of properties by their names; flags are not among them."""
    return {row.name: _TYPES[row.kind] for row in rows if row.kind in _TYPES}


def _table(name: str, *, at: str, first: Sequence[Column], members: dict[str, object], types: dict[str, str]) -> Table:
    """A column for each property, behind the first ones, whose names count before a property's."""
    taken = {column.name for column in first}
    others = [Column(it.removeprefix("$"), kind, f"told.properties.{named(it)}") for it, kind in types.items()]
    columns = (*first, *(column for column in others if column.name not in taken))
    return Table(name, first[0].name, at, columns, quoted(_structure({**members, "properties": types})))


def _structure(of: object) -> str:
    """As `from_json` wants it: lists are JSON lists of one type."""
    if isinstance(of, dict):
        return "{" + ",".join(f"{orjson.dumps(name).decode()}:{_structure(inner)}" for name, inner in of.items()) + "}"
    if isinstance(of, list):
        return f"[{_structure(of[0])}]"
    kind = str(of)
    return f'["{kind.removesuffix("[]")}"]' if kind.endswith("[]") else f'"{kind}"'


def _calls() -> Table:
    attempts = ", ".join(f"{name} {kind}" for name, kind in ATTEMPT.items())
    return _table(
        "calls",
        at="ended_at",
        first=(
            Column("exchange_id", "VARCHAR", "id"),
            Column("trace_id", "VARCHAR", "trace_id"),
            Column("distinct_id", "VARCHAR", "told.distinct_id"),
            Column("event", "VARCHAR", f"coalesce(told.event, '{FAILED}')"),
            Column("started_at", "TIMESTAMP", "make_timestamp(told.received_unix_us)"),
            Column("ended_at", "TIMESTAMP", "make_timestamp(at_us)"),
            # the record of a call whose process died is its facts alone
            Column("status", "VARCHAR", _unless_told("status", Status.ERROR)),
            Column("error_type", "VARCHAR", _unless_told("error_type", ErrorType.INTERRUPTED)),
            Column("flags", "MAP(VARCHAR, VARCHAR)", _FLAGS),
            Column("own", "JSON", "told.own"),
            Column("attempts", f"STRUCT({attempts})[]", "told.attempts"),
        ),
        members={
            "distinct_id": "VARCHAR",
            "received_unix_us": "BIGINT",
            "event": "VARCHAR",
            "own": "JSON",
            "attempts": [ATTEMPT],
        },
        types=_properties(row for row in event_properties.TABLE if {COMPLETED, FAILED} & set(row.events)),
    )


def _unless_told(name: str, value: str) -> str:
    return f"if(told.event IS NULL, '{value}', told.properties.{name})"


def _outcomes() -> Table:
    shared = [row for row in event_properties.TABLE if row.group in ("identity", "prompt", "model")]
    return _table(
        "outcomes",
        at="at",
        first=(
            Column("uuid", "VARCHAR", "id"),
            Column("name", "VARCHAR", "name"),
            Column("trace_id", "VARCHAR", "nullif(trace_id, '')"),
            Column("exchange_id", "VARCHAR", "nullif(exchange_id, '')"),
            Column("at", "TIMESTAMP", "make_timestamp(at_us)"),
            Column("distinct_id", "VARCHAR", "told.distinct_id"),
            Column("flags", "MAP(VARCHAR, VARCHAR)", _FLAGS),
            Column("properties", "JSON", "json_extract(body, '$.properties')"),
        ),
        members={"distinct_id": "VARCHAR"},
        types=_properties([*shared, *outcome_properties.TABLE]),
    )


CALLS = _calls()
OUTCOMES = _outcomes()
TABLES = (CALLS, OUTCOMES)
