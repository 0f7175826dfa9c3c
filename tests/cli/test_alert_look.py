import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from proxy.adapters.alert_state import AlertState
from proxy.adapters.journal.stats import JournalStats
from proxy.cli.alert_look import is_taken, link_of, look
from proxy.domain.alerts import AlertPolicy, Because, Delivery, Metric, Rule, State
from proxy.pages.filters import filters_of
from tests.domain.test_alert_records import FIRED
from tests.harness.kept_calls import Kept, keep
from tests.harness.webhook import ScriptedWebhook

NOW = datetime(2026, 11, 26, 4, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
POLICY = AlertPolicy(
    rules=(
        Rule(name="errors", metric=Metric.ERROR_RATE, above=0.1, window_s=60, min_calls=10),
        Rule(name="lost", metric=Metric.DROPPED, above=0, window_s=60),
    )
)


def bad_minute() -> Iterator[Kept]:
    """One call in two fails, then none for a minute, then too few."""
    for number in range(20):
        yield NOW - MINUTE / 2, {"status": ("success", "error")[number % 2]}
        yield NOW + MINUTE / 2, {}
    yield NOW + 1.5 * MINUTE, {}


async def looked(policy: AlertPolicy, folder: Path, now: datetime) -> list[str]:
    """What a look finds new."""
    book = await asyncio.to_thread(look, policy, folder, now, "http://here")
    return [f"{it.rule} {it.state}" for it in book.changes if it.at_unix_us == int(now.timestamp() * 1e6)]


async def test_the_webhook_is_told_once_of_each_and_what_it_does_not_take_is_told_later_in_its_turn(
    tmp_path: Path,
) -> None:
    keep(tmp_path, bad_minute())
    async with ScriptedWebhook() as webhook:
        policy = replace(POLICY, webhook_url=webhook.url)
        webhook.statuses = [503, 302, 200, 200]
        assert await looked(policy, tmp_path, NOW) == ["errors fired"]
        assert await looked(policy, tmp_path, NOW + MINUTE) == ["errors resolved"]
        assert [message["state"] for message in webhook.messages] == ["fired", "fired"]
        assert await looked(policy, tmp_path, NOW + 2 * MINUTE) == []
        assert await looked(policy, tmp_path, NOW + 3 * MINUTE) == []
    assert [message["state"] for message in webhook.messages] == ["fired", "fired", "fired", "resolved"]
    fired, resolved = webhook.messages[-2:]
    assert fired == webhook.messages[0]
    assert fired["text"].startswith(
        "Alert: errors: error rate over 60 s is 50 %, above 10 %, of 20 calls. http://here/ui/"
    )
    assert (resolved["value"], resolved["because"], resolved["alert_id"]) == (0, "well", fired["alert_id"])


async def test_without_a_webhook_nothing_waits_to_be_sent(tmp_path: Path) -> None:
    keep(tmp_path, bad_minute())
    assert await looked(POLICY, tmp_path, NOW) == ["errors fired"]
    async with ScriptedWebhook() as webhook:
        await looked(replace(POLICY, webhook_url=webhook.url), tmp_path, NOW + timedelta(seconds=1))
    assert webhook.messages == []
    assert [it.delivery for it in AlertState(tmp_path).read().changes] == [Delivery.NOT_ASKED]


async def test_a_quiet_time_ends_an_alert_and_so_does_a_rule_that_is_gone(tmp_path: Path) -> None:
    keep(tmp_path, bad_minute())
    for policy, late, because in (
        (POLICY, 3 * MINUTE, Because.TOO_FEW_CALLS),
        (AlertPolicy(), MINUTE, Because.RULE_GONE),
    ):
        (tmp_path / "alerts.json").unlink(missing_ok=True)
        await looked(POLICY, tmp_path, NOW)
        await looked(policy, tmp_path, NOW + 2 * MINUTE)
        await looked(policy, tmp_path, NOW + late)
        *_, change = AlertState(tmp_path).read().changes
        assert (change.state, change.because) == (State.RESOLVED, because)


async def test_lost_events_fire_when_they_are_seen_and_resolve_when_none_follow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(tmp_path, [])
    dropped = {"age": 3}
    monkeypatch.setattr(
        "proxy.cli.alert_look.stats_by_file", lambda _: {"journal-0.db": JournalStats(dropped=dict(dropped))}
    )
    assert await looked(POLICY, tmp_path, NOW) == []
    dropped["size"] = 1
    assert await looked(POLICY, tmp_path, NOW + MINUTE) == ["lost fired"]
    assert await looked(POLICY, tmp_path, NOW + 1.5 * MINUTE) == []
    assert await looked(POLICY, tmp_path, NOW + 2 * MINUTE) == ["lost resolved"]


def test_only_2xx_is_taken() -> None:
    assert [is_taken(status) for status in (None, 199, 200, 204, 299, 302, 404)] == [
        False, False, True, True, True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize("metric", Metric)
def test_the_link_leads_to_a_page_over_the_time_in_question(metric: Metric) -> None:
    link = link_of(replace(FIRED, metric=metric), "https://llm.example.com")
    assert link is not None
    page, _, query = link.partition("?")
    assert page.startswith("https://llm.example.com/ui/")
    if metric is Metric.DROPPED:
        return
    filters = filters_of(query, datetime.now(UTC))
    at = datetime.fromtimestamp(FIRED.at_unix_us / 1e6, UTC)
    assert (filters.begin, filters.end) == (at - timedelta(seconds=600), at + timedelta(seconds=1))
    assert filters.chosen["environment"] == "production"
    assert filters.chosen.get("slower") == ("8000" if metric is Metric.LATENCY else None)


def test_without_an_address_there_is_no_link() -> None:
    assert link_of(FIRED, None) is None
