from contextlib import suppress
from pathlib import Path

from proxy.adapters.journal import JournalSettings
from proxy.adapters.journal.debts import Debts
from proxy.adapters.journal.file import JournalFile
from proxy.adapters.journal.intake import Intake
from proxy.adapters.journal.schema import connect_memory
from tests.harness.rows import closing, interrupted, opening


def make() -> JournalFile:
    return JournalFile(connect_memory(8 << 20), JournalSettings(directory=Path("unused")), lambda: 1)


def test_losses_are_recorded_once_whatever_happens_to_the_transaction() -> None:
    file, intake = make(), Intake(0, 0)
    debts = Debts(intake)
    with file.transaction():
        file.write([opening("a")])
    intake.offer(opening("b"), 0)
    debts.lose(closing("a"))
    assert debts.owed(debts.settled) == {"queue_full": 1, "store_failed": 1}
    with suppress(KeyError), file.transaction():
        debts.record(file)
        raise KeyError
    for _ in range(2):
        with file.transaction():
            debts.record(file)
        debts.settle()
    stats = file.tally.stats(oldest_pending_unix_us=None)
    assert (stats.dropped, stats.records_dropped) == ({"queue_full": 1, "store_failed": 1}, 1)
    assert stats.unbalanced == 0
    assert not debts.owed(debts.settled)
    with file.transaction():
        assert file.recover(interrupted) == 0, "the lost end must not be taken for an interrupted call"
    file.abandon()


def test_what_is_lost_while_a_transaction_runs_is_owed_to_the_next() -> None:
    file, intake = make(), Intake(0, 0)
    debts = Debts(intake)
    debts.lose(opening("a"))
    with file.transaction():
        debts.record(file)
        intake.offer(opening("b"), 0)
    debts.settle()
    assert debts.owed(debts.settled) == {"queue_full": 1}
    file.abandon()
