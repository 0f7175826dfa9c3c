from datetime import UTC, datetime
from pathlib import Path

import pytest

from proxy.adapters.alert_state import AlertState
from proxy.adapters.journal import JournalStats
from proxy.domain.alerts import AlertBook, Firing
from proxy.pages import health
from tests.domain.test_alert_records import FIRED
from tests.pages.conftest import NOW, Store


def test_a_journal_says_what_it_holds_and_a_damaged_one_that_it_is(store: Store, tmp_path: Path) -> None:
    ((name, stats),) = health.stats_of(store.folder)
    assert stats is not None
    assert store.analysis.query("SELECT count(*) AS calls FROM calls") == [{"calls": stats.exchanges}]
    assert name == "journal-0.db"
    (tmp_path / "journal-1.db").write_text("no journal")
    journals = health.stats_of(tmp_path)
    assert journals == [("journal-1.db", None)]
    assert [cell.text for cell in health.journal_table(journals).rows[0]][:2] == ["journal-1.db", "cannot be read"]
    assert health.figures(journals, NOW)[0].note == "nothing waits"


def test_alerts_that_fire_are_named(tmp_path: Path) -> None:
    assert health.alerts_in_words(tmp_path) == []
    AlertState(tmp_path).write(AlertBook(firing={"slow": Firing(fired=FIRED)}))
    (said,) = health.alerts_in_words(tmp_path)
    assert said.startswith("Alert: slow: p95 of latency")
    assert said.endswith("Since 2026-05-28 20:26 UTC.")


def test_figures_are_sums_over_journals() -> None:
    oldest_us = int(NOW.timestamp() * 1e6) - 90_000_000
    one = JournalStats(pending=2, oldest_pending_unix_us=oldest_us, dropped={"full": 1}, store_bytes=2_048)
    two = JournalStats(pending=3, dropped={"full": 2, "age": 1}, delivered={"verified": 7}, dead={"too_large": 1})
    shown = {figure.label: figure for figure in health.figures([("a", one), ("b", two)], NOW)}
    assert (shown["Events waiting"].value, shown["Events waiting"].note) == ("5", "the oldest 90.0 s old")
    assert (shown["Dropped"].value, shown["Dropped"].note) == ("4", "1 age, 3 full")
    assert (shown["Refused"].value, shown["Refused"].is_worse) == ("1", True)
    assert shown["Calls kept"].note == "2.0 KiB of records"


def test_targets_are_those_of_attempts(store: Store) -> None:
    rows = health.target_table(store.analysis, store.filters).rows
    assert {row[0].text for row in rows} == {
        "openai/gpt-4.1-mini",
        "openai/gpt-4.1",
        "anthropic/claude-haiku-4-5",
        "anthropic/claude-sonnet-4-5",
        "google/gemini-2.5-flash",
    }
    assert all(datetime.fromisoformat(row[-1].value).tzinfo == UTC for row in rows)


@pytest.mark.parametrize(("problem", "words"), [("disk_full", "The disk is full"), ("something_new", "something_new")])
def test_problems_are_told_in_words(problem: str, words: str) -> None:
    assert health.problems_in_words([problem])[0].startswith(words)
