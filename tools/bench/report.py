"""From the figures of the rounds to one table: medians, ratios within a round, and how far the goals are met."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, isnan, nan
from statistics import median
from typing import Any

from tools.bench.recipes import BARE, BOUND, NGINX, OFF, ON, SHIPPING

DIRECT = "direct"
LEAST_ADDED_MS = 0.02
"""Where a baseline adds less than this to a direct call, nothing can be divided by it."""
FULL_CORE = 0.85
"""A gateway that used less of its core at full speed was held back by something else: by the rig."""
MOST_LATE = 0.1
"""Calls that end just behind a window are a few hundredths; a gateway that does more after it puts its work off."""
_CORE_SHARES = {
    "requests_per_s": "plain_core_share", "sustained_per_s": "plain_core_share", "streams_per_s": "streams_core_share",
}  # fmt: skip
"""By figure of full speed, what tells whether the gateway itself was the limit."""
_DELIVERED = 99.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What the row `judged` is to reach, as a ratio to the row `against`, or as it is. `floor` None: none is set."""

    floor: float | None
    reach: float
    against: str | None = None
    base: str | None = None
    """The figure of the other row, where it is not the same."""
    judged: str = ON


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table. `is_added`: what a gateway adds to the direct call of the same round."""

    name: str
    title: str
    digits: int = 0
    is_added: bool = False
    more_is_better: bool = False
    goals: Sequence[Goal] = ()


def _pair(floor_nginx: float, reach_nginx: float, *more: Goal) -> tuple[Goal, ...]:
    """A goal against nginx, and what else there is."""
    return (Goal(floor=floor_nginx, reach=reach_nginx, against=NGINX), *more)


def _shown(against: str) -> Goal:
    """A ratio that is shown without a goal."""
    return Goal(floor=None, reach=nan, against=against)


FIGURES: Sequence[Figure] = (
    Figure(name="requests_per_s", title="plain requests/s, 64 connections", more_is_better=True,
           goals=_pair(0.12, 0.25, Goal(floor=1.6, reach=2.7, against=BARE))),
    Figure(name="sustained_per_s", title="requests/s at which the outbox does not grow", more_is_better=True,
           goals=(Goal(floor=0.12, reach=0.25, against=NGINX, base="requests_per_s", judged=SHIPPING),
                  Goal(floor=1.6, reach=2.7, against=BARE, base="requests_per_s", judged=SHIPPING))),
    Figure(name="request_cpu_us", title="CPU µs per request", digits=1,
           goals=(_shown(NGINX), _shown(BARE), Goal(floor=1.6, reach=1.25, against=OFF))),
    Figure(name="streams_per_s", title="streams/s, 50 chunks without pause", more_is_better=True,
           goals=_pair(0.70, 0.9, _shown(BARE))),
    Figure(name="chunk_cpu_us", title="CPU µs per chunk, without pause", digits=2, goals=(_shown(NGINX), _shown(BARE))),
    Figure(name="held_chunk_cpu_us", title="CPU µs per chunk, 10,000 chunks/s", digits=1,
           goals=_pair(1.8, 1.5, _shown(BARE))),
    Figure(name="held_many_chunk_cpu_us", title="CPU µs per chunk, 50,000 chunks/s", digits=1,
           goals=_pair(1.4, 1.2, _shown(BARE))),
    Figure(name="held_many_delivered_percent", title="1,000 streams at 20 ms: delivered %", digits=1,
           more_is_better=True, goals=(Goal(floor=_DELIVERED, reach=_DELIVERED),)),
    Figure(name="held_many_p99_ms", title="1,000 streams at 20 ms: p99 ms", digits=2,
           goals=(Goal(floor=10, reach=10), Goal(floor=None, reach=3, against=NGINX), _shown(BARE))),
    Figure(name="slow_delivered_percent", title="5,000 slow streams: delivered %", digits=1,
           more_is_better=True, goals=(Goal(floor=_DELIVERED, reach=_DELIVERED),)),
    Figure(name="slow_p99_ms", title="5,000 slow streams: p99 ms", digits=2,
           goals=(Goal(floor=2, reach=2), _shown(NGINX), _shown(BARE))),
    Figure(name="slow_kib", title="5,000 slow streams: KiB each", digits=1,
           goals=(Goal(floor=24, reach=16), _shown(NGINX), _shown(BARE))),
    Figure(name="ttft_p50_ms", title="ttft p50 ms, added", digits=2, is_added=True, goals=_pair(3, 2, _shown(BARE))),
    Figure(name="ttft_p99_ms", title="ttft p99 ms, added", digits=2, is_added=True),
    Figure(name="chunk_p50_ms", title="per chunk p50 ms, added", digits=3, is_added=True,
           goals=_pair(1.4, 1.1, _shown(BARE))),
    Figure(name="chunk_p99_ms", title="per chunk p99 ms, added", digits=3, is_added=True),
    Figure(name="p50_at_20_ms", title="p50 ms at 20 requests/s, added", digits=2, is_added=True,
           goals=(_shown(NGINX), _shown(BARE))),
    Figure(name="p99_at_20_ms", title="p99 ms at 20 requests/s, added", digits=2, is_added=True),
    Figure(name="p50_at_100_ms", title="p50 ms at 100 requests/s, added", digits=2, is_added=True,
           goals=(Goal(floor=1.0, reach=0.6), _shown(NGINX), _shown(BARE))),
    Figure(name="p99_at_100_ms", title="p99 ms at 100 requests/s, added", digits=2, is_added=True,
           goals=(Goal(floor=3, reach=1.5),)),
    Figure(name="p50_at_500_ms", title="p50 ms at 500 requests/s, added", digits=2, is_added=True,
           goals=_pair(3, 1.8, _shown(BARE))),
    Figure(name="p99_at_500_ms", title="p99 ms at 500 requests/s, added", digits=2, is_added=True),
    Figure(name="rest_mb", title="memory at rest, MB (RSS)", digits=1,
           goals=(Goal(floor=70, reach=45), _shown(NGINX), _shown(BARE))),
    Figure(name="ready_s", title="start to first reply, s", digits=2, goals=(Goal(floor=1, reach=0.5), _shown(BARE))),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Results:
    """`rounds` by row: the figures of each round. `problems` by row: what makes its figures worthless."""

    rounds: Mapping[str, Sequence[Mapping[str, float]]]
    problems: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def values(self, row: str, figure: Figure, name: str | None = None) -> list[float]:
        """One per round, added to direct where that is what is asked for; none for a row that failed."""
        name = name or figure.name
        if self.problems.get(row):
            return []
        mine = [one.get(name, nan) for one in self.rounds.get(row, ())]
        if not figure.is_added or row == DIRECT:
            return mine
        direct = [one.get(name, nan) for one in self.rounds.get(DIRECT, ())]
        return [own - base for own, base in zip(mine, direct, strict=False)]

    def value(self, row: str, figure: Figure) -> float:
        """The median of the rounds; not a number where there is none."""
        return _median(self.values(row, figure))

    def ratio(self, row: str, figure: Figure, goal: Goal, name: str | None = None) -> float:
        """The median of the ratios within each round, to the row of the goal; the value itself where it names none.
        `name` is the figure of the row, where it is not the same.
        """
        mine = self.values(row, figure, name)
        if goal.against is None:
            return _median(mine)
        least = LEAST_ADDED_MS if figure.is_added else 0
        others = self.values(goal.against, figure, goal.base)
        return _median([own / base if base > least else nan for own, base in zip(mine, others, strict=False)])

    def share(self, row: str, name: str) -> float:
        """Measured at full speed: how much of its core the row used, or how much of its work came late."""
        return _median([one.get(name, nan) for one in self.rounds.get(row, ())])

    def spread(self, row: str) -> float:
        """How far the rounds' requests/s lie apart: (highest - lowest) / median."""
        values = [one["requests_per_s"] for one in self.rounds.get(row, ()) if "requests_per_s" in one]
        return (max(values) - min(values)) / (median(values) or 1.0) if values else nan


