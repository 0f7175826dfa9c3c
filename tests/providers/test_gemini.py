"""How one `usageMetadata` is read, and parts that no recorded reply shows."""

from typing import Any

import pytest

from proxy.providers.draft import Draft
from proxy.providers.gemini import GenerateContentCodec


def draft_of(*bodies: dict[str, Any]) -> Draft:
    draft = Draft()
    codec = GenerateContentCodec(draft)
    for body in bodies:
        codec.on_event("", body)
    codec.conclude()
    return draft


def says(*parts: dict[str, Any], **more: object) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": [*parts]}, **more}]}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"promptTokenCount": 5, "candidatesTokenCount": 2}, (5, 2, 0, 0)),
        ({"promptTokenCount": 5, "thoughtsTokenCount": 2}, (5, 2, 0, 2)),
        ({"promptTokenCount": 5, "candidatesTokenCount": 1, "thoughtsTokenCount": 2}, (5, 3, 0, 2)),
        ({"promptTokenCount": 5, "totalTokenCount": 5}, (5, 0, 0, 0)),
        ({"promptTokenCount": 5, "totalTokenCount": 9}, (5, 4, 0, 0)),
        ({"promptTokenCount": 5, "totalTokenCount": 4}, (5, None, 0, None)),
        ({"promptTokenCount": 5}, (5, None, 0, None)),
        ({"candidatesTokenCount": 2}, (None, 2, None, 0)),
        ({"promptTokenCount": 5, "toolUsePromptTokenCount": 70, "candidatesTokenCount": 0}, (75, 0, 0, 0)),
        ({"promptTokenCount": 5, "toolUsePromptTokenCount": -1}, (None, None, None, None)),
        ({"promptTokenCount": 5, "cachedContentTokenCount": 6, "candidatesTokenCount": 1}, (5, 1, None, 0)),
        ({"promptTokenCount": 5, "candidatesTokenCount": -1}, (5, None, 0, None)),
        ({"promptTokenCount": 5, "thoughtsTokenCount": "many", "candidatesTokenCount": 1}, (5, None, 0, None)),
        ({}, (None, None, None, None)),
    ],
)
def test_a_count_that_cannot_be_is_unknown(told: dict[str, Any], expected: tuple[int | None, ...]) -> None:
    usage = draft_of({"usageMetadata": told}).usage
    found = (usage.input_tokens, usage.output_tokens, usage.cached_input_tokens, usage.reasoning_tokens)
    assert found == expected


def test_the_usage_of_an_event_without_one_is_that_of_the_one_before() -> None:
    told = {"usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2}}
    assert draft_of(told, says({"text": "x"}), {"usageMetadata": None}).usage.output_tokens == 2


@pytest.mark.parametrize(("model", "searches"), [("gemini-2.5-pro", 1), ("gemini-3.1-pro", 3), (None, 3)])
def test_searches_are_counted_as_they_are_billed(model: str | None, searches: int) -> None:
    grounding = {"webSearchQueries": ["a", "b", "c"]}
    event = says({"text": "x"}, groundingMetadata=grounding) | {"modelVersion": model}
    assert draft_of(event, event).usage.web_search_calls == searches


def test_a_call_of_a_tool_has_its_arguments() -> None:
    call = {"functionCall": {"name": "find", "args": {"a": 1}, "id": "call_1"}, "thoughtSignature": "c2lnbmVk"}
    draft = draft_of(says(call, {"functionCall": {"name": "find"}}))
    assert (draft.tool_call_count, draft.tool_names) == (2, ("find",))
    given, without = draft.tool_calls
    assert (given.id, without.id) == ("call_1", "")
    assert given.arguments != without.arguments


def test_what_the_provider_runs_by_itself_is_no_call_of_a_tool() -> None:
    ran = {"executableCode": {"code": "print(1)", "language": "PYTHON"}}
    draft = draft_of(says(ran, {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}}))
    assert (draft.tool_call_count, draft.answer_chars, draft.output_chars) == (0, 0, 8)


def test_thoughts_are_no_answer() -> None:
    draft = draft_of(says({"text": "Hm", "thought": True}), says({"text": "Yes"}, finishReason="STOP"))
    assert (draft.answer_text, draft.output_chars, draft.finish_reason) == ("Yes", 5, "STOP")
