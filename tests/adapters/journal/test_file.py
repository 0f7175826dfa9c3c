from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from proxy.adapters.journal import Certainty, JournalSettings
from proxy.adapters.journal.bulk import fetch
from proxy.adapters.journal.file import RECORD_OVERHEAD_BYTES, JournalFile
from proxy.adapters.journal.schema import connect, connect_memory
from proxy.adapters.journal.tally import Drop
from proxy.domain.journal_rows import JournalEvent
from tests.harness.rows import closing, event, interrupted, opening, outcome

NOW_US = 1_800_000_000_000_000
CALLS = [f"call-{number}" for number in range(6)]


def make(**settings: object) -> JournalFile:
    made = JournalSettings(directory=Path("unused"), **settings)  # type: ignore[arg-type]
    return JournalFile(connect_memory(32 << 20), made, lambda: NOW_US)


@pytest.fixture
def file() -> Iterator[JournalFile]:
    file = make()
    yield file
    file.abandon()


def rows(file: JournalFile, table: str) -> list[str]:
    return [row[0] for row in fetch(file._connection, f"SELECT exchange_id FROM {table} ORDER BY rowid")]


def pending(file: JournalFile) -> list[str]:
    return [row[0] for row in fetch(file._connection, "SELECT name FROM outbox ORDER BY seq")]


def test_an_end_takes_the_place_of_its_opening(file: JournalFile) -> None:
    with file.transaction():
        file.write([opening("a")])
    assert (rows(file, "open_exchange"), rows(file, "exchange")) == (["a"], [])
    with file.transaction():
        file.write([closing("a")])
    assert (rows(file, "open_exchange"), rows(file, "exchange")) == ([], ["a"])
    assert pending(file) == ["llm_request_started", "llm_request_completed"]
    assert [one.name for one in file.written] == ["llm_request_completed"]


def test_a_call_has_one_end(file: JournalFile) -> None:
    with file.transaction():
        file.write([closing("a")])
        file.write([closing("a", ended_unix_us=2)])
    assert rows(file, "exchange") == ["a"]
    stats = file.tally.stats(oldest_pending_unix_us=None)
    assert (stats.pending, stats.dropped, stats.unbalanced) == (1, {"duplicate_end": 1}, 0)


def test_ends_that_are_there_already_cost_their_neighbours_nothing(file: JournalFile) -> None:
    ends = [replace(closing(call), request_id=f"named-{call}" * (call != CALLS[3])) for call in CALLS]
    with file.transaction():
        file.write([opening(CALLS[1]), ends[1]])
    with file.transaction():
        file.write([opening(CALLS[0]), *ends, ends[0], outcome([event("x", "outcome")])])
    assert rows(file, "exchange") == [CALLS[1], CALLS[0], *CALLS[2:]]
    assert rows(file, "open_exchange") == []
    named = "SELECT exchange_id, request_id FROM request JOIN exchange USING (seq) ORDER BY seq"
    assert fetch(file._connection, named) == [
        (call, f"named-{call}") for call in (CALLS[1], CALLS[0], CALLS[2], CALLS[4], CALLS[5])
    ]
    assert [one.name for one in file.written] == ["llm_request_started", *["llm_request_completed"] * 5, "outcome"]
    stats = file.tally.stats(oldest_pending_unix_us=None)
    assert (stats.exchanges, stats.pending, stats.dropped) == (6, 9, {"duplicate_end": 2})
    assert stats.unbalanced == 0


def test_an_opening_that_comes_after_its_end_opens_nothing(file: JournalFile) -> None:
    with file.transaction():
        file.write([closing("a")])
        file.write([opening("a")])
    assert rows(file, "open_exchange") == []


def test_recovery_ends_each_open_call_once(file: JournalFile) -> None:
    with file.transaction():
        for call in CALLS:
            file.write([opening(call)])
        file.write([closing(CALLS[0])])
    for expected in (5, 0):
        with file.transaction():
            assert file.recover(interrupted) == expected
    assert sorted(rows(file, "exchange")) == CALLS
    assert pending(file).count("llm_request_failed") == 5
    assert fetch(file._connection, "SELECT DISTINCT ended_unix_us FROM exchange WHERE exchange_id <> 'call-0'") == [
        (NOW_US,)
    ]


