from proxy.adapters.journal.stats import JournalStats


def test_unbalanced_is_what_nobody_can_account_for() -> None:
    stats = JournalStats(
        admitted=10, pending=1, delivered={"verified": 2}, dead={"poison": 3}, dropped={"disk_full": 4}
    )
    assert stats.unbalanced == 0
    assert JournalStats(admitted=10, pending=1).unbalanced == 9
