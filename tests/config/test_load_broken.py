"""What operators get wrong, and what they read then: see `tests.config.broken`."""

from pathlib import Path

import pytest

from tests.config.broken import PLANTED, Case, read_cases

CASES = read_cases()
WHOLE_FILE = ("UTF-16", "larger than", "nested too deeply", "not read")
"""Problems that have no line."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}: {case.title}")
def test_a_mistake_gives_its_lines(case: Case, tmp_path: Path) -> None:
    assert case.says
    assert case.lines(tmp_path) == case.says


def test_the_set_is_large_and_its_titles_differ() -> None:
    assert len({(case.kind, case.title) for case in CASES}) == len(CASES) > 100


def test_no_line_repeats_a_secret() -> None:
    planted = [case for case in CASES if any(PLANTED.search(raw.decode("latin-1")) for raw in case.files.values())]
    assert len(planted) > 10
    assert [line for case in CASES for line in case.says if PLANTED.search(line)] == []


def test_every_line_has_its_place_and_is_one_line_of_few_words() -> None:
    for line in (line for case in CASES for line in case.says):
        place, _, message = line.partition(": ")
        assert place == "environment" or len(place.split(":")) == 3 or any(words in message for words in WHOLE_FILE)
        assert line.isprintable()
        assert len(message) < 260
