"""A process that journals calls until it is killed: `python -m tests.harness.journal_child DIR NAME`.

It prints a line for each group that is durable: `open N` when the openings up to call N are, `end N` when their ends
are. It never stops by itself.
"""

import sys
from pathlib import Path

from proxy.adapters.journal import JournalSettings, SqliteJournal
from tests.harness.rows import closing, interrupted, opening

GROUP = 20


def main(directory: str, name: str) -> None:
    journal = SqliteJournal(JournalSettings(directory=Path(directory), commit_ms=1, ballast_bytes=4096))
    journal.recover(interrupted)
    journal.start()
    number = 0
    while True:
        calls = [f"{name}-{number + offset}" for offset in range(GROUP)]
        number += GROUP
        for call in calls:
            journal.open(opening(call))
        tell(journal, "open", number)
        for call in calls:
            journal.close(closing(call))
        tell(journal, "end", number)


def tell(journal: SqliteJournal, what: str, number: int) -> None:
    if journal.flush(30):
        print(what, number, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
