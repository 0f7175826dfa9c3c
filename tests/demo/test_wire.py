"""The fake provider's wire forms, held to the meter that reads the real ones."""

import json

import pytest

from proxy.demo import wire
from proxy.demo.answers import Answer
from proxy.domain.meter import StreamEnd
from proxy.domain.usage import UsageSource
from proxy.providers.codecs import decoder_for

HEAD = wire.Head(token="ab" * 12, model="some-model", created=1_700_000_000)
WORDS = Answer(tokens=["Two", " words"], input_tokens=7, with_usage=True)
CUT = Answer(tokens=["Two"], input_tokens=7, with_usage=True, is_cut=True)
CALL = Answer(tokens=['{"order":', '"7"}'], input_tokens=7, tool_name="find_order", with_usage=True)
APIS = {
    "chat": (wire.chat, wire.chat_frames, {"words": "stop", "cut": "length", "call": "tool_calls"}),
    "responses": (
        wire.response,
        wire.response_frames,
        {"words": "completed", "cut": "incomplete", "call": "completed"},
    ),
    "messages": (wire.message, wire.message_frames, {"words": "end_turn", "cut": "max_tokens", "call": "tool_use"}),
}


def reading(api, content_type, body):
    decoder = decoder_for(api, content_type, 200)
    decoder.feed(body, 1)
    return decoder.finish()


@pytest.mark.parametrize(("kind", "answer"), [("words", WORDS), ("cut", CUT), ("call", CALL)])
@pytest.mark.parametrize("form", ["whole", "frames"])
@pytest.mark.parametrize("api", APIS)
def test_the_meter_reads_what_was_answered(api, form, kind, answer):
    whole, frames, finishes = APIS[api]
    if form == "whole":
        found = reading(api, "application/json", json.dumps(whole(HEAD, answer)).encode())
    else:
        found = reading(api, "text/event-stream", b"".join(data for _, data in frames(HEAD, answer)))
    assert (found.usage.input_tokens, found.usage.output_tokens) == (7, answer.output_tokens)
    assert (found.usage_source, found.stream_end) == (UsageSource.PROVIDER, StreamEnd.COMPLETE)
    assert (found.model, found.malformed_events) == ("some-model", 0)
    assert found.tool_names == ((answer.tool_name,) if answer.tool_name else ())
    assert found.finish_reason == finishes[kind]


@pytest.mark.parametrize("form", ["whole", "frames"])
def test_the_meter_reads_a_completion(form):
    if form == "whole":
        found = reading("completions", "application/json", json.dumps(wire.completion(HEAD, WORDS)).encode())
    else:
        stream = b"".join(data for _, data in wire.completion_frames(HEAD, WORDS))
        found = reading("completions", "text/event-stream", stream)
    assert (found.output_text, found.usage.output_tokens) == ("Two words", 2)


def test_thinking_comes_first_and_then_one_token_a_frame():
    for _, frames, _ in APIS.values():
        pauses = [tokens for tokens, _ in frames(HEAD, WORDS) if tokens]
        assert pauses == [wire.FIRST_TOKEN_COST, 1, 1]


def test_without_usage_no_chunk_names_it():
    answer = Answer(tokens=["Two"], input_tokens=7)
    assert all(b"usage" not in data for _, data in wire.chat_frames(HEAD, answer))
    assert all(b"usage" not in data for _, data in wire.completion_frames(HEAD, answer))
