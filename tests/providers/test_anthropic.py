"""How the usage objects of one message become one usage, and events that no recorded reply shows."""

from typing import Any

import pytest

from proxy.providers.anthropic import MessagesCodec, UsageTally
from proxy.providers.draft import Draft
from tests.golden.wire_forms import block, block_delta


def total(start: dict[str, Any], *deltas: dict[str, Any]) -> tuple[int | None, ...]:
    tally = UsageTally()
    tally.take(start, is_start=True)
    for delta in deltas:
        tally.take(delta)
    usage = tally.total()
    return (
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_input_tokens,
        usage.cache_creation_input_tokens,
        usage.reasoning_tokens,
    )


@pytest.mark.parametrize(
    ("start", "deltas", "expected"),
    [
        ({"input_tokens": 5, "output_tokens": 1}, [], (5, None, 0, 0, None)),
        ({"input_tokens": 5}, [{"output_tokens": 0}], (5, 0, 0, 0, 0)),
        ({"input_tokens": 5}, [{"output_tokens": 7}, {}], (5, 7, 0, 0, 0)),
        ({"input_tokens": 5}, [{"output_tokens": 7}, {"output_tokens": None}], (5, 7, 0, 0, 0)),
        ({"input_tokens": 5}, [{"output_tokens": 7}, {"output_tokens": -1}], (5, None, 0, 0, None)),
        ({"input_tokens": 5}, [{"input_tokens": 9, "output_tokens": 1}], (9, 1, 0, 0, 0)),
        ({"input_tokens": 0}, [{"input_tokens": 0, "output_tokens": 1}], (0, 1, 0, 0, 0)),
        ({"input_tokens": 5, "cache_read_input_tokens": -1}, [], (None, None, None, 0, None)),
        ({"cache_read_input_tokens": 9}, [], (None, None, None, None, None)),
        ({"input_tokens": 1, "cache_creation": {"ephemeral_1h_input_tokens": 8}}, [], (9, None, 0, 8, None)),
        ({}, [], (None, None, None, None, None)),
    ],
)
def test_usage_is_merged(start: dict[str, Any], deltas: list[dict[str, Any]], expected: tuple[int | None, ...]) -> None:
    assert total(start, *deltas) == expected


@pytest.mark.parametrize(
    ("writes", "split"),
    [
        ({"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 7}, (3, 7)),
        ({"ephemeral_5m_input_tokens": 10}, (10, 0)),
        ({"ephemeral_5m_input_tokens": 3}, (None, None)),
        ({"ephemeral_5m_input_tokens": -3, "ephemeral_1h_input_tokens": 13}, (None, None)),
        ({}, (None, None)),
    ],
)
def test_lifetimes_stand_only_where_they_add_up(writes: dict[str, Any], split: tuple[int | None, int | None]) -> None:
    tally = UsageTally()
    tally.take({"input_tokens": 1, "cache_creation_input_tokens": 10, "cache_creation": writes})
    usage = tally.total()
    assert (usage.cache_creation_5m_tokens, usage.cache_creation_1h_tokens) == split


def test_searches_are_not_taken_back_by_a_zero() -> None:
    tally = UsageTally()
    for number in (2, 0, None, "9"):
        tally.take({"server_tool_use": {"web_search_requests": number}})
    assert tally.total().web_search_calls == 2


def drafted(*events: dict[str, Any]) -> Draft:
    draft = Draft()
    codec = MessagesCodec(draft)
    for at_ns, event in enumerate(events):
        draft.at_ns = at_ns
        codec.on_event("", event)
    codec.conclude()
    return draft


def test_an_event_is_told_by_its_name_where_it_has_no_type() -> None:
    draft = Draft()
    MessagesCodec(draft).on_event("message_stop", {})
    assert draft.is_terminal


def test_text_in_a_block_start_is_output() -> None:
    assert drafted(block(0, "text", text="at once")).answer_head == "at once"


def test_signatures_pings_and_new_deltas_are_no_output() -> None:
    draft = drafted(
        {"type": "ping"},
        block(0, "thinking", thinking=""),
        block_delta(0, "signature_delta", signature="abc"),
        block_delta(0, "new_delta", text="?"),
    )
    assert (draft.first_token_ns, draft.output_chars) == (None, 0)


def test_one_block_is_one_call_however_often_it_starts() -> None:
    start = block(0, "tool_use", id="t", name="find", input={})
    assert drafted(start, start, block(1, "tool_use", name="find")).tool_call_count == 2


def test_a_call_has_its_id_and_a_digest_of_its_input_streamed_or_whole() -> None:
    streamed = drafted(
        block(0, "text", text="Let me see."),
        block(1, "tool_use", id="toolu_1", name="find", input={}),
        block_delta(1, "input_json_delta", partial_json='{"x": '),
        block_delta(1, "input_json_delta", partial_json='"y"}'),
    )
    whole = Draft()
    MessagesCodec(whole).on_document(
        {"content": [{"type": "tool_use", "id": "toolu_1", "name": "find", "input": {"x": "y"}}]}
    )
    assert streamed.tool_calls == whole.tool_calls
    assert [(call.id, call.name) for call in streamed.tool_calls] == [("toolu_1", "find")]