def _median(values: Sequence[float]) -> float:
    """Not a number where most rounds have none: what is sustained in one round of three is not sustained."""
    known = [value for value in values if not isnan(value)]
    return median(known) if 2 * len(known) > len(values) else nan


def mark(results: Results, figure: Figure, goal: Goal) -> str:
    """`reached`, `met` (the floor), `NOT MET`, or why it cannot be told; empty where there is no goal."""
    if isnan(goal.reach):
        return ""
    value = results.ratio(goal.judged, figure, goal)
    if isnan(value):
        return _why_unknown(results, figure, goal)
    if why := _rig_limit(results, figure):
        return f"cannot be shown here: {why}"
    if figure.name.endswith("_p99_ms") and _falls_behind(results, goal.judged, figure):
        return "NOT MET: not all were delivered"
    if goal.against and _is_held_back(results, goal.against, figure) and _is_within(value, goal.floor or 0, figure):
        return f"cannot be shown here: {goal.against} was held back"
    if _is_within(value, goal.reach, figure):
        return "reached"
    if goal.floor is None:
        return "not reached"
    return "met" if _is_within(value, goal.floor, figure) else _not_met(results, figure, goal, goal.floor)


def _not_met(results: Results, figure: Figure, goal: Goal, floor: float) -> str:
    """Whether nginx, or a program that does the least in Python, has missed it in the same run."""
    if goal.against is None and _misses(nginx := results.ratio(NGINX, figure, goal), floor, figure):
        return f"cannot be shown here: nginx itself takes {nginx:.3g}"
    if _misses(least := results.ratio(BOUND, figure, goal, goal.base), floor, figure):
        return f"NOT MET; {BOUND}: {least:.2f}"
    return "NOT MET"


