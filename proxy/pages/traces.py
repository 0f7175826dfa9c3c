"""The list of traces behind a mark: those with a call that the filters let through, the newest first."""

import re
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from proxy.pages import wording
from proxy.pages.breakdowns import Analysis, Row
from proxy.pages.filters import Filters
from proxy.pages.tiles import Cell, Column, Table

PAGE_ROWS = 50
CALLS_LOOKED_AT = 20
"""For each trace that is wanted, so many of the newest calls are looked at before all of them are."""
_SAFE_IN_PATH = re.compile(r"(?!\.{1,2}$)[^/\\%]+")
"""Ids that the proxy takes as a part of a path; separators and dots it takes in none, however they are encoded."""
_COLUMNS = (
    Column("last call, UTC"),
    Column("trace"),
    Column("user"),
    Column("prompt version"),
    Column("model"),
    Column("calls", is_number=True),
    Column("failed", is_number=True),
    Column("slowest call", is_number=True),
    Column("tokens", is_number=True),
    Column("cost", is_number=True),
)


def trace_path(trace_id: str) -> str:
    """The address of a trace's page."""
    if _SAFE_IN_PATH.fullmatch(trace_id):
        return "/ui/traces/" + quote(trace_id, safe="")
    return "/ui/trace?" + urlencode({"id": trace_id})


def find(analysis: Analysis, filters: Filters, until: datetime | None = None, limit: int = PAGE_ROWS) -> list[Row]:
    """One row for each trace; numbers are of those of its calls that the filters let through. `until` is exclusive."""
    where, parameters = filters.where_calls()
    if until is not None:
        parameters["until"] = until
    newest = (
        f"SELECT trace_id FROM calls WHERE {where}{' AND ended_at < $until' if until else ''}"  # noqa: S608
        f" ORDER BY ended_at DESC LIMIT {limit * CALLS_LOOKED_AT}"
    )
    having = "HAVING max(ended_at) < $until" if until else ""
    found = analysis.query(_rows(f"{where} AND trace_id IN ({newest})", having, limit), parameters)
    return found if len(found) == limit else analysis.query(_rows(where, having, limit), parameters)


def _rows(where: str, having: str, limit: int) -> str:
    return (
        "SELECT trace_id, max(ended_at) AS ended_at, count(*) AS calls,"  # noqa: S608
        " count(*) FILTER (WHERE status NOT IN ('success', 'cancelled')) AS failed,"
        " any_value(error_type) AS error_type, any_value(distinct_id) AS distinct_id,"
        " any_value(prompt_version_id) AS prompt_version_id,"
        " count(DISTINCT model) AS models, any_value(model) AS model,"
        " max(latency_ms) AS latency_ms, sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,"
        " sum(estimated_cost_usd) AS cost_usd"
        f" FROM calls WHERE {where} GROUP BY trace_id {having} ORDER BY ended_at DESC, trace_id LIMIT {limit}"
    )


def table_of(rows: list[Row]) -> Table:
    """Each row leads to its trace."""
    return Table(columns=_COLUMNS, rows=[_cells(row) for row in rows])


def _cells(row: Row) -> list[Cell]:
    model = row["model"] or wording.UNKNOWN
    return [
        Cell(wording.moment(row["ended_at"]), row["ended_at"].isoformat()),
        Cell(row["trace_id"], row["trace_id"], trace_path(row["trace_id"])),
        _text(row["distinct_id"]),
        _text(row["prompt_version_id"]),
        Cell(model if row["models"] < 2 else f"{model} and {row['models'] - 1} more", row["model"]),
        _number(row["calls"], wording.count),
        Cell(_failed(row), row["failed"]),
        _number(row["latency_ms"], wording.duration),
        Cell(f"{wording.count(row['input_tokens'])} → {wording.count(row['output_tokens'])}", row["output_tokens"]),
        _number(row["cost_usd"], wording.money),
    ]


def _failed(row: Row) -> str:
    if not row["failed"]:
        return "0"
    return row["error_type"] if row["calls"] == 1 and row["error_type"] else wording.count(row["failed"])


def _text(value: str | None) -> Cell:
    return Cell(value or wording.UNKNOWN, value)


def _number(value: float | None, written: Any) -> Cell:  # noqa: ANN401
    return Cell(written(value), value)
