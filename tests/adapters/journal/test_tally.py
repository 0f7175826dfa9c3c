from hypothesis import given
from hypothesis import strategies as st

from proxy.adapters.journal.tally import Count, Drop, Tally


def test_totals_are_those_of_the_file_and_what_was_added() -> None:
    tally = Tally({("admitted", ""): 5, ("dropped", "disk_full"): 2})
    tally.add(Count.ADMITTED, 3)
    tally.add(Count.DROPPED, 1, Drop.DISK_FULL)
    assert (tally.get(Count.ADMITTED), tally.by_reason(Count.DROPPED)) == (8, {"disk_full": 3})
    assert sorted(tally.changed()) == [("admitted", "", 8), ("dropped", "disk_full", 3)]
    tally.commit()
    assert tally.changed() == []


def test_a_total_that_came_back_needs_no_writing() -> None:
    tally = Tally({})
    tally.add(Count.PENDING)
    tally.add(Count.PENDING, -1)
    assert tally.changed() == []


@given(st.lists(st.tuples(st.sampled_from(list(Count)), st.integers(-5, 5), st.sampled_from(["", "a"]))))
def test_rollback_undoes_all_of_the_transaction_and_nothing_before(changes: list[tuple[Count, int, str]]) -> None:
    tally = Tally({("pending", ""): 7, ("dead", "a"): 1})
    tally.add(Count.PENDING, 1)
    tally.commit()
    before = {count: tally.by_reason(count) for count in Count}
    for count, amount, reason in changes:
        tally.add(count, amount, reason)
    tally.rollback()
    assert {count: tally.by_reason(count) for count in Count} == before


def test_a_new_file_goes_on_counting_and_owns_up_to_what_the_old_one_held() -> None:
    lost = Tally(
        {
            ("admitted", ""): 10,
            ("delivered", "verified"): 4,
            ("pending", ""): 3,
            ("pending_bytes", ""): 999,
            ("dead", "poison"): 2,
            ("dropped", "disk_full"): 1,
            ("exchanges", ""): 5,
        }
    )
    tally = Tally({})
    tally.succeed(lost)
    stats = tally.stats(oldest_pending_unix_us=None)
    assert (stats.admitted, stats.pending, stats.pending_bytes, stats.exchanges) == (10, 0, 0, 0)
    assert (stats.dead, stats.dropped) == ({}, {"disk_full": 1, "quarantined": 5})
    assert stats.unbalanced == 0
