from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from proxy.adapters.journal import EVENT_MAX_BYTES, Certainty, JournalSettings
from proxy.adapters.journal.file import JournalFile
from proxy.adapters.journal.outbox import MAX_DELAY_S, ROW_OVERHEAD_BYTES, Outbox
from proxy.adapters.journal.schema import connect_memory
from proxy.domain.journal_rows import JournalEvent
from tests.harness.rows import event, outcome

HOUR_US = 3_600_000_000


@dataclass
class Clock:
    now_us: int = 1_800_000_000_000_000


@dataclass
class Box:
    """An outbox in memory; each attribute access is a transaction of its own."""

    file: JournalFile
    clock: Clock

    def put(self, *names: str) -> list[str]:
        events = [event(name) for name in names]
        with self.file.transaction():
            self.file.write([outcome(events)])
        return [one.uuid for one in events]

    def put_event(self, one: JournalEvent) -> None:
        with self.file.transaction():
            self.file.write([outcome([one])])

    @property
    def outbox(self) -> Outbox:
        return self.file.outbox

    def lease(self, max_events: int = 100, max_bytes: int = 1_000_000) -> list[str]:
        with self.file.transaction():
            return list(self.outbox.lease(max_events, max_bytes).uuids)

    def sweep(self) -> None:
        with self.file.transaction():
            self.outbox.sweep()

    def counts(self) -> tuple[int, dict[str, int], dict[str, int]]:
        """Pending, dead, dropped; and nothing is unaccounted for."""
        stats = self.file.tally.stats(oldest_pending_unix_us=None)
        assert stats.unbalanced == 0
        return stats.pending, dict(stats.dead), dict(stats.dropped)


def make(**settings: object) -> Box:
    clock = Clock()
    made = JournalSettings(directory=Path("unused"), **settings)  # type: ignore[arg-type]
    return Box(JournalFile(connect_memory(32 << 20), made, lambda: clock.now_us), clock)


@pytest.fixture
def box() -> Iterator[Box]:
    box = make()
    yield box
    box.file.abandon()


def test_what_is_leased_is_nobody_elses_until_released(box: Box) -> None:
    a, b, c = box.put("a", "b", "c")
    assert box.lease(max_events=2) == [a, b]
    assert box.lease() == [c]
    assert box.lease() == []
    box.outbox.release([b])
    assert box.lease() == [b]
    box.outbox.release_all()
    assert box.lease() == [a, b, c]


def test_the_oldest_and_the_newest_by_turns(box: Box) -> None:
    uuids = box.put(*map(str, range(8)))
    assert [box.lease(max_events=2) for _ in range(4)] == [uuids[:2], uuids[6:], uuids[2:4], uuids[4:6]]


def test_a_batch_is_bounded_by_bytes_but_never_empty(box: Box) -> None:
    large, small = event("large", size_bytes=5000), event("small")
    box.put_event(large)
    box.put_event(small)
    assert box.lease(max_bytes=1000) == [large.uuid]
    assert box.lease(max_bytes=1000) == [small.uuid]


def test_bytes_come_back_as_they_went_in(box: Box) -> None:
    bodies = [b"\xff\x00\xfe", b"", "ä\n☃".encode(), b"{}"]
    for number, body in enumerate(bodies):
        box.put_event(JournalEvent(uuid=str(number), name='a "name"', body=body))
    with box.file.transaction():
        rows = box.outbox.lease(100, 1_000_000).rows
    assert [row.body for row in rows] == bodies
    assert {row.name for row in rows} == {'a "name"'}


def test_old_events_are_batched_apart(box: Box) -> None:
    (old,) = box.put("old")
    box.clock.now_us += 49 * HOUR_US
    (new,) = box.put("new")
    with box.file.transaction():
        first = box.outbox.lease(100, 1_000_000)
        second = box.outbox.lease(100, 1_000_000)
    assert (first.uuids, first.is_historical) == ((old,), True)
    assert (second.uuids, second.is_historical) == ((new,), False)


def test_a_retry_waits_until_its_time_and_counts_the_attempt(box: Box) -> None:
    (uuid,) = box.put("a")
    box.lease()
    with box.file.transaction():
        box.outbox.retry([uuid], box.clock.now_us + 5)
    assert box.lease() == []
    box.clock.now_us += 5
    with box.file.transaction():
        (row,) = box.outbox.lease(1, 1).rows
    assert (row.uuid, row.attempts) == (uuid, 1)


def test_a_clock_that_was_set_back_holds_nothing_up(box: Box) -> None:
    (uuid,) = box.put("a")
    box.lease()
    with box.file.transaction():
        box.outbox.retry([uuid], box.clock.now_us + 10)
    box.clock.now_us -= 2 * MAX_DELAY_S * 1_000_000
    assert box.lease() == [uuid]


def test_an_undone_transaction_leases_nothing(box: Box) -> None:
    (uuid,) = box.put("a")

    def interrupted_lease() -> None:
        with box.file.transaction():
            box.outbox.lease(1, 1)
            raise KeyError

    with pytest.raises(KeyError):
        interrupted_lease()
    assert box.lease(max_events=1) == [uuid]


def test_acknowledged_rows_are_counted_once_and_by_certainty(box: Box) -> None:
    a, b = box.put("a", "b")
    box.lease()
    with box.file.transaction():
        assert box.outbox.ack([a], Certainty.VERIFIED) == 1
        assert box.outbox.ack([a, b], Certainty.UNVERIFIED) == 1
    assert box.counts() == (0, {}, {})
    assert box.file.tally.stats(oldest_pending_unix_us=None).delivered == {"verified": 1, "unverified": 1}


