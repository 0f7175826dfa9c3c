"""The files in which the workers of one proxy count together: a set for each worker, by its number.

They are maps of memory. A page that is written for the first time needs room on the disk, and where there is none the
kernel kills the writer: so all room is taken before the workers start. One that is started again goes on with the
files of its predecessor, so that they do not become more however often workers die.
"""

import os
from contextlib import suppress
from pathlib import Path

GAUGES = ("gauge_livesum", "gauge_livemin", "gauge_livemax")
"""Of living workers only."""
ROOM_BYTES = {"counter": 1 << 20, "histogram": 1 << 20, **dict.fromkeys(GAUGES, 1 << 16)}
"""By kind, as the library names its files. Enough for a hundred targets; beyond, the files grow as the disk allows."""
HEAD_BYTES = 8
"""Tells how much of a file is used; nothing where it is 0."""


def lay_out(folder: Path, workers: int) -> None:
    """Take the room for all workers. Raises OSError where there is not enough."""
    for worker in range(workers):
        for kind, size_bytes in ROOM_BYTES.items():
            with _path(folder, kind, worker).open("xb") as file:
                os.posix_fallocate(file.fileno(), 0, size_bytes)


def room_bytes(workers: int) -> int:
    """What `lay_out` takes."""
    return workers * sum(ROOM_BYTES.values())


def count_as(worker: int | None) -> None:
    """From here on, this process counts in the files of this worker; only one process may at a time.

    None: alone, in its memory, also where the environment has a folder that is meant for some app.
    """
    from prometheus_client import values  # the supervisor makes room for counts, and counts nothing

    if worker is None:
        values.ValueClass = values.MutexValue
    else:
        values.ValueClass = values.MultiProcessValue(lambda: worker)  # type: ignore[no-untyped-call]


def forget_gauges(folder: Path, worker: int) -> None:
    """The worker has died: its counts stay, and what it was is no more. Its files keep their room. Never raises."""
    for kind in GAUGES:
        with suppress(OSError), _path(folder, kind, worker).open("r+b") as file:
            file.write(bytes(HEAD_BYTES))


def _path(folder: Path, kind: str, worker: int) -> Path:
    return folder / f"{kind}_{worker}.db"