def test_facts_that_nobody_understands_end_the_call_without_events(file: JournalFile) -> None:
    def fails(facts: bytes) -> Sequence[JournalEvent]:
        raise KeyError(facts)

    with file.transaction():
        file.write([opening("a")])
    with file.transaction():
        assert file.recover(fails) == 1
    assert (rows(file, "open_exchange"), rows(file, "exchange")) == ([], ["a"])
    stats = file.tally.stats(oldest_pending_unix_us=None)
    assert (stats.dropped, stats.unbalanced) == ({"unreadable_facts": 1}, 0)


def test_a_refused_end_leaves_nothing_to_recover(file: JournalFile) -> None:
    with file.transaction():
        file.write([opening("a")])
        file.refuse(closing("a"), Drop.DISK_FULL)
    with file.transaction():
        assert file.recover(interrupted) == 0
    stats = file.tally.stats(oldest_pending_unix_us=None)
    assert (stats.dropped, stats.records_dropped, stats.unbalanced) == ({"disk_full": 1}, 1, 0)


def test_the_store_keeps_within_its_bytes() -> None:
    record_bytes = len(closing("0").record) + RECORD_OVERHEAD_BYTES
    file = make(store_max_bytes=3 * record_bytes)
    with file.transaction():
        for number in range(5):
            file.write([closing(str(number), ended_unix_us=NOW_US)])
        assert file.sweep() == 2
    assert rows(file, "exchange") == ["2", "3", "4"]
    assert file.tally.stats(oldest_pending_unix_us=None).store_bytes == 3 * record_bytes
    file.abandon()


def test_the_name_of_a_call_goes_with_it() -> None:
    record_bytes = len(closing("0").record) + RECORD_OVERHEAD_BYTES
    file = make(store_max_bytes=2 * record_bytes)
    with file.transaction():
        file.write([replace(closing(str(number), ended_unix_us=NOW_US), request_id="r") for number in range(4)])
        file.sweep()
    assert file._connection.execute("SELECT seq, request_id FROM request").fetchall() == [(3, "r"), (4, "r")]
    file._settings.keep_within(replace(file._settings, store_max_bytes=0))
    with file.transaction():
        file.sweep()
    assert file._connection.execute("SELECT * FROM request").fetchall() == []
    file.abandon()


def test_the_store_keeps_within_its_age() -> None:
    file = make(store_max_age_s=10)
    with file.transaction():
        file.write([closing("old", ended_unix_us=NOW_US - 10_000_001)])
        file.write([closing("young", ended_unix_us=NOW_US - 10_000_000)])
        file.sweep()
    assert rows(file, "exchange") == ["young"]
    file.abandon()


def test_an_outcome_that_is_kept_changes_nothing(file: JournalFile) -> None:
    one, other = event("a", "rated"), event("b", "rated")
    with file.transaction():
        file.write([outcome([one, one], "a"), outcome([one], "a")])
        file.outbox.ack(file.outbox.lease(9, 9_000).uuids, Certainty.VERIFIED)
    with file.transaction():
        file.write([outcome([one, other], "a")])
    assert fetch(file._connection, "SELECT uuid, body FROM outcome ORDER BY seq") == [
        (one.uuid, one.body),
        (other.uuid, other.body),
    ]
    stats = file.tally.stats(oldest_pending_unix_us=None)
    assert (stats.pending, stats.delivered, stats.dropped, stats.unbalanced) == (
        1,
        {"verified": 1},
        {"duplicate_uuid": 3},
        0,
    )


def test_outcomes_go_with_the_calls_that_make_room_for_others() -> None:
    early, late = event("early", "rated"), event("late", "rated")
    kept_bytes = len(closing("b").record) + len(late.body) + 2 * RECORD_OVERHEAD_BYTES
    file = make(store_max_bytes=kept_bytes + len(early.body) + RECORD_OVERHEAD_BYTES)
    with file.transaction():
        file.write([outcome([early], at_unix_us=NOW_US - 2), outcome([late], "late", at_unix_us=NOW_US)])
        file.write([closing("a", ended_unix_us=NOW_US - 1), closing("b", ended_unix_us=NOW_US)])
        file.sweep()
    assert (rows(file, "exchange"), rows(file, "outcome")) == (["b"], ["late"])
    assert file.tally.stats(oldest_pending_unix_us=None).store_bytes == kept_bytes
    file.abandon()


def test_outcomes_grow_old(file: JournalFile) -> None:
    with file.transaction():
        file.write([outcome([event("a", "rated")], "a", at_unix_us=1), outcome([event("b", "rated")], "b")])
        file.sweep()
    assert rows(file, "outcome") == ["b"]


