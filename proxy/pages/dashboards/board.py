"""What a dashboard is, and tables that several of them have."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from proxy.pages import wording
from proxy.pages.breakdowns import Analysis, Row, groups
from proxy.pages.filters import Filters
from proxy.pages.tiles import Cell, Column, Figure, Table, Tile

TRACES = "/ui/traces"


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """`question` says what the page is for. Tiles are drawn in their order."""

    key: str
    title: str
    question: str
    figures: Callable[[Analysis, Filters], Sequence[Figure]]
    tiles: Mapping[str, Callable[[Analysis, Filters], Tile]]


@dataclass(frozen=True, slots=True)
class Measure:
    """A column of a table: what it is called, how a row's value is read off and written, and where it leads to."""

    title: str
    value: Callable[[Row], float | None]
    written: Callable[[float | None], str]
    leads_to: Mapping[str, str] | None = None
    """What is chosen besides the row's own name; None for a number that leads nowhere."""


def with_before(
    analysis: Analysis, filters: Filters, by: str, measures: Sequence[str], *, order: str = "calls"
) -> list[tuple[Row, Row]]:
    """The greatest groups, each with the same group of the period before (empty where there was none)."""
    now = groups(analysis, filters, by, measures, order=order)
    before = {row["name"]: row for row in groups(analysis, filters.before, by, measures, order=order, limit=1_000)}
    return [(row, before.get(row["name"], {})) for row in now]


def table_by(filters: Filters, by: str, title: str, pairs: Sequence[tuple[Row, Row]], *measures: Measure) -> Table:
    """A row for each group; beside the first measure stands its change."""
    first = measures[0]
    columns = [Column(title), *(Column(measure.title, is_number=True) for measure in measures)]
    columns.insert(2, Column("change", is_number=True))
    rows = []
    for row, before in pairs:
        cells = [Cell(row["name"], row["name"], filters.to(TRACES, **{by: row["name"]}))]
        for measure in measures:
            value = measure.value(row)
            href = "" if measure.leads_to is None else filters.to(TRACES, **{by: row["name"], **measure.leads_to})
            cells.append(Cell(measure.written(value), value, href if value else ""))
        now, then = first.value(row), first.value(before) if before else None
        cells.insert(2, Cell(wording.change(now, then) or wording.UNKNOWN, then))
        rows.append(cells)
    return Table(columns=columns, rows=rows)
