"""What a dashboard is, and the few ways in which its tiles are made."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from proxy.pages import wording
from proxy.pages.breakdowns import Analysis, Row, Series
from proxy.pages.comparison import Pairs
from proxy.pages.filters import Filters
from proxy.pages.specs import COUNT, MS, OTHER, Bar, Moment, Point, ranges, ranked, stacked
from proxy.pages.tiles import Cell, Column, Figure, Table, Tile

TRACES = "/ui/traces"
MOST_SERIES = 7
"""So many groups have a colour of their own in a chart over time."""


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
    """A number of a row: what it is called, how it is read off and written, and which traces are behind it."""

    title: str
    value: Callable[[Row], float | None]
    written: Callable[[float | None], str] = wording.count
    leads_to: Mapping[str, str] | None = field(default_factory=dict)
    """What is chosen besides the row's own name; None for a number that leads nowhere."""
    is_share: bool = False
    """Its change is told in points."""
    is_worse_up: bool | None = None
    """True where more is worse; None where neither is."""

    def change(self, now: Row, before: Row) -> str:
        """Against the period before; "" where nothing can be compared."""
        values = self.value(now), self.value(before) if before else None
        return wording.points(*values) if self.is_share else wording.change(*values)


def counted(name: str, title: str | None = None, **more: str) -> Measure:
    """A count that a row has under this name; `more` is what is chosen for its traces."""
    return Measure(title or name, lambda row: row[name], leads_to=more)


def figure(measure: Measure, now: Row, before: Row, *, label: str, note: str = "", href: str = "") -> Figure:
    """One number of a whole period."""
    value, then = measure.value(now), measure.value(before)
    is_worse = None
    if measure.is_worse_up is not None and value is not None and then is not None and value != then:
        is_worse = (value > then) is measure.is_worse_up
    return Figure(
        label=label,
        value=measure.written(value),
        change=measure.change(now, before),
        is_worse=is_worse,
        note=note,
        href=href,
    )


def table_by(filters: Filters, by: str, title: str, pairs: Pairs, *measures: Measure) -> Table:
    """A row for each group; beside the first measure stands its change."""
    columns = [Column(title), *(Column(measure.title, is_number=True) for measure in measures)]
    columns.insert(2, Column("change", is_number=True))
    rows = []
    for row, before in pairs:
        cells = [Cell(row["name"], row["name"], filters.to(TRACES, **{by: row["name"]}))]
        cells += [_cell(filters, by, row, measure) for measure in measures]
        first = measures[0]
        cells.insert(2, Cell(first.change(row, before) or wording.UNKNOWN, first.value(before) if before else None))
        rows.append(cells)
    return Table(columns=columns, rows=rows)


def _cell(filters: Filters, by: str, row: Row, measure: Measure) -> Cell:
    value = measure.value(row)
    return Cell(measure.written(value), value, _behind(filters, by, row, measure) if value else "")


def _behind(filters: Filters, by: str, row: Row, measure: Measure) -> str:
    """The traces behind a number of a group."""
    if measure.leads_to is None:
        return ""
    return filters.to(TRACES, **{by: row["name"], **measure.leads_to})


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a tile is called, and what it says."""

    key: str
    title: str
    note: str = ""
    empty: str = "No calls in this period."
    colour: str = "series-1"
    unit: str = COUNT
    """Of a chart over time."""


def bars(filters: Filters, by: str, pairs: Pairs, about: About, measure: Measure, *others: Measure) -> Tile:
    """A bar for each group that has the measure; the other measures stand in the table."""
    known = [(row, value) for row, _ in pairs if (value := measure.value(row)) is not None]
    drawn = [
        Bar(
            name=row["name"],
            value=value,
            shown=measure.written(value),
            label=f"{row['name']}: {measure.title} {measure.written(value)}",
            href=_behind(filters, by, row, measure),
        )
        for row, value in known
    ]
    return Tile(
        key=about.key,
        title=about.title,
        note=about.note,
        spec=ranked(drawn, what=about.title, colour=about.colour) if drawn else None,
        table=table_by(
            filters, by, by, [pair for pair in pairs if measure.value(pair[0]) is not None], measure, *others
        ),
        empty=about.empty,
    )


def spans(
    filters: Filters,
    by: str,
    pairs: Pairs,
    about: About,
    measures: Sequence[Measure],
    *others: Measure,
    unit: str = MS,
) -> Tile:
    """A line for each group from its least measure to its greatest, with a point for each; all in the table."""
    known = [pair for pair in pairs if all(measure.value(pair[0]) is not None for measure in measures)]
    points = [
        Point(
            name=row["name"],
            series=measure.title,
            value=measure.value(row) or 0,
            label=f"{row['name']}: {measure.title} {measure.written(measure.value(row))}",
            href=filters.to(TRACES, **{by: row["name"], "slower": f"{measure.value(row):.0f}"}),
        )
        for row, _ in known
        for measure in measures
    ]
    series = [measure.title for measure in measures]
    return Tile(
        key=about.key,
        title=about.title,
        note=about.note,
        spec=ranges(points, series, what=about.title, unit=unit) if points else None,
        table=table_by(filters, by, by, known, *measures, *others),
        empty=about.empty,
    )


def over_time(filters: Filters, found: Series, by: str | None, about: About, measure: Measure) -> Tile:
    """Bars over time, a colour for each series."""
    moments = moments_of(filters, found, by, measure)
    return Tile(
        key=about.key,
        title=about.title,
        note=about.note,
        spec=stacked(moments, found.names, period=(filters.begin, filters.end), what=about.title, unit=about.unit)
        if moments
        else None,
        table=table_over_time(moments, measure),
        empty=about.empty,
        is_wide=True,
    )


def moments_of(filters: Filters, found: Series, by: str | None, measure: Measure) -> list[Moment]:
    """Each leads to the traces of its time and series."""
    moments = []
    for row in found.rows:
        if (value := measure.value(row)) is None:
            continue
        own = {by: row["series"]} if by is not None and row["series"] != OTHER else {}
        at = f"{row['begin']:%d %b %H:%M} UTC"
        said = f"{measure.title} {measure.written(value)}, {at}"
        moments.append(
            Moment(
                begin=row["begin"],
                end=row["end"],
                series=row["series"],
                value=value,
                label=said if by is None else f"{row['series']}: {said}",
                href=filters.within(row["begin"], row["end"]).to(TRACES, **own, **(measure.leads_to or {})),
            )
        )
    return moments


def table_over_time(moments: Sequence[Moment], measure: Measure) -> Table:
    """A row for each mark."""
    return Table(
        columns=(Column("from, UTC"), Column("series"), Column(measure.title, is_number=True)),
        rows=[
            (
                Cell(wording.moment(moment.begin), moment.begin.isoformat()),
                Cell(moment.series, moment.series),
                Cell(measure.written(moment.value), moment.value, moment.href),
            )
            for moment in moments
        ],
    )
