"""Prompts and their versions side by side: what each is asked, takes, costs and brings, and how its rollout stands."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from proxy.adapters.experiments.journal import JournalRecords
from proxy.adapters.experiments.judge import judge
from proxy.adapters.experiments.source import Question
from proxy.adapters.rollout_state import Damaged, RolloutState
from proxy.domain.judgement import Judgement, verdict
from proxy.domain.rollout_changes import RolloutChange
from proxy.pages import wording
from proxy.pages.breakdowns import Analysis, Row, groups, ratio
from proxy.pages.dashboards.board import TRACES
from proxy.pages.filters import Filters
from proxy.pages.outcome_breakdowns import groups as outcome_groups
from proxy.pages.outcome_breakdowns import interval
from proxy.pages.request import PromptFacts
from proxy.pages.tiles import Cell, Column, Table

_CALLS = ("calls", "failed", "latency_ms", "ttft_p95_ms", "cost_usd", "priced")
_OUTCOMES = ("tasks", "completed", "rated", "negative", "escalation_told", "escalated", "scored", "score")
MOST_VERSIONS = 8
"""Side by side; those with the most calls."""


def listed(analysis: Analysis, filters: Filters, managed: Sequence[PromptFacts]) -> Table:
    """A row for each prompt that was called, and for each that configuration names."""
    where, parameters = filters.where_calls()
    rows = analysis.query(
        "SELECT prompt_name AS name, count(*) AS calls, count(DISTINCT prompt_version_id) AS versions,"  # noqa: S608
        " max(ended_at) AS last_at, sum(estimated_cost_usd) AS cost_usd"
        f" FROM calls WHERE prompt_name IS NOT NULL AND {where} GROUP BY 1 ORDER BY calls DESC LIMIT 500",
        parameters,
    )
    known = {row["name"] for row in rows}
    unused = {"calls": 0, "versions": 0, "last_at": None, "cost_usd": None}
    rows += [{"name": prompt.name, **unused} for prompt in managed if prompt.name not in known]
    rollouts = {prompt.name: prompt.flag or "no rollout" for prompt in managed}
    columns = (
        Column("prompt"),
        Column("calls", is_number=True),
        Column("versions", is_number=True),
        Column("cost", is_number=True),
        Column("last call, UTC"),
        Column("rollout"),
    )
    return Table(
        columns=columns,
        rows=[
            (
                Cell(row["name"], row["name"], filters.to("/ui/prompts", prompt=row["name"])),
                Cell(wording.count(row["calls"]), row["calls"]),
                Cell(wording.count(row["versions"]), row["versions"]),
                Cell(wording.money(row["cost_usd"]), row["cost_usd"]),
                Cell(wording.moment(row["last_at"])),
                Cell(rollouts.get(row["name"], "by the app")),
            )
            for row in rows
        ],
    )


def side_by_side(analysis: Analysis, filters: Filters) -> Table:
    """A column for each version of the prompt that the filters name, a row for each number."""
    calls = groups(analysis, filters, "version", _CALLS, limit=MOST_VERSIONS)
    outcomes = {
        row["name"]: row
        for row in outcome_groups(analysis, filters, "version", _OUTCOMES, having="outcomes", limit=1_000)
    }
    versions = [row | {"outcomes": outcomes.get(row["name"], {})} for row in calls]
    heads = [Column(row["name"], is_number=True) for row in versions]
    return Table(
        columns=[Column(""), *heads],
        rows=[[Cell(title), *(read(row, filters) for row in versions)] for title, read in _ROWS] if versions else [],
    )


def _behind(row: Row, filters: Filters, **more: str) -> str:
    return filters.to(TRACES, version=row["name"], **more)


def _calls(row: Row, filters: Filters) -> Cell:
    return Cell(wording.count(row["calls"]), row["calls"], _behind(row, filters))


def _errors(row: Row, filters: Filters) -> Cell:
    return _interval(row["failed"], row["calls"], _behind(row, filters, failed="yes"))


def _latency(place: int) -> Any:  # noqa: ANN401  one of the functions below
    def read(row: Row, filters: Filters) -> Cell:
        value = row["latency_ms"][place] if row["latency_ms"] else None
        return Cell(wording.duration(value), value, _behind(row, filters, slower=f"{value:.0f}") if value else "")

    return read


def _first_token(row: Row, _: Filters) -> Cell:
    return Cell(wording.duration(row["ttft_p95_ms"]), row["ttft_p95_ms"])


def _per_call(row: Row, _: Filters) -> Cell:
    value = ratio(row["cost_usd"], row["priced"])
    return Cell(wording.money(value), value)


def _share(part: str, whole: str, outcome: str) -> Any:  # noqa: ANN401  one of the functions below
    def read(row: Row, filters: Filters) -> Cell:
        told = row["outcomes"]
        return _interval(told.get(part) or 0, told.get(whole) or 0, _behind(row, filters, outcome=outcome))

    return read


def _interval(part: int, whole: int, href: str) -> Cell:
    if not whole:
        return Cell(wording.UNKNOWN)
    low, high = interval(part, whole)
    said = f"{wording.share(part / whole)} ({wording.share(low)} to {wording.share(high)})"
    return Cell(said, part / whole, href)


def _score(row: Row, filters: Filters) -> Cell:
    told = row["outcomes"]
    return Cell(wording.score(told.get("score")), told.get("score"), _behind(row, filters, outcome="evaluated"))


_ROWS: Sequence[tuple[str, Any]] = (
    ("calls", _calls),
    ("error rate", _errors),
    ("latency, median", _latency(0)),
    ("latency, p95", _latency(1)),
    ("first token, p95", _first_token),
    ("cost a call", _per_call),
    ("tasks completed", _share("completed", "tasks", "completed")),
    ("negative feedback", _share("negative", "rated", "negative")),
    ("passed on to a person", _share("escalated", "escalation_told", "escalated")),
    ("eval score, mean", _score),
)


def rollout_of(data_dir: Path, prompt: PromptFacts) -> dict[str, Any]:
    """How its rollout stands: shares by variant, and who changed them when and why."""
    try:
        changes = [change for change in RolloutState(data_dir).changes() if change.flag == prompt.flag]
    except (OSError, Damaged):
        changes = []
    last = changes[-1] if changes else None
    shares = last.shares if last is not None and last.shares is not None else prompt.shares
    return {
        "flag": prompt.flag,
        "variants": [
            (variant, version, wording.share(shares.get(variant, 0) / 100) if shares is not None else "by PostHog")
            for variant, version in prompt.variants.items()
        ],
        "is_changed": last is not None and last.shares is not None,
        "changes": [_change(change) for change in reversed(changes[-10:])],
    }


def _change(change: RolloutChange) -> dict[str, str]:
    shares = change.shares
    said = "as configured" if shares is None else ", ".join(f"{name} {share:g} %" for name, share in shares.items())
    at = datetime.fromtimestamp(change.changed_at_unix_us / 1e6, UTC)
    return {"at": wording.moment(at), "by": str(change.changed_by), "shares": said, "why": change.evidence}


def judged(analysis: Analysis, prompt: PromptFacts, now: datetime) -> dict[str, Any] | None:
    """How its experiment stands, in words; None where there is none. Bounds hold however often one looks."""
    if prompt.experiment is None or prompt.flag is None or len(prompt.variants) < 2:
        return None
    question = Question(
        prompt=prompt.name,
        flag=prompt.flag,
        variants=tuple(prompt.variants),
        until_unix_us=int(now.timestamp() * 1_000_000),
    )
    shares = prompt.shares
    expected = {name: share / 100 for name, share in shares.items()} if shares is not None else None
    found = judge(prompt.experiment, question, expected, JournalRecords(analysis, question))
    return {"verdict": verdict(found).text, "guardrails": _guardrails(found), "people": dict(found.shares.people)}


def _guardrails(found: Judgement) -> list[tuple[str, str, str]]:
    """(guardrail, variant, standing)."""
    return [
        (watch.finding.metric.label, variant, str(standing))
        for watch in found.watches
        for variant, standing in watch.standings.items()
    ]
