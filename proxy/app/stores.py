"""What the journal files of a data folder say together: each worker, living or gone, has one of its own."""

from contextlib import suppress
from pathlib import Path

import apsw

from proxy.adapters.journal import JournalReader, JournalStats, journal_files
from proxy.adapters.journal.schema import Unusable


def stats_of_others(data_dir: Path, own: Path | None) -> list[JournalStats]:
    """Of every file but one's own, as it says; a file that cannot be read now is left out."""
    found: list[JournalStats] = []
    for path in journal_files(data_dir):
        if path != own:
            with suppress(Unusable, apsw.Error), JournalReader(path) as reader:
                found.append(reader.stats())
    return found
