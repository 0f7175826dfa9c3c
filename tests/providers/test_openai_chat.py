"""Chat chunks that no recorded reply shows."""

from typing import Any

import pytest

from proxy.providers.draft import Draft
from proxy.providers.openai_chat import ChatCodec
from tests.golden.wire_forms import chunk, extra_chunk, says, tool, usage


def drafted(*chunks: dict[str, Any], saw_done: bool = False) -> Draft:
    draft = Draft()
    codec = ChatCodec(draft)
    for at_ns, each in enumerate(chunks):
        draft.at_ns = at_ns
        codec.on_event("", each)
    draft.saw_done = saw_done
    codec.conclude()
    return draft


@pytest.mark.parametrize(
    ("calls", "count", "names"),
    [
        ([tool(0, "a", call_id="1"), tool(0, None, "{}", "1")], 1, ["a"]),
        ([tool(0, "a", "{}"), tool(0, None, "x", "late id"), tool(0, "b", "", "2")], 2, ["a", "b"]),
        ([tool(0, None, "", "1"), tool(0, "a", "{}")], 1, ["a"]),
        ([tool(None, "a", "{}"), tool(None, "a", "{}")], 2, ["a"]),
        ([tool(None, "a", "{", "1"), tool(None, None, "}", "1")], 1, ["a"]),
        ([tool(None, None, "{}")], 0, []),
        ([tool(0, "a", "{}", "1"), tool(0, None, "", "2")], 1, ["a"]),
        ([tool(5, "a"), tool(2, "b")], 2, ["a", "b"]),
    ],
)
def test_tool_calls_are_told_apart(calls: list[dict[str, Any]], count: int, names: list[str]) -> None:
    draft = drafted(*calls)
    assert (draft.tool_call_count, list(draft.tool_names)) == (count, names)


def test_calls_of_two_choices_are_two_calls() -> None:
    call = {"tool_calls": [{"index": 0, "id": "1", "function": {"name": "a"}}]}
    assert drafted(chunk(call), chunk(call, index=1)).tool_call_count == 2


def test_a_piece_of_arguments_is_output_and_no_answer() -> None:
    draft = drafted(tool(0, "a", "", "1"), tool(0, None, '{"x":1}'))
    assert (draft.output_text, draft.answer_head, draft.first_token_ns) == ('a{"x":1}', "", 0)


@pytest.mark.parametrize(
    ("chunks", "saw_done", "finish", "is_terminal"),
    [
        ([says("a"), chunk(finish="stop")], False, "stop", True),
        ([says("a"), chunk(finish="")], True, None, False),
        ([chunk(finish="stop"), chunk(finish=None)], False, "stop", True),
        ([chunk(finish="length"), chunk(finish="stop")], False, "stop", True),
        ([says("a"), says("b", index=1), chunk(finish="stop", index=1)], False, "stop", False),
        ([says("a"), says("b", index=1), chunk(finish="stop", index=1)], True, "stop", True),
        ([extra_chunk(usage(1, 1))], True, None, False),
        ([], True, None, False),
    ],
)
def test_a_reply_is_whole_when_its_choices_are(
    chunks: list[dict[str, Any]], saw_done: bool, finish: str | None, is_terminal: bool
) -> None:
    draft = drafted(*chunks, saw_done=saw_done)
    assert (draft.finish_reason, draft.is_terminal) == (finish, is_terminal)


def test_images_in_a_message_are_media() -> None:
    draft = drafted(chunk({"images": [{"type": "image_url"}]}))
    assert (draft.has_media, draft.first_token_ns, draft.output_chars) == (True, 0, 0)


def test_top_level_usage_wins_wherever_it_stands() -> None:
    first = drafted(
        extra_chunk(usage(9, 9)), says("a", x_groq={"usage": usage(1, 1)}), says("b", timings={"prompt_n": 3})
    )
    assert first.usage.input_tokens == 9


def test_a_call_has_its_id_and_a_digest_of_its_arguments_however_they_came() -> None:
    pieces = drafted(tool(0, "a", "", "call_1"), tool(0, None, '{"x":'), tool(1, "b", "{}"), tool(0, None, "1}"))
    first, second = pieces.tool_calls
    (whole,) = drafted(tool(0, "a", '{"x": 1}', "call_9")).tool_calls
    assert [(call.id, call.name) for call in (first, second)] == [("call_1", "a"), ("", "b")]
    assert first.arguments == whole.arguments != second.arguments


def test_an_id_that_comes_late_is_the_calls() -> None:
    assert [call.id for call in drafted(tool(0, "a"), tool(0, None, "{}", "late")).tool_calls] == ["late"]