def _is_within(value: float, bound: float, figure: Figure) -> bool:
    return value >= bound if figure.more_is_better else value <= bound


def _misses(value: float, bound: float, figure: Figure) -> bool:
    return not isnan(value) and not _is_within(value, bound, figure)


def _why_unknown(results: Results, figure: Figure, goal: Goal) -> str:
    for row in filter(None, (goal.judged, goal.against)):
        if results.problems.get(row):
            return f"cannot be shown here: {row} failed"
        if not results.rounds.get(row):
            return f"cannot be shown here: no row {row}"
    if isnan(results.value(goal.judged, figure)):
        return "cannot be shown here: not measured, or not sustained"
    if figure.is_added and goal.against:
        return f"cannot be shown here: {goal.against} adds too little to divide by"
    return "cannot be shown here: no figure to compare with"


def _rig_limit(results: Results, figure: Figure) -> str | None:
    """Why the rig and not the gateway would be judged, if so."""
    if figure.name.endswith("_delivered_percent") and results.value(DIRECT, figure) < _DELIVERED:
        return f"the rig itself delivers {results.value(DIRECT, figure):.1f} %"
    return None


def _falls_behind(results: Results, row: str, figure: Figure) -> bool:
    """True where the row did not deliver what was due, so that its times are those of the luckier part."""
    name = figure.name.replace("_p99_ms", "_delivered_percent")
    return any(results.value(row, one) < _DELIVERED for one in FIGURES if one.name == name)


def _is_held_back(results: Results, row: str, figure: Figure) -> bool:
    """True where the row was not at its own limit, so that a ratio to it flatters."""
    share = _CORE_SHARES.get(figure.name)
    return share is not None and results.share(row, share) < FULL_CORE


def table(results: Results) -> str:
    """All figures: a row for each, a column for each gateway, the ratios below, floor, reach and mark beside."""
    lines = _cells(results)
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]) - 1)]
    return "\n".join(_line(line, widths) for line in lines)


def markdown(results: Results) -> str:
    """The same for a page."""
    header, *lines = _cells(results)
    rule = ["---", *["---:"] * (len(header) - 2), "---"]
    return "\n".join(f"| {' | '.join(cell.strip() for cell in line)} |" for line in (header, rule, *lines))