def test_what_nobody_is_sending_is_settled_by_nobody(box: Box) -> None:
    """An answer that comes after all leases were voided: the event is sent again, under its uuid."""
    (uuid,) = box.put("a")
    box.lease()
    box.outbox.release_all()
    with box.file.transaction():
        assert box.outbox.ack([uuid], Certainty.VERIFIED) == 0
        assert box.outbox.bury([uuid], "poison") == 0
        box.outbox.retry([uuid], box.clock.now_us + 5)
    assert box.lease() == [uuid]
    assert box.counts() == (1, {}, {})


def test_a_known_uuid_is_taken_once(box: Box) -> None:
    box.put("a", "a")
    assert box.counts() == (1, {}, {"duplicate_uuid": 1})


def test_events_that_are_pending_already_cost_their_neighbours_nothing_and_take_no_room() -> None:
    row_bytes = len(event("a").body) + ROW_OVERHEAD_BYTES
    box = make(outbox_max_bytes=4 * row_bytes)
    for names in ("b", "abcbd", "bdef"):
        with box.file.transaction():
            kept = box.outbox.admit([(name, event(name)) for name in names])
    assert kept == []
    assert box.counts() == (4, {}, {"duplicate_uuid": 4, "outbox_full": 2})
    assert box.lease() == [event(name).uuid for name in "bacd"]
    box.file.abandon()


def test_buried_events_rest_until_they_are_replayed(box: Box) -> None:
    a, b = box.put("a", "b")
    box.lease()
    with box.file.transaction():
        assert box.outbox.bury([a, "unknown"], "poison") == 1
        assert box.outbox.bury([b], "quota") == 1
    assert box.counts() == (0, {"poison": 1, "quota": 1}, {})
    later_us = box.clock.now_us + 1
    with box.file.transaction():
        assert box.outbox.replay(box.clock.now_us, reason="quota") == 0, "it died at that very moment, not before"
        assert box.outbox.replay(later_us, reason="quota") == 1
        assert box.outbox.replay(later_us, uuid=b) == 0
    assert box.counts() == (1, {"poison": 1}, {})
    assert box.lease() == [b]


def test_a_replayed_event_keeps_its_bytes_and_does_not_expire_again(box: Box) -> None:
    box.put("a")
    box.clock.now_us += 8 * 24 * HOUR_US
    box.sweep()
    assert box.counts() == (0, {"expired": 1}, {})
    with box.file.transaction():
        box.outbox.replay(box.clock.now_us + 1)
        box.outbox.sweep()
        (row,) = box.outbox.lease(1, 1).rows
    assert row.body == event("a").body


def test_purging_is_counted(box: Box) -> None:
    (uuid,) = box.put("a")
    box.lease()
    with box.file.transaction():
        box.outbox.bury([uuid], "poison")
        assert box.outbox.purge(box.clock.now_us) == 0
        assert box.outbox.purge(box.clock.now_us + 1) == 1
    assert box.counts() == (0, {}, {"purged": 1})


def test_an_event_that_posthog_would_refuse_for_its_size_is_dead_at_once(box: Box) -> None:
    box.put_event(JournalEvent(uuid="u", name="e", body=b"x" * (EVENT_MAX_BYTES + 1)))
    box.put_event(JournalEvent(uuid="v", name="e", body=b"x" * EVENT_MAX_BYTES))
    assert box.counts() == (1, {"too_large": 1}, {})


def test_a_full_outbox_drops_the_newest() -> None:
    row_bytes = len(event("a").body) + ROW_OVERHEAD_BYTES
    box = make(outbox_max_bytes=3 * row_bytes)
    kept = box.put("a", "b", "c")
    box.put("d", "e")
    assert box.counts() == (3, {}, {"outbox_full": 2})
    assert box.lease() == kept
    with box.file.transaction():
        box.outbox.ack(kept[:1], Certainty.VERIFIED)
    box.put("f")
    assert box.counts() == (3, {}, {"outbox_full": 2})
    box.file.abandon()


def test_with_nowhere_to_go_the_oldest_make_room() -> None:
    row_bytes = len(event("a").body) + ROW_OVERHEAD_BYTES
    box = make(outbox_max_bytes=2 * row_bytes, has_destination=False)
    box.put("a", "b")
    newest = box.put("c", "d")
    assert box.lease() == newest
    box.outbox.release_all()
    box.clock.now_us += 8 * 24 * HOUR_US
    box.sweep()
    assert box.counts() == (0, {}, {"local_retention": 4})
    box.file.abandon()


def test_an_event_larger_than_the_whole_outbox_evicts_all_and_itself() -> None:
    box = make(outbox_max_bytes=1000, has_destination=False)
    box.put("a")
    box.put_event(event("large", size_bytes=2000))
    assert box.counts() == (0, {}, {"local_retention": 2})
    box.file.abandon()


def test_the_dead_may_not_grow_without_end() -> None:
    row_bytes = len(event("0").body) + ROW_OVERHEAD_BYTES
    box = make(outbox_max_bytes=8 * 3 * row_bytes)
    uuids = box.put(*map(str, range(8)))
    box.lease()
    with box.file.transaction():
        box.outbox.bury(uuids, "poison")
        box.outbox.sweep()
    assert box.counts() == (0, {"poison": 3}, {"dead_full": 5})
    with box.file.transaction():
        box.outbox.replay(box.clock.now_us + 1)
    assert box.lease() == uuids[5:], "the oldest had to go"
    box.file.abandon()
