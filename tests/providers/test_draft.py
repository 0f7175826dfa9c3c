"""A draft keeps little, whatever it is given."""

import pytest

from proxy.domain.meter import ANSWER_HEAD_LIMIT_CHARS, OUTPUT_TEXT_LIMIT_CHARS
from proxy.domain.tool_calls import MOST_CALLS
from proxy.providers.draft import TOOL_NAMES_LIMIT, Draft


def test_text_is_counted_beyond_what_is_kept() -> None:
    draft = Draft()
    for _ in range(3):
        draft.add_answer("é" * (OUTPUT_TEXT_LIMIT_CHARS // 2 + 1))
    assert draft.output_text == "é" * OUTPUT_TEXT_LIMIT_CHARS
    assert draft.output_chars == 3 * (OUTPUT_TEXT_LIMIT_CHARS // 2 + 1)
    assert draft.answer_head == "é" * ANSWER_HEAD_LIMIT_CHARS


def test_the_head_is_of_the_answer_alone() -> None:
    draft = Draft()
    draft.add_text("thinking")
    draft.add_refusal("no")
    draft.add_answer("yes")
    assert (draft.answer_head, draft.output_text, draft.has_refusal) == ("yes", "thinkingnoyes", True)


def test_the_first_output_sets_the_time_and_nothing_else_does() -> None:
    draft = Draft()
    draft.at_ns = 1
    draft.add_answer("")
    draft.add_refusal("")
    draft.identify({"id": "x", "model": "m"})
    assert draft.first_token_ns is None
    draft.at_ns = 2
    draft.add_text("a")
    draft.at_ns = 3
    draft.add_media()
    assert draft.first_token_ns == 2


def test_tool_names_are_few_and_distinct() -> None:
    draft = Draft()
    for number in range(300):
        draft.add_tool_call(f"tool_{number % 150}")
    assert draft.tool_call_count == 300
    assert list(draft.tool_names) == [f"tool_{number}" for number in range(TOOL_NAMES_LIMIT)]


def test_the_last_word_on_model_and_tier_wins_and_empty_ones_say_nothing() -> None:
    draft = Draft()
    draft.identify({"model": "a", "id": "1", "service_tier": "default"})
    draft.identify({"model": "b", "id": "", "service_tier": None})
    draft.identify({"model": ""})
    assert (draft.model, draft.response_id, draft.service_tier) == ("b", "1", "default")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"error": {"code": "c", "type": "t"}}, "c"),
        ({"error": {"code": None, "type": "t"}}, "t"),
        ({"error": {"code": 503, "type": "t"}}, "t"),
        ({"error": {"code": 503}}, "503"),
        ({"error": {"status": "S", "code": 8}}, "S"),
        ({"error": {"code": "x" * 101, "type": ""}}, None),
        ({"error": {"code": -1}}, None),
        ({"error": {"code": 10**30}}, None),
        ({"error": {"code": {"a": 1}}}, None),
        ({"error": "a sentence"}, None),
        ({"type": "error", "code": "flat"}, "flat"),
        ({"type": "error"}, None),
        ({}, None),
    ],
)
def test_error_codes(body: dict[str, object], code: str | None) -> None:
    draft = Draft()
    draft.fail(body)
    assert (draft.has_error, draft.error_code) == (True, code)


def test_a_code_is_not_lost_to_a_second_error_without_one() -> None:
    draft = Draft()
    draft.fail({"error": {"code": "first"}})
    draft.fail({"error": "second"})
    assert draft.error_code == "first"


def test_so_many_calls_of_a_reply_are_told_apart() -> None:
    draft = Draft()
    for number in range(MOST_CALLS + 1):
        draft.add_tool_call("a", f"call_{number}")
    assert (len(draft.tool_calls), draft.tool_call_count) == (MOST_CALLS, MOST_CALLS + 1)
