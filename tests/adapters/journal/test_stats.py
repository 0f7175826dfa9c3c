import pytest

from proxy.adapters.journal.stats import COMMIT_BUCKETS_S, CommitTimes, JournalStats


def test_unbalanced_is_what_nobody_can_account_for() -> None:
    stats = JournalStats(
        admitted=10, pending=1, delivered={"verified": 2}, dead={"poison": 3}, dropped={"disk_full": 4}
    )
    assert stats.unbalanced == 0
    assert JournalStats(admitted=10, pending=1).unbalanced == 9


@pytest.mark.parametrize(("duration_s", "bucket"), [(0.0, 0), (0.001, 0), (0.0011, 1), (2.5, 10), (2.6, 11)])
def test_a_commit_falls_into_the_bucket_whose_bound_it_reaches(duration_s: float, bucket: int) -> None:
    times = CommitTimes()
    times.observe(duration_s)
    assert (times.count, times.total_s) == (1, duration_s)
    assert [index for index, count in enumerate(times.buckets) if count] == [bucket]
    assert len(times.buckets) == len(COMMIT_BUCKETS_S) + 1
