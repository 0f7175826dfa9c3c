"""Response events that no recorded reply shows."""

from typing import Any

import pytest

from proxy.providers.draft import Draft
from proxy.providers.openai_responses import ResponsesCodec
from tests.golden.wire_forms import answer_item, closes, created, item_added, response, response_usage, text_delta


def drafted(*events: dict[str, Any]) -> Draft:
    draft = Draft()
    codec = ResponsesCodec(draft)
    for at_ns, event in enumerate(events):
        draft.at_ns = at_ns
        codec.on_event("", event)
    codec.conclude()
    return draft


@pytest.mark.parametrize(
    ("kind", "delta", "answer", "has_media"),
    [
        ("response.output_text.delta", "hi", "hi", False),
        ("response.audio.transcript.delta", "hi", "hi", False),
        ("response.audio.delta", "UklGRg==", "", True),
        ("response.reasoning_text.delta", "hm", "", False),
        ("response.mcp_call_arguments.delta", "{}", "", False),
        ("response.some_new_thing.delta", "new", "", False),
    ],
)
def test_every_delta_is_output(kind: str, delta: str, answer: str, has_media: bool) -> None:
    draft = drafted(created(), {"type": kind, "delta": delta})
    assert (draft.first_token_ns, draft.answer_head, draft.has_media) == (1, answer, has_media)
    assert draft.output_chars == (0 if has_media else len(delta))


@pytest.mark.parametrize("delta", ["", None, {"a": 1}])
def test_an_empty_delta_is_none(delta: object) -> None:
    assert drafted({"type": "response.output_text.delta", "delta": delta}).first_token_ns is None


def test_unknown_events_say_nothing() -> None:
    draft = drafted({"type": "response.steered", "x": 1}, {"type": "keepalive"}, {})
    assert (draft.first_token_ns, draft.is_terminal, draft.finish_reason) == (None, False, None)


def test_the_terminal_response_is_the_answer_where_nothing_was_streamed() -> None:
    draft = drafted(created(), closes("completed", output=[answer_item("All at once")]))
    assert (draft.answer_head, draft.first_token_ns, draft.is_terminal) == ("All at once", 1, True)


def test_client_tools_without_a_name_are_called_by_their_kind() -> None:
    draft = drafted(item_added(0, {"type": "computer_call"}), item_added(1, {"type": "local_shell_call"}))
    assert list(draft.tool_names) == ["computer", "local_shell"]


def test_a_document_without_a_status_is_whole() -> None:
    draft = Draft()
    body = response("x", usage=response_usage(2, 1))
    del body["status"]
    ResponsesCodec(draft).on_document(body)
    assert (draft.is_terminal, draft.finish_reason, draft.usage.input_tokens) == (True, None, 2)


@pytest.mark.parametrize("stated", [0, 3])
def test_a_stated_number_of_searches_stands(stated: int) -> None:
    searches = [{"type": "web_search_call", "action": {"type": "search"}}]
    usage = response_usage(2, 1)
    tools = {"web_search": {"num_requests": stated}}
    draft = drafted(closes("completed", output=searches, usage=usage, tool_usage=tools))
    assert draft.usage.web_search_calls == stated


def test_a_cancelled_stream_is_not_whole() -> None:
    draft = drafted(text_delta("a"), closes("cancelled"))
    assert (draft.is_terminal, draft.is_pending, draft.finish_reason) == (False, False, "cancelled")


def test_a_call_has_its_id_and_a_digest_of_its_arguments_streamed_or_whole() -> None:
    item = {"type": "function_call", "call_id": "call_1", "name": "find", "arguments": '{"x":1}'}
    delta = {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": '{"x":1}'}
    streamed = drafted(item_added(0, {**item, "arguments": ""}), delta, closes("completed", output=[item]))
    whole = Draft()
    ResponsesCodec(whole).on_document(response("completed", output=[item]))
    assert streamed.tool_calls == whole.tool_calls
    assert [(call.id, call.name) for call in streamed.tool_calls] == [("call_1", "find")]
