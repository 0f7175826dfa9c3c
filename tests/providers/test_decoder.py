"""Framing, ends and limits of replies; and that no body whatever makes a decoder raise."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.domain.meter import Decoder, Reading, StreamEnd
from proxy.domain.usage import UsageSource
from proxy.providers.codecs import CODECS, decoder_for
from proxy.providers.decoder import DOCUMENT_BYTES, ReplyDecoder, salvage
from proxy.providers.draft import TOOL_NAMES_LIMIT, TRACKED_LIMIT, Draft
from proxy.providers.sse import Event, SseFramer
from tests.golden.make_wire import SAMPLES
from tests.golden.wire_forms import DONE, Sample, chunk, completion, data, extra_chunk, says, tool, usage

SSE = "text/event-stream"
JSON = "application/json"


def reading_of(body: bytes, api: str = "chat", content_type: str = SSE, *, broken: bool = False) -> Reading:
    decoder = decoder_for(api, content_type, 200)
    for start in range(0, len(body), 65536):
        decoder.feed(body[start : start + 65536], start)
    return decoder.finish(broken=broken)


FINISHED = data(says("x"), chunk(finish="stop"))


@pytest.mark.parametrize(
    ("body", "content_type", "end"),
    [
        (FINISHED + DONE, SSE, StreamEnd.COMPLETE),
        (FINISHED, SSE, StreamEnd.COMPLETE),
        (data(says("x")) + DONE, SSE, StreamEnd.TRUNCATED),
        (b"", SSE, StreamEnd.TRUNCATED),
        (completion({"content": "x"}), JSON, StreamEnd.COMPLETE),
        (completion({"content": "x"})[:-1], JSON, StreamEnd.TRUNCATED),
        (b"", JSON, StreamEnd.TRUNCATED),
    ],
)
def test_a_broken_transport_leaves_whole_only_what_had_its_mark(body: bytes, content_type: str, end: StreamEnd) -> None:
    assert reading_of(body, content_type=content_type, broken=True).stream_end is end


def test_a_document_has_no_first_token() -> None:
    assert reading_of(completion({"content": "x"}), content_type=JSON).first_token_ns is None


@pytest.mark.parametrize("content_type", [SSE, JSON, ""])
def test_the_first_byte_tells_the_framing(content_type: str) -> None:
    body = completion({"content": "x"}, usage=usage(3, 1))
    assert reading_of(b"\r\n " + body, content_type=content_type).usage.input_tokens == 3
    stream = FINISHED + data(extra_chunk(usage(3, 1)))
    assert reading_of(b"\n" + stream, content_type=content_type).usage.input_tokens == 3


def test_a_byte_order_mark_before_a_document() -> None:
    assert reading_of(b"\xef\xbb\xbf" + completion({"content": "x"}), content_type=JSON).answer_head == "x"


# Longer than what is held


def test_usage_at_the_end_of_an_oversize_document_is_found() -> None:
    vectors = [[0.125] * 1000] * 900
    body = orjson.dumps({"data": vectors, "model": "e", "usage": {"prompt_tokens": 8, "total_tokens": 8}})
    assert len(body) > DOCUMENT_BYTES
    reading = reading_of(body, "embeddings", JSON)
    assert (reading.usage.input_tokens, reading.usage.output_tokens) == (8, 0)
    assert (reading.stream_end, reading.malformed_events) == (StreamEnd.COMPLETE, 1)
    assert reading_of(body[:-9], "embeddings", JSON, broken=True).stream_end is StreamEnd.TRUNCATED


def test_an_oversize_terminal_event_still_ends_the_response() -> None:
    response: dict[str, Any] = {
        "status": "completed",
        "output": [{"type": "image_generation_call", "result": "A" * 3_000_000}],
        "usage": {"input_tokens": 4, "output_tokens": 6, "total_tokens": 10},
        "metadata": {"usage": "none"},
    }
    payload = orjson.dumps({"type": "response.completed", "response": response})
    body = b"event: response.completed\ndata: " + payload + b"\n\n"
    reading = reading_of(body, "responses")
    assert (reading.usage.input_tokens, reading.usage.output_tokens) == (4, 6)
    assert (reading.stream_end, reading.finish_reason) == (StreamEnd.COMPLETE, "completed")
    assert reading.malformed_events == 1


def test_an_oversize_chunk_is_left_out_and_the_rest_is_read() -> None:
    body = data(says("a"), says("y" * 2_000_000), chunk(finish="stop"), extra_chunk(usage(9, 9))) + DONE
    reading = reading_of(body)
    assert (reading.usage.output_tokens, reading.stream_end) == (9, StreamEnd.COMPLETE)
    assert (reading.output_text, reading.malformed_events) == ("a", 1)


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        (b'1],"usage":{"a":1}}', {"usage": {"a": 1}}),
        (b'"usage": null , "model":"m"}\n', {"usage": None, "model": "m"}),
        (b'x"}],"usage":{"a":1}}}', {"response": {"usage": {"a": 1}}}),
        (b'{"usage":{"a":1}}},"usage":{"b":2}}', {"usage": {"b": 2}}),
        (b'\\"usage\\":1","usage":{"b":2}}', {"usage": {"b": 2}}),
        (b'"usage":{"a":1}', None),
        (b'"usage":{"a":1}}}}}', None),
        (b'"usage"' * 50, None),
        (b"", None),
    ],
)
def test_salvage_is_exact_or_nothing(tail: bytes, expected: dict[str, Any] | None) -> None:
    assert salvage(tail) == expected


def test_a_flood_of_calls_and_choices_stays_bounded() -> None:
    calls = [tool(number, f"t{number}" + "n" * 300, "{}", f"id{number}") for number in range(TRACKED_LIMIT + 50)]
    choices = [chunk({"content": "c"}, "stop", index=number) for number in range(TRACKED_LIMIT + 50)]
    reading = reading_of(data(*calls, *choices) + DONE)
    assert reading.tool_call_count == TRACKED_LIMIT
    assert len(reading.tool_names) == TOOL_NAMES_LIMIT
    assert max(map(len, reading.tool_names)) == 200
    assert reading.finish_reason == "stop"


# Anything at all

ODD_VALUES: list[Any] = [None, -1, 2**63, 0.5, True, "", "odd", [], [[]], [None, "x", {}], {}, {"type": ["x"]}]


def with_odd_values(body: Any) -> Iterator[Any]:
    """The same JSON with one value after the other replaced by each odd one."""
    if isinstance(body, dict | list):
        for key, value in body.items() if isinstance(body, dict) else enumerate(body):
            for changed in with_odd_values(value):
                copy: Any = body.copy()
                copy[key] = changed
                yield copy
    yield from ODD_VALUES


def json_of(sample: Sample) -> list[tuple[bytes, Any]]:
    """Event names and bodies of a recorded reply, or its one document."""
    events = SseFramer().feed(sample.body) if sample.is_stream else [Event(b"", sample.body)]
    return [(event.name, orjson.loads(event.data)) for event in events if is_json(event.data)]


def is_json(body: bytes) -> bool:
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return True


@pytest.mark.parametrize("api", sorted(CODECS))
def test_no_value_in_the_wrong_place_makes_a_codec_raise(api: str) -> None:
    bodies = {orjson.dumps(pair[1]): pair for sample in SAMPLES if sample.api == api for pair in json_of(sample)}
    mutants = ((name, orjson.dumps(odd)) for name, body in bodies.values() for odd in with_odd_values(body))
    for name, mutant in mutants:
        for reading in (
            fed(decoder_for(api, SSE, 200), b"event: %b\ndata: %b\n\n" % (name, mutant)).finish(),
            fed(decoder_for(api, JSON, 200), mutant).finish(),
        ):
            check(reading)
            assert reading.malformed_events == (not mutant.startswith((b"{", b"[{"))), mutant


@given(
    st.sampled_from(sorted(CODECS)), st.binary(max_size=200), st.sampled_from([SSE, JSON, ""]), st.integers(100, 599)
)
def test_no_bytes_make_a_decoder_raise(api: str, body: bytes, content_type: str, status: int) -> None:
    reading = fed(decoder_for(api, content_type, status), body).finish()
    check(reading)
    assert (reading.stream_end is StreamEnd.ERROR) >= (not 200 <= status < 300)


def fed(decoder: Decoder, body: bytes) -> Decoder:
    decoder.feed(body, 1)
    return decoder


def check(reading: Reading) -> None:
    counts = [reading.usage.input_tokens, reading.usage.output_tokens, reading.usage.cached_input_tokens]
    assert all(count is None or count >= 0 for count in counts)
    assert (reading.usage_source is UsageSource.NONE) == (
        counts[:2] == [None, None] and not reading.usage.audio_seconds
    )
    assert reading.error_code is None or 0 < len(reading.error_code) <= 100


class Faulty:
    """A codec with a mistake in it."""

    def on_event(self, _name: str, _body: dict[str, Any]) -> None:
        raise KeyError("on_event")

    def on_document(self, _body: dict[str, Any]) -> None:
        raise KeyError("on_document")

    def conclude(self) -> None:
        raise KeyError("conclude")


@pytest.mark.parametrize("body", [b'data: {"a":1}\n\n', b'{"a":1}'])
def test_a_mistake_in_a_codec_costs_the_numbers_alone(body: bytes) -> None:
    decoder = ReplyDecoder(Faulty(), Draft(), is_success=True, is_declared_sse=False)
    reading = fed(decoder, body).finish()
    assert (reading.malformed_events, reading.stream_end) == (2, StreamEnd.TRUNCATED)