def test_an_undone_transaction_leaves_no_trace(file: JournalFile) -> None:
    def fails() -> None:
        with file.transaction():
            file.write([closing("a")])
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert (rows(file, "exchange"), pending(file), file.written) == ([], [], [])
    assert file.tally.stats(oldest_pending_unix_us=None).admitted == 0


def test_counts_survive_the_process(tmp_path: Path) -> None:
    settings = JournalSettings(directory=tmp_path)
    file = JournalFile(connect(tmp_path / "j.db"), settings, lambda: NOW_US)
    with file.transaction():
        file.write([opening("a")])
        file.write([closing("a")])
    before = file.tally.stats(oldest_pending_unix_us=None)
    file.finish()
    assert not (tmp_path / "j.db-wal").exists()
    again = JournalFile(connect(tmp_path / "j.db"), settings, lambda: NOW_US)
    assert again.tally.stats(oldest_pending_unix_us=None) == before
    assert again.oldest_pending_unix_us == NOW_US
    again.finish()


class Conservation(RuleBasedStateMachine):
    """Whatever is done to a journal, each admitted event is in exactly one place, and the counters say where."""

    @initialize(has_destination=st.booleans())
    def start(self, has_destination: bool) -> None:
        self.file = make(outbox_max_bytes=8_000, store_max_bytes=2_000, has_destination=has_destination)
        self.leased: list[str] = []

    @rule(call=st.sampled_from(CALLS), size_bytes=st.sampled_from([0, 500, 3000]))
    def open(self, call: str, size_bytes: int) -> None:
        with self.file.transaction():
            self.file.write([opening(call)])
            self.file.write([outcome([event(call, "extra", size_bytes)], call)])

    @rule(call=st.sampled_from(CALLS))
    def close(self, call: str) -> None:
        with self.file.transaction():
            self.file.write([closing(call)])
        assert call not in rows(self.file, "open_exchange")

    @rule(max_events=st.integers(1, 5))
    def lease(self, max_events: int) -> None:
        with self.file.transaction():
            batch = self.file.outbox.lease(max_events, 4_000)
        assert not set(batch.uuids) & set(self.leased)
        self.leased += batch.uuids

    @precondition(lambda self: self.leased)
    @rule(fate=st.sampled_from(["ack", "bury", "retry", "release"]), certainty=st.sampled_from(list(Certainty)))
    def settle(self, fate: str, certainty: Certainty) -> None:
        uuids, self.leased = self.leased[:2], self.leased[2:]
        with self.file.transaction():
            if fate == "ack":
                self.file.outbox.ack(uuids, certainty)
            elif fate == "bury":
                self.file.outbox.bury(uuids, "poison")
            elif fate == "retry":
                self.file.outbox.retry(uuids, 0)
            else:
                self.file.outbox.release(uuids)

    @rule()
    def recover(self) -> None:
        with self.file.transaction():
            self.file.recover(interrupted)
        assert rows(self.file, "open_exchange") == []

    @rule()
    def housekeeping(self) -> None:
        with self.file.transaction():
            self.file.sweep()

    @rule(uuid=st.none() | st.sampled_from([event(call).uuid for call in CALLS]))
    def replay(self, uuid: str | None) -> None:
        with self.file.transaction():
            self.file.outbox.replay(NOW_US + 1, uuid=uuid)

    @rule()
    def purge(self) -> None:
        with self.file.transaction():
            self.file.outbox.purge(NOW_US + 1)

    @rule()
    def fail(self) -> None:
        with suppress(KeyError), self.file.transaction():
            self.file.write([closing("never")])
            self.file.outbox.lease(3, 4_000)
            raise KeyError

    @invariant()
    def counters_are_true(self) -> None:
        if not hasattr(self, "file"):
            return
        stats = self.file.tally.stats(oldest_pending_unix_us=None)
        assert stats.unbalanced == 0
        connection = self.file._connection
        assert fetch(connection, "SELECT count(*), coalesce(sum(bytes), 0) FROM outbox") == [
            (stats.pending, stats.pending_bytes)
        ]
        assert dict(fetch(connection, "SELECT reason, count(*) FROM dead GROUP BY reason")) == stats.dead
        assert not set(rows(self.file, "open_exchange")) & set(rows(self.file, "exchange"))

    def teardown(self) -> None:
        if hasattr(self, "file"):
            self.file.abandon()


Conservation.TestCase.settings = hypothesis_settings(max_examples=40, stateful_step_count=30, deadline=None)
TestConservation = Conservation.TestCase
