"""Quality and outcomes: do tasks get done, what do users and evaluations think, and who needs a person, by version."""

from collections.abc import Sequence
from functools import partial

from proxy.pages import wording
from proxy.pages.breakdowns import Analysis, Row, ratio
from proxy.pages.comparison import Comparison, Pairs, some
from proxy.pages.dashboards.board import (
    TRACES,
    About,
    Board,
    Measure,
    bars,
    counted,
    figure,
    moments_of,
    table_by,
    table_over_time,
)
from proxy.pages.dashboards.tasks import COMPLETED, TASKS, TASKS_EMPTY
from proxy.pages.filters import Filters
from proxy.pages.outcome_breakdowns import compare, interval, over_time
from proxy.pages.specs import SHARE, Point, lines, ranges
from proxy.pages.tiles import Figure, Tile


def _share(title: str, part: str, whole: str, *, is_worse_up: bool, **leads_to: str) -> Measure:
    return Measure(
        title,
        lambda row: ratio(row[part], row[whole]),
        wording.share,
        leads_to,
        is_share=True,
        is_worse_up=is_worse_up,
    )


COMPLETION = _share("completion", "completed", "tasks", is_worse_up=False, outcome="completed")
NEGATIVE = _share("negative feedback", "negative", "rated", is_worse_up=True, outcome="negative")
ESCALATION = _share("escalation", "escalated", "escalation_told", is_worse_up=True, outcome="escalated")
PASSED = _share("passed", "passed", "judged", is_worse_up=False, outcome="evaluated")
SCORE = Measure(
    "eval score", lambda row: row["score"], wording.score, {"outcome": "evaluated"}, is_share=False, is_worse_up=False
)
_ALL = (
    "tasks", "completed", "rated", "negative", "escalation_told", "escalated", "scored", "score", "judged", "passed",
)  # fmt: skip
_RATINGS_EMPTY = "Nobody rated an answer in this period. An app passes ratings on by POST /analytics/v1/feedback."
_EVALS_EMPTY = "No evaluation in this period. Its results come by POST /analytics/v1/evals."


def _compared(analysis: Analysis, filters: Filters) -> Comparison:
    return compare(analysis, filters, (None, "version", "model", "task"), _ALL)


def _figures(analysis: Analysis, filters: Filters) -> Sequence[Figure]:
    now, before = _compared(analysis, filters).whole

    def of(measure: Measure, label: str, note: str) -> Figure:
        return figure(measure, now, before, label=label, note=note, href=filters.to(TRACES, **(measure.leads_to or {})))

    return (
        of(COMPLETION, "Tasks completed", f"{now['completed']:,} of {now['tasks']:,} tasks"),
        of(NEGATIVE, "Negative feedback", f"{now['negative']:,} of {now['rated']:,} ratings"),
        of(ESCALATION, "Passed on to a person", f"{now['escalated']:,} of {now['escalation_told']:,}"),
        of(SCORE, "Eval score, mean", f"{now['scored']:,} scores"),
        of(PASSED, "Evals passed", f"{now['passed']:,} of {now['judged']:,}"),
    )


def _over_time(analysis: Analysis, filters: Filters) -> Tile:
    found = over_time(analysis, filters, ("tasks", "completed", "rated", "negative", "escalation_told", "escalated"))
    shown = (COMPLETION, NEGATIVE, ESCALATION)
    moments = []
    for measure in shown:
        rows = [row | {"series": measure.title} for row in found.rows]
        moments += moments_of(filters, type(found)((), rows), None, measure)
    names = [measure.title for measure in shown]
    return Tile(
        key="over-time",
        title="Outcomes over time",
        note="Shares of tasks, of ratings, and of outcomes that say whether a person took over.",
        spec=lines(moments, names, period=(filters.begin, filters.end), what="share", unit=SHARE) if moments else None,
        table=table_over_time(moments, Measure("share", lambda _: None, wording.share)),
        empty=TASKS_EMPTY,
        is_wide=True,
    )


def shares(
    filters: Filters, by: str, pairs: Pairs, about: About, measure: Measure, part: str, whole: str, *others: Measure
) -> Tile:
    """A share of each group, with the interval in which it may truly lie."""
    points, ends = [], []
    for row, _ in pairs:
        low, high = interval(row[part], row[whole])
        said = f"{row['name']}: {measure.title} {measure.written(measure.value(row))}"
        href = filters.to(TRACES, **{by: row["name"], **(measure.leads_to or {})})
        label = f"{said}, between {wording.share(low)} and {wording.share(high)}"
        points.append(_point(row, measure.title, measure.value(row) or 0.0, label, href))
        ends += [_point(row, "interval", end, "", href) for end in (low, high)]
    return Tile(
        key=about.key,
        title=about.title,
        note=about.note or "Lines are 95 % intervals.",
        spec=ranges(points, [measure.title], what="share", unit=SHARE, unmarked=ends) if points else None,
        table=table_by(filters, by, by, pairs, measure, _low(part, whole), _high(part, whole), *others),
        empty=about.empty,
    )


def _point(row: Row, series: str, value: float, label: str, href: str) -> Point:
    return Point(name=row["name"], series=series, value=value, label=label, href=href)


def _low(part: str, whole: str) -> Measure:
    return Measure("from", lambda row: interval(row[part], row[whole])[0], wording.share, None)


def _high(part: str, whole: str) -> Measure:
    return Measure("to", lambda row: interval(row[part], row[whole])[1], wording.share, None)


def _completion(by: str, what: str, analysis: Analysis, filters: Filters) -> Tile:
    about = About(key=f"completion-{by}", title=f"Tasks completed, by {what}", empty=TASKS_EMPTY)
    pairs = _compared(analysis, filters).greatest(by, some("tasks"))
    return shares(filters, by, pairs, about, COMPLETION, "completed", "tasks", COMPLETED, TASKS)


def _negative(analysis: Analysis, filters: Filters) -> Tile:
    about = About(key="negative", title="Negative feedback, by prompt version", empty=_RATINGS_EMPTY)
    more = (counted("negative", outcome="negative"), counted("rated"))
    pairs = _compared(analysis, filters).greatest("version", some("rated"))
    return shares(filters, "version", pairs, about, NEGATIVE, "negative", "rated", *more)


def _escalation(analysis: Analysis, filters: Filters) -> Tile:
    about = About(key="escalation", title="Passed on to a person, by prompt version", empty=TASKS_EMPTY)
    more = (counted("escalated", outcome="escalated"), counted("escalation_told", "known of"))
    pairs = _compared(analysis, filters).greatest("version", some("escalation_told"))
    return shares(filters, "version", pairs, about, ESCALATION, "escalated", "escalation_told", *more)


def _scores(analysis: Analysis, filters: Filters) -> Tile:
    about = About(
        key="scores",
        title="Eval score, by prompt version",
        note="Means over all evaluations; choose one below to compare like with like.",
        empty=_EVALS_EMPTY,
    )
    pairs = _compared(analysis, filters).greatest("version", some("scored"))
    return bars(filters, "version", pairs, about, SCORE, PASSED, counted("scored", "scores", outcome="evaluated"))


QUALITY = Board(
    key="quality",
    title="Quality and outcomes",
    question="Do answers help, and which version of the prompt helps more?",
    figures=_figures,
    tiles={
        "over-time": _over_time,
        "completion-version": partial(_completion, "version", "prompt version"),
        "completion-model": partial(_completion, "model", "model"),
        "negative": _negative,
        "escalation": _escalation,
        "scores": _scores,
        "completion-task": partial(_completion, "task", "kind of task"),
    },
)
