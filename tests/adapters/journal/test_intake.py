from proxy.adapters.journal.file import JournalFile, Row
from proxy.adapters.journal.intake import GROUP_ROWS, MAX_GROUP_ROWS, ROW_OVERHEAD_BYTES, Command, Intake, Note
from proxy.adapters.journal.tally import Drop
from tests.harness.rows import closing, event, opening, outcome


def nothing(_: JournalFile) -> None:
    pass


def test_rows_come_out_in_order_and_leave_room() -> None:
    intake = Intake(100, 100_000)
    rows: list[Row] = [opening("a"), closing("a"), outcome([event("b")], "b")]
    for row in rows:
        intake.offer(row, 50)
    assert (intake.rows, intake.bytes_waiting) == (3, 3 * (50 + ROW_OVERHEAD_BYTES))
    assert intake.gather(0, 0) == rows
    assert (intake.rows, intake.bytes_waiting) == (0, 0)
    assert intake.gather(0, 0) == []


def test_starts_are_refused_before_ends() -> None:
    intake = Intake(8, 1 << 20)
    for number in range(10):
        intake.offer(opening(str(number)), 0)
    assert (intake.rows, intake.refused[Drop.QUEUE_FULL]) == (6, 4)
    intake.offer(closing("x"), 0)
    intake.offer(closing("y"), 0)
    assert (intake.rows, intake.refused[Drop.QUEUE_FULL]) == (8, 4)


def test_a_refused_end_leaves_a_note_and_is_counted() -> None:
    intake = Intake(1, 1 << 20)
    intake.offer(closing("kept"), 0)
    intake.offer(closing("lost"), 0)
    assert intake.gather(0, 0) == [closing("kept"), Note("lost")]
    assert (intake.refused[Drop.QUEUE_FULL], intake.records_refused) == (1, 1)


def test_bytes_bound_the_queue_too() -> None:
    intake = Intake(100, 2 * ROW_OVERHEAD_BYTES + 1000)
    intake.offer(closing("a"), 1000)
    intake.offer(closing("b"), 1)
    assert intake.refused[Drop.QUEUE_FULL] == 1
    intake.gather(0, 0)
    intake.offer(closing("c"), 1000)
    assert intake.refused[Drop.QUEUE_FULL] == 1


def test_after_closing_everything_is_refused_and_what_waits_still_comes_out() -> None:
    intake = Intake(100, 1 << 20)
    intake.offer(closing("a"), 0)
    intake.close()
    intake.offer(closing("b"), 0)
    intake.offer(opening("c"), 0)
    assert (intake.refused[Drop.CLOSED], intake.records_refused) == (2, 1)
    assert intake.gather(0, 0) == [closing("a")]


def test_a_command_ends_the_wait_for_company() -> None:
    intake = Intake(100, 1 << 20)
    command = Command(nothing)
    intake.submit(command)
    assert intake.gather(0, 3600) == [command]


def test_a_full_group_ends_the_wait_for_company() -> None:
    intake = Intake(1000, 1 << 20)
    for number in range(GROUP_ROWS + 1):
        intake.offer(closing(str(number)), 0)
    assert len(intake.gather(0, 3600)) == GROUP_ROWS + 1


def test_what_a_slow_disk_lets_pile_up_is_one_group_within_a_bound() -> None:
    intake = Intake(2000, 1 << 20)
    for number in range(MAX_GROUP_ROWS + 1):
        intake.offer(closing(str(number)), 0)
    assert (len(intake.gather(0, 0)), len(intake.gather(0, 0))) == (MAX_GROUP_ROWS, 1)
    assert MAX_GROUP_ROWS >= 1000, "a disk that takes 0.1 s to sync keeps up with 1,000 calls a second"


def test_after_closing_all_that_waits_is_one_group() -> None:
    intake = Intake(2000, 1 << 20)
    for number in range(MAX_GROUP_ROWS + 1):
        intake.offer(closing(str(number)), 0)
    intake.close()
    assert len(intake.gather(0, 0)) == MAX_GROUP_ROWS + 1


def test_what_is_abandoned_is_counted_once() -> None:
    intake, command = Intake(100, 1 << 20), Command(nothing)
    intake.offer(opening("a"), 0)
    intake.offer(closing("a"), 0)
    assert intake.gather(0, 0)
    intake.done()
    intake.offer(opening("b"), 0)
    assert intake.gather(0, 0)
    intake.offer(closing("b"), 0)
    intake.submit(command)
    intake.close()
    for _ in range(2):
        intake.abandon()
        assert (intake.refused[Drop.STOPPED], intake.records_refused, intake.rows) == (2, 1, 0)
    assert command.future.cancelled()


def test_a_command_whose_caller_has_gone_bothers_nobody() -> None:
    for settle in (Command.succeed, lambda command: command.fail(KeyError())):
        command = Command(nothing)
        command.future.cancel()
        settle(command)
        assert command.future.cancelled()
