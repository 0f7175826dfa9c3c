from dataclasses import replace
from typing import Any

import pytest

from proxy.domain.answers import answer_of
from proxy.domain.errors import Status
from proxy.domain.exchange import Fate
from proxy.domain.meter import StreamEnd
from proxy.domain.usage import Usage
from tests.harness.exchanges import EMBEDDINGS, READING, attempt, finished

WHOLE = replace(READING, answer_text="Hello", answer_chars=5)


def test_an_answer_is_its_text_and_what_the_provider_marked() -> None:
    reading = replace(WHOLE, has_citation=True, usage=Usage(output_tokens=312, reasoning_tokens=300))
    found = answer_of(finished(attempt(reading=reading)))
    assert found is not None
    assert (found.text, found.beginning, found.chars, found.is_cited, found.tokens) == ("Hello", "Hello", 5, True, 12)


def test_one_that_was_not_kept_whole_has_no_text() -> None:
    found = answer_of(finished(attempt(reading=replace(WHOLE, answer_chars=40_000))))
    assert found is not None
    assert (found.text, found.chars) == (None, 40_000)


@pytest.mark.parametrize(
    "changed",
    [
        {"has_media": True, "answer_text": "", "answer_chars": 0},
        {"tool_call_count": 1},
        {"choice_count": 2},
        {"stream_end": StreamEnd.PENDING},
    ],
    ids=str,
)
def test_there_is_no_one_answer_to_check(changed: dict[str, Any]) -> None:
    assert answer_of(finished(attempt(reading=replace(WHOLE, **changed)))) is None


def test_a_call_that_failed_has_none_and_neither_has_one_without_a_prompt() -> None:
    failed = finished(attempt(reading=WHOLE), fate=Fate(status=Status.CANCELLED))
    assert answer_of(failed) is None
    assert answer_of(finished(attempt(reading=WHOLE), endpoint=EMBEDDINGS)) is None
    assert answer_of(finished(attempt(reading=None))) is None