def _cells(results: Results) -> list[tuple[str, ...]]:
    names = list(results.rounds)
    lines: list[tuple[str, ...]] = [("", *names, "floor", "reach", "")]
    for figure in FIGURES:
        if all(isnan(results.value(name, figure)) for name in names):
            continue
        plain = [goal for goal in figure.goals if goal.against is None]
        cells = [_number(results.value(name, figure), figure.digits) for name in names]
        lines.append((figure.title, *cells, *_goal_cells(results, figure, plain[0] if plain else None)))
        for goal in figure.goals:
            if goal.against in names:
                ratios = [_ratio(results, name, figure, goal) for name in names]
                lines.append((f"  ÷ {goal.against}", *ratios, *_goal_cells(results, figure, goal)))
    return lines


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others, last = cells
    middle = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
    return "  ".join((first.ljust(widths[0]), *middle, last)).rstrip()


def _ratio(results: Results, row: str, figure: Figure, goal: Goal) -> str:
    if row in (DIRECT, goal.against):
        return ""
    return _number(results.ratio(row, figure, goal), 2)


def _goal_cells(results: Results, figure: Figure, goal: Goal | None) -> tuple[str, str, str]:
    if goal is None or isnan(goal.reach):
        return "", "", ""
    floor = "" if goal.floor is None else f"{goal.floor:g}"
    return floor, f"{goal.reach:g}", mark(results, figure, goal)


def _number(value: float, digits: int) -> str:
    return "" if isnan(value) else f"{value:,.{digits}f}"


def notes(results: Results) -> list[str]:
    """What a reader must know beside the table."""
    said = [f"{row} FAILED: {problem}" for row, problems in results.problems.items() for problem in problems[:3]]
    for name, what in (("plain_core_share", "requests/s"), ("streams_core_share", "streams/s")):
        said += [
            f"{row} used {share:.0%} of its core for {what}: the rig or other work held it back; trust CPU µs."
            for row in (NGINX, BARE)
            if (share := results.share(row, name)) < FULL_CORE
        ]
    for name, what in (("plain_late_share", "requests/s"), ("streams_late_share", "streams/s")):
        said += [
            f"{row} did {share:.0%} of its work for {what} when the window was over: it cannot go on at that rate."
            for row in results.rounds
            if (share := results.share(row, name)) > MOST_LATE
        ]
    widest = max((spread for row in results.rounds if not isnan(spread := results.spread(row))), default=inf)
    if widest < inf:
        said.append(f"Rounds of one row differ by up to {widest:.0%} in requests/s.")
    return said


def as_json(results: Results) -> dict[str, object]:
    """Figures with all rounds, ratios to nginx and to the bare pass-through, and the goals with their marks."""
    return {
        "rows": [_row_as_json(results, row) for row in results.rounds],
        "goals": [
            {
                "figure": figure.name,
                "row": goal.judged,
                "against": goal.against,
                "value": _plain_number(results.ratio(goal.judged, figure, goal)),
                "floor": goal.floor,
                "reach": goal.reach,
                "mark": mark(results, figure, goal),
            }
            for figure in FIGURES
            for goal in figure.goals
            if not isnan(goal.reach)
        ],
        "rounds": {
            row: [{name: value for name, value in one.items() if not isnan(value)} for one in rounds]
            for row, rounds in results.rounds.items()
        },
        "problems": results.problems,
    }


def from_json(document: Mapping[str, Any]) -> Results:
    """What `as_json` was given."""
    return Results(document["rounds"], document["problems"])


def _row_as_json(results: Results, row: str) -> dict[str, object]:
    figures = {}
    for figure in FIGURES:
        if not isnan(value := results.value(row, figure)):
            figures[figure.name] = {
                "median": _plain_number(value),
                "rounds": [_plain_number(one) for one in results.values(row, figure)],
                "to_nginx": _plain_number(results.ratio(row, figure, _shown(NGINX))),
                "to_bare": _plain_number(results.ratio(row, figure, _shown(BARE))),
            }
    return {"name": row, "problems": list(results.problems.get(row, ())), "figures": figures}


def _plain_number(value: float) -> float | None:
    return None if isnan(value) else round(value, 4)
