"""Writes the expected lines anew."""

import tempfile
from itertools import groupby
from pathlib import Path

from tests.config.broken import FOLDER, Case, read_cases


def _with_lines(case: Case) -> str:
    with tempfile.TemporaryDirectory() as folder:
        return case.source + "".join(f"{line}\n" for line in case.lines(Path(folder)))


for kind, cases in groupby(read_cases(), key=lambda case: case.kind):
    (FOLDER / f"{kind}.txt").write_text("".join(map(_with_lines, cases)))
