"""What the journal files of a data folder say together: each worker, living or gone, has one of its own."""

from contextlib import suppress
from pathlib import Path

import apsw

from proxy.adapters.journal import JournalReader, JournalStats, journal_files
from proxy.adapters.journal.schema import Unusable


def stats_by_file(data_dir: Path, *, but: Path | None = None) -> dict[str, JournalStats]:
    """Of every file but one's own, by its name; a file that cannot be read now is left out."""
    found: dict[str, JournalStats] = {}
    for path in journal_files(data_dir):
        if path != but:
            with suppress(Unusable, apsw.Error), JournalReader(path) as reader:
                found[path.name] = reader.stats()
    return found
