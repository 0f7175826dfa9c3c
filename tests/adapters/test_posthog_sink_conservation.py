"""Whatever PostHog answers, in whatever order: admitted = delivered + pending + dead + dropped, the same bytes each
time, and once the trouble is over the rest arrives."""

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.adapters.journal import JournalSettings, SqliteJournal
from proxy.adapters.posthog_sink import PostHogSettings, PostHogSink
from tests.harness.posthog import HTML, LOST, QUOTA, TRUNCATED, Answer, ScriptedPostHog
from tests.harness.rows import event, outcome

ANSWERS = {
    "taken": Answer(),
    "lost": LOST,
    "html": HTML,
    "truncated": TRUNCATED,
    "quota": QUOTA,
    **{str(status): Answer(status=status) for status in (301, 400, 401, 403, 408, 413, 429, 500, 503)},
}
EVENTS = 40


async def deliver_through(script: list[str], capture: str, folder: Path) -> None:
    clock_us = 1_800_000_000_000_000
    journal = SqliteJournal(
        JournalSettings(directory=folder, commit_ms=0, ballast_bytes=4096), wall_unix_us=lambda: clock_us
    )
    journal.start()
    async with ScriptedPostHog() as posthog:
        posthog.scripts.extend(ANSWERS[name] for name in script)
        destination = PostHogSettings(host=posthog.url, api_key="phc", capture=capture)  # type: ignore[arg-type]
        sink = PostHogSink(journal, destination, uniform=lambda low, high: high, wall_unix_s=lambda: clock_us / 1e6)
        uuids = [event(str(number)).uuid for number in range(EVENTS)]
        journal.note(outcome([event(str(number)) for number in range(EVENTS)]))
        assert journal.flush(5)
        for _ in range(len(script) + 3 * EVENTS):
            await sink.step()
            assert journal.stats().unbalanced == 0
            clock_us += 60_000_000
            if not journal.stats().pending:
                break
        stats = journal.stats()
        assert (stats.pending, stats.dropped) == (0, {})
        assert sum(stats.delivered.values()) + sum(stats.dead.values()) == EVENTS
        assert posthog.divergent == []
        assert len(posthog.events) >= EVENTS - sum(stats.dead.values())
        assert set(posthog.events) <= set(uuids)
        for post in posthog.posts:
            assert len(post.uuids) == len(set(post.uuids)), "no uuid twice in one batch"
        await sink.close()
    assert journal.close_journal(5)


@pytest.mark.parametrize("capture", ["batch", "v1"])
@settings(max_examples=25, deadline=None)
@given(script=st.lists(st.sampled_from(sorted(ANSWERS)), max_size=12))
def test_no_event_is_lost_doubled_or_changed(capture: str, script: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(deliver_through(script, capture, Path(folder)))
