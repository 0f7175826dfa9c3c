"""How the proxy does: what it is, what it routes to, what its journals hold, and how each target has done lately."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import apsw

from proxy.adapters.alert_state import firing_alerts
from proxy.adapters.journal import JournalReader, JournalStats, journal_files
from proxy.adapters.journal.schema import Unusable
from proxy.domain.alert_words import sentence
from proxy.pages import wording
from proxy.pages.breakdowns import Analysis, ratio
from proxy.pages.filters import Filters
from proxy.pages.tiles import Cell, Column, Figure, Table

_PROBLEMS = {
    "draining": "It is stopping: running calls end, no new ones are taken.",
    "delivery": "PostHog takes no events now. They are kept.",
    "memory": "The data folder cannot be written: events are kept in memory only.",
    "disk_full": "The disk is full: new rows are dropped and counted.",
    "flags": "Feature flags are out of date, or could not be fetched.",
    "telemetry": "The OpenTelemetry collector takes no traces now. They wait.",
}
"""What `/readyz` knows, in words; others are shown as they are."""


def problems_in_words(problems: Sequence[str]) -> list[str]:
    """A sentence for each."""
    return [_PROBLEMS.get(problem, problem) for problem in problems]


def alerts_in_words(data_dir: Path) -> list[str]:
    """A sentence for each alert that fires."""
    return [f"{sentence(fired)} Since {_minute(fired.at_unix_us)} UTC." for fired in firing_alerts(data_dir)]


def _minute(unix_us: int) -> str:
    return datetime.fromtimestamp(unix_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M")


def figures(journals: Sequence[tuple[str, JournalStats | None]], now: datetime) -> list[Figure]:
    """Sums over all journals that can be read."""
    known = [stats for _, stats in journals if stats is not None]
    oldest_us = min((it.oldest_pending_unix_us for it in known if it.oldest_pending_unix_us is not None), default=None)
    age_ms = None if oldest_us is None else max(0.0, now.timestamp() * 1_000 - oldest_us / 1_000)
    dropped = sum(sum(stats.dropped.values()) for stats in known)
    dead = sum(sum(stats.dead.values()) for stats in known)
    return [
        Figure(
            label="Events waiting",
            value=wording.count(sum(stats.pending for stats in known)),
            note=f"the oldest {wording.duration(age_ms)} old" if age_ms is not None else "nothing waits",
            href="/ui/events",
        ),
        Figure(label="Delivered", value=wording.count(sum(sum(it.delivered.values()) for it in known))),
        Figure(label="Refused", value=wording.count(dead), is_worse=dead > 0, href="/ui/events?state=dead"),
        Figure(label="Dropped", value=wording.count(dropped), note=_reasons(known)),
        Figure(
            label="Calls kept",
            value=wording.count(sum(stats.exchanges for stats in known)),
            note=f"{wording.size(sum(stats.store_bytes for stats in known))} of records",
        ),
    ]


def _reasons(known: Sequence[JournalStats]) -> str:
    total: dict[str, int] = {}
    for stats in known:
        for reason, count in stats.dropped.items():
            total[reason] = total.get(reason, 0) + count
    return ", ".join(f"{count:,} {reason}" for reason, count in sorted(total.items()) if count)


def stats_of(data_dir: Path) -> list[tuple[str, JournalStats | None]]:
    """Each journal by its name, and what it says; None where it cannot be read."""
    found: list[tuple[str, JournalStats | None]] = []
    for path in journal_files(data_dir):
        stats = None
        with suppress(Unusable, apsw.Error), JournalReader(path) as reader:
            stats = reader.stats()
        found.append((path.name, stats))
    return found


def journal_table(journals: Sequence[tuple[str, JournalStats | None]]) -> Table:
    """A row for each file."""
    titles = ("admitted", "waiting", "delivered", "refused", "dropped", "calls")
    return Table(
        columns=[Column("journal"), *(Column(title, is_number=True) for title in titles), Column("unbalanced", True)],
        rows=[[Cell(name, name), *_counts(stats)] for name, stats in journals],
    )


def _counts(stats: JournalStats | None) -> Iterator[Cell]:
    if stats is None:
        yield from (Cell("cannot be read") if place == 0 else Cell(wording.UNKNOWN) for place in range(7))
        return
    dead, dropped = sum(stats.dead.values()), sum(stats.dropped.values())
    delivered = sum(stats.delivered.values())
    for value in (stats.admitted, stats.pending, delivered, dead, dropped, stats.exchanges, stats.unbalanced):
        yield Cell(wording.count(value), value)


def target_table(analysis: Analysis, filters: Filters) -> Table:
    """How attempts went by target: each retry and fallback by itself, as providers see it."""
    rows = analysis.query(
        "SELECT target, count(*) AS attempts, count(error_type) AS failed, any_value(error_type) AS error_type,"
        " quantile_cont(latency_ms, 0.5) FILTER (WHERE error_type IS NULL) AS latency_ms,"
        " max(call_started_at) AS last_at"
        " FROM attempts WHERE call_started_at >= $begin AND call_started_at < $end AND target IS NOT NULL"
        " GROUP BY target ORDER BY attempts DESC LIMIT 100",
        {"begin": filters.begin, "end": filters.end},
    )
    columns = (
        Column("target"),
        Column("attempts", is_number=True),
        Column("failed", is_number=True),
        Column("of", is_number=True),
        Column("one of the errors"),
        Column("median", is_number=True),
        Column("last, UTC"),
    )
    return Table(
        columns=columns,
        rows=[
            (
                Cell(row["target"], row["target"]),
                Cell(wording.count(row["attempts"]), row["attempts"]),
                Cell(wording.count(row["failed"]), row["failed"]),
                Cell(wording.share(ratio(row["failed"], row["attempts"])), ratio(row["failed"], row["attempts"])),
                Cell(row["error_type"] or wording.UNKNOWN, row["error_type"]),
                Cell(wording.duration(row["latency_ms"]), row["latency_ms"]),
                Cell(wording.moment(row["last_at"]), row["last_at"].astimezone(UTC).isoformat()),
            )
            for row in rows
        ],
    )
