"""`promptlane price check`: where the built-in table and pricing.yaml disagree with other collections of prices."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from proxy.cli.price_sources import PriceSource
from proxy.domain.price_book import PriceBook
from proxy.domain.price_differences import Difference, compare
from proxy.domain.rates import Price

_MODELS_SHOWN = 3


@dataclass(slots=True, kw_only=True)
class Report:
    """What one collection says. Alike rows of a group are one: (group, difference) → models."""

    source: str
    models_compared: int = 0
    models_only_ours: int = 0
    rates_agreed: int = 0
    rows: dict[tuple[str, Difference], dict[str, None]] = field(default_factory=dict)

    def take(self, group: str, model: str, ours: Price, theirs: Price) -> None:
        """Compare one model."""
        self.models_compared += 1
        agreed, differences = compare(ours, theirs)
        self.rates_agreed += agreed
        for difference in differences:
            self.rows.setdefault((group, difference), {})[model] = None

    def worst(self, limit: int | None) -> list[tuple[str, list[str], list[Difference]]]:
        """The rows that are farthest apart, by group and models, the farthest first."""
        rows = sorted(self.rows.items(), key=lambda row: _distance(row[0][1]), reverse=True)
        blocks: dict[tuple[str, tuple[str, ...]], list[Difference]] = {}
        for (group, difference), models in rows[:limit]:
            blocks.setdefault((group, tuple(models)), []).append(difference)
        return sorted(((group, list(models), found) for (group, models), found in blocks.items()), key=lambda it: it[0])


def _distance(difference: Difference) -> Decimal:
    """How far apart; a rate that only one of the two charges is farthest, one that we do not state is nearest."""
    if difference.ours is None:
        return Decimal(0)
    ratio = difference.ratio
    return max(ratio, 1 / ratio) if ratio else Decimal("Infinity")


def hold_against(source: PriceSource, book: PriceBook, callers: Iterable[tuple[str, str]], on: date) -> Report:
    """Compare the built-in table, and what the operator's entries say of the models that the source has.

    `callers` are labels and names of providers.
    """
    report = Report(source=source.name)
    for label, models in book.table.items():
        for model, price in models.items():
            theirs = source.find(label, model)
            if theirs is None:
                report.models_only_ours += 1
            else:
                report.take(label, model, price, theirs)
    for label, name in callers if book.rules else ():
        for model in source.names(label):
            found, theirs = book.find(label, name, model, on), source.find(label, model)
            if found is not None and found.price.origin is not None and theirs is not None:
                report.take(f"{found.price.origin.file}:{found.price.origin.line}", model, found.price, theirs)
    return report


def as_text(report: Report, limit: int | None) -> Iterator[str]:
    """The report for people."""
    models = {(group, model) for (group, _), names in report.rows.items() for model in names}
    yield (
        f"{report.source}: {report.models_compared:,} models compared, {report.rates_agreed:,} rates agree, "
        f"{len(models):,} models differ; {report.models_only_ours:,} models are in our table alone"
    )
    group = None
    for place, names, differences in report.worst(limit):
        if place != group:
            group = place
            yield f"  {place}"
        yield f"    {', '.join(names[:_MODELS_SHOWN])}" + f" and {len(names) - _MODELS_SHOWN} more" * (
            len(names) > _MODELS_SHOWN
        )
        yield from map(_line, differences)
    if limit is not None and (hidden := len(report.rows) - limit) > 0:
        yield f"  {hidden:,} more lines; --limit 0 shows all"


def _line(difference: Difference) -> str:
    ours = "none" if difference.ours is None else _plain(difference.ours)
    ratio = f"×{_plain(difference.ratio)}" if difference.ratio else ""
    return f"      {difference.rate:<45} ours {ours:<10} theirs {_plain(difference.theirs):<10} {ratio}".rstrip()


def as_json(report: Report, limit: int | None) -> dict[str, object]:
    """The report for scripts; money as text, exactly."""
    return {
        "source": report.source,
        "models_compared": report.models_compared,
        "models_only_ours": report.models_only_ours,
        "rates_agreed": report.rates_agreed,
        "differences": [
            {
                "place": place,
                "models": models,
                "rate": difference.rate,
                "ours": None if difference.ours is None else f"{difference.ours:f}",
                "theirs": f"{difference.theirs:f}",
                "ratio": None if difference.ratio is None else round(float(difference.ratio), 6),
            }
            for place, models, differences in report.worst(limit)
            for difference in differences
        ],
    }


def _plain(value: Decimal) -> str:
    """At most five significant digits, no exponent."""
    return f"{float(value):.5g}" if value >= Decimal("0.0001") else f"{value:f}"
