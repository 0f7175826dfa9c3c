"""The sink against a real journal and a scripted PostHog; time is a number that the test reads from `step`."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from proxy.adapters import posthog_capture, posthog_sink
from proxy.adapters.journal import JournalSettings, SqliteJournal
from proxy.adapters.posthog_sink import PostHogSettings, PostHogSink
from tests.harness.posthog import (
    HTML,
    LOST,
    QUOTA,
    TRUNCATED,
    Answer,
    ScriptedPostHog,
    always,
    refuse_over,
    refuse_uuids,
)
from tests.harness.rows import event, outcome

KEY = "phc_canary_of_the_project_key"
DAY_US = 86_400_000_000


@dataclass
class Scene:
    """One sink between a journal and a PostHog. `now_us` is the wall clock of both."""

    journal: SqliteJournal
    sink: PostHogSink
    posthog: ScriptedPostHog
    clock: "Clock"
    pauses_s: list[float] = field(default_factory=list)

    def put(self, *names: str, size_bytes: int = 0) -> list[str]:
        """Journal one event for each name; returns their uuids."""
        events = [event(name, size_bytes=size_bytes) for name in names]
        self.journal.note(outcome(events))
        assert self.journal.flush(5)
        return [one.uuid for one in events]

    async def step(self, times: int = 1) -> float:
        """Returns the pause that the last step asked for."""
        for _ in range(times):
            self.pauses_s.append(await self.sink.step())
        return self.pauses_s[-1]

    async def until_settled(self, most_steps: int = 60) -> int:
        """Steps without waiting until nothing is pending; returns how many it took."""
        for steps in range(most_steps):
            if self.journal.stats().pending == 0:
                return steps
            await self.step()
        raise AssertionError("still pending")


@dataclass
class Clock:
    unix_us: int = 1_800_000_000_000_000

    def read_us(self) -> int:
        return self.unix_us

    def read_s(self) -> float:
        return self.unix_us / 1e6


@asynccontextmanager
async def scene(tmp_path: Path, *, capture: str = "batch", gzip: bool = True) -> AsyncIterator[Scene]:
    clock = Clock()
    journal = SqliteJournal(
        JournalSettings(directory=tmp_path / "data", commit_ms=0, ballast_bytes=4096), wall_unix_us=clock.read_us
    )
    journal.start()
    async with ScriptedPostHog() as posthog:
        settings = PostHogSettings(host=posthog.url, api_key=KEY, capture=capture, gzip=gzip)  # type: ignore[arg-type]
        sink = PostHogSink(journal, settings, uniform=lambda low, high: high, wall_unix_s=clock.read_s)
        try:
            yield Scene(journal, sink, posthog, clock)
        finally:
            await sink.close()
            assert journal.close_journal(5)
            assert journal.stats().unbalanced == 0
            assert posthog.divergent == []


def names(count: int, prefix: str = "call") -> list[str]:
    return [f"{prefix}-{number}" for number in range(count)]


async def test_v1_gets_verdicts_and_only_retry_is_sent_again(tmp_path: Path) -> None:
    async with scene(tmp_path, capture="v1") as s:
        _, warned, dropped, quota, again = s.put(*names(5))
        s.posthog.scripts.append(
            Answer(
                verdicts={
                    warned: {"result": "warning"},
                    dropped: {"result": "drop", "details": "bad name"},
                    quota: {"result": "drop", "details": "billing_limit_exceeded"},
                    again: {"result": "retry"},
                }
            )
        )
        await s.step()
        assert s.posthog.posts[0].head.get("authorization") == f"Bearer {KEY}"
        assert "api_key" not in s.posthog.posts[0].document
        stats = s.journal.stats()
        assert dict(stats.delivered) == {"verified": 2}
        assert dict(stats.dead) == {"refused": 1, "quota": 1}
        await s.step()
        assert len(s.posthog.posts) == 1, "not due yet"
        s.clock.unix_us += 60_000_000
        await s.step()
        assert s.posthog.posts[1].uuids == [again]
        assert dict(s.journal.stats().delivered) == {"verified": 3}


async def test_v1_falls_back_where_the_host_does_not_know_it(tmp_path: Path) -> None:
    async with scene(tmp_path, capture="v1") as s:
        s.put("call")
        s.posthog.default = lambda post: Answer(status=404 if post.is_v1 else 200)
        assert await s.step() == 0.0
        await s.step()
        assert [post.path for post in s.posthog.posts] == ["/i/v1/analytics/events", "/batch/"]
        assert s.journal.stats().pending == 0


async def test_old_events_go_in_a_batch_of_their_own(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        (old,) = s.put("old")
        s.clock.unix_us += 3 * DAY_US
        (new,) = s.put("new")
        await s.step(2)
        historical = {d.event["uuid"]: d.is_historical for d in s.posthog.deliveries}
        assert historical == {old: True, new: False}


async def test_one_poison_event_costs_itself_alone(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        uuids = s.put(*names(100))
        s.posthog.default = refuse_uuids([uuids[37]])
        await s.until_settled()
        assert len(s.posthog.posts) <= 15
        assert dict(s.journal.stats().dead) == {"poison": 1}
        assert set(s.posthog.events) == {*uuids} - {uuids[37]}


async def test_when_all_are_refused_the_circuit_opens_and_all_are_kept(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.put(*names(200))
        s.posthog.default = always(Answer(status=400))
        while not s.sink.stats().is_circuit_open:
            await s.step()
        assert s.pauses_s[-1] == 60.0
        posts = len(s.posthog.posts)
        await s.step(5)
        assert [len(post.uuids) for post in s.posthog.posts[posts:]] == [1] * 5
        stats = s.journal.stats()
        assert (dict(stats.dead), stats.pending) == ({"poison": 3}, 197)
        assert s.sink.stats().is_alarming
        s.posthog.default = always(Answer())
        await s.until_settled()
        assert not s.sink.stats().is_circuit_open
        assert s.sink.stats().trouble is None


async def test_neighbouring_poison_does_not_stop_the_rest(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        uuids = s.put(*names(20))
        s.posthog.default = refuse_uuids(uuids[:5])
        for _ in range(60):
            await s.step()
        assert set(s.posthog.events) == set(uuids[5:])
        assert s.journal.stats().dead["poison"] + s.journal.stats().pending == 5


async def test_too_large_a_batch_is_halved_and_smaller_ones_follow(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        uuids = s.put(*names(100), size_bytes=5_000)
        s.posthog.default = refuse_over(150_000)
        await s.until_settled()
        refused = [post for post in s.posthog.posts if len(post.body) > 150_000]
        assert len(refused) == 3
        assert set(s.posthog.events) == set(uuids)
        more = s.put(*names(100, "more"), size_bytes=5_000)
        posts = len(s.posthog.posts)
        await s.until_settled()
        assert all(len(post.body) <= 150_000 for post in s.posthog.posts[posts:]), "what 413 taught is kept in mind"
        assert set(more) <= set(s.posthog.events)


async def test_an_event_too_large_by_itself_is_buried(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        (large,) = s.put("large", size_bytes=200_000)
        small = s.put(*names(9))
        s.posthog.default = refuse_over(100_000)
        await s.until_settled()
        assert dict(s.journal.stats().dead) == {"too_large": 1}
        assert set(s.posthog.events) == set(small)
        assert large not in s.posthog.events


@pytest.mark.parametrize(
    ("retry_after", "pause_s"), [("7", 7.0), ("99999", 300.0), ("-5", 1.0), ("soon", 1.0), ("0", 0.5), (None, 1.0)]
)
async def test_it_waits_as_long_as_asked_within_reason(tmp_path: Path, retry_after: str | None, pause_s: float) -> None:
    async with scene(tmp_path) as s:
        s.put("call")
        s.posthog.scripts.append(Answer(status=429, headers={"Retry-After": retry_after} if retry_after else {}))
        assert await s.step() == pause_s
        assert s.journal.stats().pending == 1
        await s.step()
        assert s.journal.stats().pending == 0


@pytest.mark.parametrize("status", [401, 403, 404, 301, 307, 422])
async def test_what_will_not_pass_by_itself_pauses_and_alarms(tmp_path: Path, status: int) -> None:
    async with ScriptedPostHog() as elsewhere, scene(tmp_path) as s:
        s.put("call")
        s.posthog.scripts.append(Answer(status=status, headers={"Location": f"{elsewhere.url}/batch/"}))
        assert 30.0 <= await s.step() <= 60.0
        assert s.sink.stats().is_alarming
        assert s.sink.stats().last_status == status
        assert elsewhere.posts == []
        assert s.journal.stats().pending == 1
        await s.step()
        assert not s.sink.stats().is_alarming
        assert s.journal.stats().pending == 0


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
async def test_what_is_broken_is_tried_again_ever_more_slowly(tmp_path: Path, status: int) -> None:
    async with scene(tmp_path) as s:
        s.put("call")
        s.posthog.default = always(Answer(status=status))
        await s.step(9)
        assert s.pauses_s == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0]
        s.posthog.default = always(Answer())
        await s.step()
        assert (s.sink.stats().failures, s.journal.stats().pending) == (0, 0)


async def test_nobody_there(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        uuids = s.put(*names(3))
        await s.posthog.refuse()
        await s.step(2)
        assert s.sink.stats().trouble == "unreachable"
        assert s.journal.stats().pending == 3
        await s.posthog.listen()
        await s.step()
        assert set(s.posthog.events) == set(uuids)


async def test_a_lost_acknowledgement_costs_one_identical_resend(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        uuids = s.put(*names(10))
        s.posthog.scripts.append(LOST)
        await s.step(2)
        assert len(s.posthog.deliveries) == 20
        assert set(s.posthog.events) == set(uuids)
        assert s.journal.stats().delivered == {"unverified": 10}


@pytest.mark.parametrize("answer", [HTML, Answer(body=b"", keeps=True), Answer(body=b"[]", keeps=True)])
async def test_an_unreadable_yes_is_asked_for_again_and_then_believed(tmp_path: Path, answer: Answer) -> None:
    async with scene(tmp_path) as s:
        s.put("call")
        s.posthog.default = always(answer)
        await s.step(4)
        assert len(s.posthog.posts) == 4
        assert s.journal.stats().delivered == {"unknown": 1}


async def test_a_truncated_reply_is_no_reply(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.put("call")
        s.posthog.scripts.append(TRUNCATED)
        await s.step()
        assert s.journal.stats().pending == 1
        await s.step()
        assert s.journal.stats().delivered == {"unverified": 1}


async def test_a_reply_that_never_ends_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posthog_capture, "TOTAL_S", 0.2)
    async with scene(tmp_path) as s:
        s.put("call")
        s.posthog.scripts.append(Answer(drips=True, keeps=False))
        await s.step()
        assert s.sink.stats().trouble == "unreachable"
        await s.step()
        assert s.journal.stats().pending == 0


async def test_over_quota_is_dead_and_can_be_replayed(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.put(*names(4))
        s.posthog.scripts.append(QUOTA)
        await s.step()
        stats = s.journal.stats()
        assert (dict(stats.dead), dict(stats.delivered)) == ({"quota": 4}, {})


async def test_fresh_events_do_not_wait_behind_the_backlog(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.put(*names(1000, "backlog"))
        fresh = s.put(*names(5, "fresh"))
        await s.step(2)
        assert set(fresh) <= set(s.posthog.events)
        assert s.posthog.posts[0].uuids == [event(name).uuid for name in names(posthog_sink.MAX_EVENTS, "backlog")], (
            "and neither does it"
        )


async def test_run_delivers_and_drain_delivers_the_rest_without_sending_twice(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        first = s.put(*names(250))
        running = asyncio.ensure_future(s.sink.run())
        await s.posthog.wait_for(lambda posthog: len(posthog.events) == 250)
        gate = asyncio.Event()
        s.posthog.default = always(Answer(gate=gate))
        held = s.put(*names(10, "held"))
        await s.posthog.wait_for(lambda posthog: set(held) <= set(posthog.events))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        late = s.put(*names(10, "late"))
        draining = asyncio.ensure_future(s.sink.drain(5.0))
        gate.set()
        assert await draining
        assert set(s.posthog.events) == {*first, *held, *late}
        assert len(s.posthog.deliveries) == 270
        assert s.journal.stats().pending == 0


async def test_a_bug_does_not_end_delivery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object, **__: object) -> bytes:
        monkeypatch.undo()
        raise KeyError("canary")

    monkeypatch.setattr(posthog_capture, "v0_body", fails)
    monkeypatch.setattr(posthog_sink, "BACKOFF_MAX_S", 0.0)
    async with scene(tmp_path) as s:
        s.put("call")
        running = asyncio.ensure_future(s.sink.run())
        await s.posthog.wait_for(lambda posthog: len(posthog.events) == 1)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert await s.sink.drain(5.0)
    assert "KeyError" in [vars(record).get("error") for record in caplog.records]
    assert "canary" not in caplog.text


async def test_drain_ends_at_its_deadline_and_keeps_the_rest(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.put(*names(3))
        s.posthog.default = always(Answer(gate=asyncio.Event(), keeps=False))
        assert not await s.sink.drain(0.1)
        assert s.journal.stats().pending == 3


async def test_neither_key_nor_event_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with scene(tmp_path) as s:
        s.put("canary-of-an-event")
        s.posthog.scripts.extend(
            [HTML, LOST, Answer(status=401), Answer(status=500, body=KEY.encode()), Answer(status=429)]
        )
        await s.posthog.refuse()
        await s.step()
        await s.posthog.listen()
        await s.step(6)
        assert s.journal.stats().pending == 0
    assert "PostHog" in caplog.text
    assert KEY not in caplog.text
    assert "canary-of-an-event" not in caplog.text
    assert KEY not in repr(PostHogSettings(host="h", api_key=KEY))
