"""Which kind of output a reading is, and in which order the kinds are told apart."""

from dataclasses import replace

import pytest

from proxy.domain.meter import OutputCategory, Reading, StreamEnd, output_category

ANSWER = Reading(
    finish_reason="stop", stream_end=StreamEnd.COMPLETE, output_text="It is.", output_chars=6, answer_head="It is."
)


@pytest.mark.parametrize(
    ("changes", "category"),
    [
        ({}, OutputCategory.ANSWER),
        ({"has_citation": True}, OutputCategory.ANSWER_WITH_CITATION),
        ({"answer_head": '{"a": [1]}'}, OutputCategory.JSON),
        ({"answer_head": "[1, 2"}, OutputCategory.ANSWER),
        ({"answer_head": "{braces} are no JSON"}, OutputCategory.ANSWER),
        ({"answer_head": "\n```rust\nfn main() {}"}, OutputCategory.CODE),
        ({"answer_head": "use `x` in ```code```"}, OutputCategory.ANSWER),
        ({"answer_head": " \n"}, OutputCategory.EMPTY),
        ({"answer_head": "", "output_chars": 900}, OutputCategory.EMPTY),
        ({"answer_head": "", "has_media": True}, OutputCategory.ANSWER),
        ({"tool_call_count": 1}, OutputCategory.TOOL_CALL),
        ({"finish_reason": "length"}, OutputCategory.TRUNCATED),
        ({"finish_reason": "max_tokens", "answer_head": "", "output_chars": 0}, OutputCategory.TRUNCATED),
        ({"finish_reason": "incomplete", "incomplete_reason": "max_output_tokens"}, OutputCategory.TRUNCATED),
        ({"finish_reason": "MAX_TOKENS"}, OutputCategory.TRUNCATED),
        ({"finish_reason": "model_context_window_exceeded"}, OutputCategory.TRUNCATED),
        ({"stream_end": StreamEnd.TRUNCATED}, OutputCategory.TRUNCATED),
        ({"stream_end": StreamEnd.ERROR}, OutputCategory.TRUNCATED),
        ({"stream_end": StreamEnd.ERROR, "answer_head": "", "output_chars": 0}, OutputCategory.EMPTY),
        ({"stream_end": StreamEnd.PENDING, "answer_head": "", "output_chars": 0}, OutputCategory.EMPTY),
        ({"has_refusal": True}, OutputCategory.REFUSAL),
        ({"finish_reason": "content_filter"}, OutputCategory.BLOCKED),
        ({"finish_reason": "incomplete", "incomplete_reason": "content_filter"}, OutputCategory.BLOCKED),
        ({"finish_reason": "PROHIBITED_CONTENT", "answer_head": "", "output_chars": 0}, OutputCategory.BLOCKED),
        ({"error_code": "content_filter", "answer_head": "", "output_chars": 0}, OutputCategory.BLOCKED),
    ],
)
def test_each_kind(changes: dict[str, object], category: OutputCategory) -> None:
    assert output_category(replace(ANSWER, **changes), wants_json=False) is category  # type: ignore[arg-type]


def test_json_that_was_asked_for_need_not_be_short() -> None:
    long_json = replace(ANSWER, answer_head='{"a": "' + "x" * 200)
    assert output_category(long_json, wants_json=True) is OutputCategory.JSON
    assert output_category(long_json, wants_json=False) is OutputCategory.ANSWER
    assert output_category(ANSWER, wants_json=True) is OutputCategory.ANSWER


IN_ORDER: list[tuple[OutputCategory, dict[str, object]]] = [
    (OutputCategory.BLOCKED, {"incomplete_reason": "content_filter"}),
    (OutputCategory.REFUSAL, {"has_refusal": True}),
    (OutputCategory.TRUNCATED, {"finish_reason": "length"}),
    (OutputCategory.TOOL_CALL, {"tool_call_count": 2}),
    (OutputCategory.JSON, {"answer_head": "{}"}),
    (OutputCategory.ANSWER_WITH_CITATION, {"has_citation": True}),
    (OutputCategory.ANSWER, {}),
]


def test_the_first_that_applies_wins() -> None:
    reading = ANSWER
    for category, changes in reversed(IN_ORDER):
        reading = replace(reading, **changes)  # type: ignore[arg-type]
        assert output_category(reading, wants_json=False) is category


def test_text_is_kept_out_of_what_is_printed() -> None:
    assert "It is." not in repr(ANSWER)
