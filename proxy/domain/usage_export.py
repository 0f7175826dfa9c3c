"""A provider's own account of what was used, as its console exports it: read by day and model, and held to ours.

Known are the usage and cost exports of OpenAI's and Anthropic's consoles (columns as seen in files of 2025 and 2026),
and any table whose columns have plain names. Days are UTC, as in those exports.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime

Key = tuple[date, str]
"""Day and model; the model is "" where a file does not say it."""

_DAY = ("usage_date_utc", "start_time_iso", "start_time", "date", "day", "timestamp", "usage_date")
_MODEL = ("model_version", "model", "snapshot_id", "line_item", "model_name")
_CALLS = ("num_model_requests", "requests", "num_requests", "request_count", "calls")
_INPUT = ("input_tokens", "n_context_tokens_total", "prompt_tokens")
_INPUT_PARTS = (
    "usage_input_tokens_no_cache", "usage_input_tokens_cache_write_5m", "usage_input_tokens_cache_write_1h",
    "usage_input_tokens_cache_write", "usage_input_tokens_cache_read",
)  # fmt: skip
"""Anthropic's, which do not overlap: their sum is the input."""
_OUTPUT = ("output_tokens", "usage_output_tokens", "n_generated_tokens_total", "completion_tokens")
_COST = ("amount_value", "cost_usd", "cost", "amount", "amount_usd")
_DATED = re.compile(r"-(?:\d{4}-\d{2}-\d{2}|\d{8})$")


class NotUnderstood(Exception):
    """The file is no table that we can read; the text says what is missing. `line` is 1 for the heading."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(f"line {line}: {what}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What was used on one day by one model. None where a side does not count it."""

    calls: float | None = None
    input_tokens: float | None = None
    output_tokens: float | None = None
    cost_usd: float | None = None

    def __add__(self, other: "Used") -> "Used":
        return Used(**{
            name: (getattr(self, name) or 0.0) + getattr(other, name)
            if getattr(other, name) is not None
            else getattr(self, name)
            for name in QUANTITIES
        })  # fmt: skip


QUANTITIES = tuple(field.name for field in fields(Used))


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One quantity of one day and model on which both sides have a word and do not agree."""

    day: date
    model: str
    quantity: str
    ours: float
    theirs: float


def read_export(rows: Iterable[Sequence[str]]) -> dict[Key, Used]:
    """The export, summed by day and model. Rows without anything used are left out. Raises NotUnderstood."""
    lines = enumerate(rows, start=1)
    _, heading = next(lines, (1, ()))
    places = {name.strip().lower().removeprefix("\ufeff"): place for place, name in enumerate(heading)}
    day_at = _first(places, _DAY)
    if day_at is None:
        raise NotUnderstood(1, f"there is no column of days; known names are {', '.join(_DAY)}")
    model_at, quantities = _first(places, _MODEL), dict(_quantities(places))
    if not quantities:
        raise NotUnderstood(1, f"there is no column of tokens or cost, such as {_INPUT[0]}, {_OUTPUT[0]} or {_COST[0]}")
    used: dict[Key, Used] = {}
    for line, row in lines:
        cells = _Cells(line, row)
        counted = Used(**{name: cells.sum(at) for name, at in quantities.items()})
        if any(getattr(counted, name) for name in QUANTITIES):
            key = cells.day(day_at), undated(cells.text(model_at).split(",")[0]) if model_at is not None else ""
            used[key] = used.get(key, Used()) + counted
    return used


def undated(model: str) -> str:
    """`gpt-4.1-mini-2025-04-14` and `gpt-4.1-mini` are one model to an account."""
    return _DATED.sub("", model.strip().lower())


def differences(ours: Mapping[Key, Used], theirs: Mapping[Key, Used], tolerance: float) -> Iterator[Difference]:
    """Where the sides differ by more than `tolerance` (0.01: a hundredth of the larger one), in order of days.

    A quantity that one side does not count anywhere is left out; where it counts it, a day without any is 0.
    """
    counted = [name for name in QUANTITIES if all(_counts(side, name) for side in (ours, theirs))]
    for key in sorted({*ours, *theirs}):
        for name in counted:
            own, other = (getattr(side.get(key, Used()), name) or 0.0 for side in (ours, theirs))
            if abs(own - other) > tolerance * max(own, other):
                yield Difference(day=key[0], model=key[1], quantity=name, ours=own, theirs=other)


def without_models(side: Mapping[Key, Used]) -> dict[Key, Used]:
    """By day alone, for an export that names no models."""
    summed: dict[Key, Used] = {}
    for (day, _), used in side.items():
        summed[day, ""] = summed.get((day, ""), Used()) + used
    return summed


def _counts(side: Mapping[Key, Used], name: str) -> bool:
    return any(getattr(used, name) is not None for used in side.values())


def _first(places: Mapping[str, int], names: Iterable[str]) -> int | None:
    return next((places[name] for name in names if name in places), None)


def _quantities(places: Mapping[str, int]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The columns that each quantity is the sum of."""
    parts = tuple(places[name] for name in _INPUT_PARTS if name in places)
    for name, known in (("calls", _CALLS), ("input_tokens", _INPUT), ("output_tokens", _OUTPUT), ("cost_usd", _COST)):
        at = _first(places, known)
        if name == "input_tokens" and parts:
            yield name, parts
        elif at is not None:
            yield name, (at,)


@dataclass(frozen=True, slots=True)
class _Cells:
    line: int
    row: Sequence[str]

    def text(self, at: int) -> str:
        return self.row[at].strip() if at < len(self.row) else ""

    def sum(self, places: Iterable[int]) -> float | None:
        """None where all of them are empty."""
        cells = [cell for cell in map(self.text, places) if cell]
        return sum(map(self._number, cells)) if cells else None

    def _number(self, cell: str) -> float:
        try:
            value = float(cell.replace(",", "").removeprefix("$"))
        except ValueError:
            raise NotUnderstood(self.line, "a count or an amount is no number") from None
        if not abs(value) < 1e15:
            raise NotUnderstood(self.line, "a count or an amount is no number")
        return value

    def day(self, at: int) -> date:
        """`2026-11-20`, a time that begins so, or seconds since 1970."""
        cell = self.text(at)
        try:
            if cell.isascii() and cell.isdecimal() and len(cell) == 10:
                return datetime.fromtimestamp(int(cell), UTC).date()
            told = datetime.fromisoformat(cell)
        except ValueError:
            raise NotUnderstood(self.line, "the day is none; it should begin like 2026-11-20") from None
        return (told.astimezone(UTC) if told.tzinfo else told).date()
