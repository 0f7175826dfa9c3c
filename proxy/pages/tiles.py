"""What a dashboard is made of: figures at its top, and tiles, each a chart with the table behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from proxy.pages.charts import Spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number of the period, beside that of the period before."""

    label: str
    value: str
    change: str = ""
    """Against the period before, with its sign; "" where nothing can be compared."""
    is_worse: bool | None = None
    """None where more is neither better nor worse."""
    note: str = ""
    href: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """`value` is what a downloaded table holds: a number, a text or nothing."""

    text: str
    value: Any = None
    href: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """The head of a column; those of numbers stand at the right."""

    title: str
    is_number: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of cells, one for each column."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A chart and its table; where there is nothing to show, `empty` says what would bring it."""

    key: str
    title: str
    note: str = ""
    spec: Spec | None = None
    table: Table
    empty: str = "No calls in this period."
    is_wide: bool = False
