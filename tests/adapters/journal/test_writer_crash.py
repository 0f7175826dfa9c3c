"""kill -9, again and again: what was said to be durable is there, once, and every call has one end."""

import random
import subprocess
import sys
from pathlib import Path

from proxy.adapters.journal import JournalReader, JournalSettings, SqliteJournal
from tests.harness.rows import COMPLETED, FAILED, STARTED, interrupted, uuid_of

KILLS = 12
ROOT = Path(__file__).parents[3]


def run_and_kill(directory: Path, name: str, lines: int) -> dict[str, int]:
    """Let a child write until it has said so many lines; returns the last number of each kind."""
    command = [sys.executable, "-m", "tests.harness.journal_child", str(directory), name]
    said = {"open": 0, "end": 0}
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for _ in range(lines):
            what, number = child.stdout.readline().split()
            said[what] = int(number)
        child.kill()
        for line in child.stdout.readlines():  # what it could still say before it died was durable too
            what, _, number = line.partition(" ")
            if line.endswith("\n"):
                said[what] = int(number)
    return said


def test_nothing_durable_is_lost_and_nothing_is_doubled(tmp_path: Path) -> None:
    chance = random.Random(7)
    promised = {f"life-{life}": run_and_kill(tmp_path, f"life-{life}", chance.randint(1, 6)) for life in range(KILLS)}

    journal = SqliteJournal(JournalSettings(directory=tmp_path, ballast_bytes=4096))
    journal.recover(interrupted)
    assert journal.stats().unbalanced == 0
    assert journal.close_journal(5)

    with JournalReader(tmp_path / "journal-0.db") as reader:
        ended = [exchange.exchange_id for exchange in reader.exchanges(limit=-1)]
        events = {event.uuid: event.name for event in reader.pending()}
        count = reader.stats().pending
    assert len(ended) == len(set(ended))
    assert len(events) == count
    for life, said in promised.items():
        for number in range(said["open"]):
            call = f"{life}-{number}"
            assert uuid_of(call, STARTED) in events
            assert call in ended
            ends = [name for name in (COMPLETED, FAILED) if uuid_of(call, name) in events]
            assert len(ends) == 1
            if number < said["end"]:
                assert ends == [COMPLETED]
    started = [uuid for uuid, name in events.items() if name == STARTED]
    assert len(started) == len(ended), "also what was not promised is whole"
