"""The injection asks for usage and changes nothing else; the stripper undoes in the reply exactly what it caused."""

import json
import re
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.domain.json_members import spliced, top_level_members
from proxy.providers.include_usage import HOLD_BYTES, UsageStripper, injection, strip_event
from tests.harness.wire import Sample, corpus

SET = {"stream_options": {"include_usage": True}}


def injected(body: bytes) -> bytes:
    return spliced(body, injection(body, lambda: top_level_members(body), orjson.loads(body)))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'{"model":"m"}', b'{"model":"m","stream_options":{"include_usage":true}}'),
        (b' { "a" : [1, {}] \n} \n', b' { "a" : [1, {}],"stream_options":{"include_usage":true} \n} \n'),
        (b"{}", b'{"stream_options":{"include_usage":true}}'),
        (b"{ }", b'{ "stream_options":{"include_usage":true}}'),
        (b'{"stream_options":null,"z":1}', b'{"stream_options":{"include_usage":true},"z":1}'),
        (b'{"stream_options": {} }', b'{"stream_options": {"include_usage":true} }'),
        (
            b'{"stream_options":{"include_obfuscation": false },"z":1}',
            b'{"stream_options":{"include_obfuscation": false,"include_usage":true },"z":1}',
        ),
        (b'{"stream_options":{"include_usage": false}}', b'{"stream_options":{"include_usage": true}}'),
        (b'{"stream_options":{"include_usage":null,"x":1}}', b'{"stream_options":{"include_usage":true,"x":1}}'),
        (b'{"stream_\\u006fptions":{}}', b'{"stream_\\u006fptions":{"include_usage":true}}'),
        (b'{"s":"}\\"","t":"\\\\"}', b'{"s":"}\\"","t":"\\\\","stream_options":{"include_usage":true}}'),
    ],
)
def test_the_option_is_put_where_it_belongs(before: bytes, after: bytes) -> None:
    assert injected(before) == after


@pytest.mark.parametrize(
    "body",
    [b'{"stream_options":{"include_usage":true}}', b'{"stream_options":[1]}', b'{"stream_options":"x"}'],
)
def test_a_body_that_needs_or_takes_no_option_stays_as_it_is(body: bytes) -> None:
    assert injection(body, lambda: top_level_members(body), orjson.loads(body)) == []


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-10, 10) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=12,
)
OPTIONS = st.none() | st.dictionaries(
    st.sampled_from(["include_usage", "include_obfuscation"]), st.none() | st.booleans()
)


@given(st.dictionaries(st.text(max_size=6), JSON_VALUES, max_size=5), OPTIONS, st.booleans(), st.booleans())
def test_the_injected_body_says_the_same_and_asks(
    members: dict[str, Any], options: dict[str, Any] | None, has_options: bool, ascii_only: bool
) -> None:
    request = {**members, **({"stream_options": options} if has_options else {})}
    body = json.dumps(request, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return
    after = orjson.loads(injected(body))
    assert after.pop("stream_options") == {**(parsed.pop("stream_options", None) or {}), "include_usage": True}
    assert after == parsed


# The reply. Streams are made twice, with and without the effects of the injection, in the same style.


class Style:
    """How one server writes its events."""

    def __init__(self, compact: bool, end: str, prefix: str, usage_at: int) -> None:
        self.separators = (",", ":") if compact else (", ", ": ")
        self.end, self.prefix, self.usage_at = end, prefix, usage_at

    def event(self, members: list[tuple[str, Any]]) -> bytes:
        parts = [f"{json.dumps(name)}{self.separators[1]}{self._dump(value)}" for name, value in members]
        payload = "{" + self.separators[0].join(parts) + "}"
        return f"{self.prefix}{payload}{self.end}{self.end}".encode()

    def _dump(self, value: Any) -> str:
        return json.dumps(value, separators=self.separators, ensure_ascii=False)

    def with_null(self, members: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
        position = self.usage_at % (len(members) + 1)
        return [*members[:position], ("usage", None), *members[position:]]


STYLES = st.builds(
    Style, st.booleans(), st.sampled_from(["\n", "\r\n", "\r"]), st.sampled_from(["data: ", "data:"]), st.integers(0, 9)
)
TRICKY = st.sampled_from(
    ['"usage":null', ',"usage":null}', '\\"usage\\"', "\n\n", "data: x", "{", "]}", "ü\u2028", "\\", "usage"]
)
TEXTS = (
    st.lists(TRICKY | st.text(max_size=6), max_size=4)
    .map("".join)
    .filter(lambda text: max(text, default="") < "\ud800")
)
NESTED = st.sampled_from([{}, {"usage": None}, {"x": [{"usage": {"a": 1}}, {"usage": None}]}])
CHUNKS = st.builds(
    lambda text, nested, more: [
        ("id", "c1"),
        ("choices", [{"index": 0, "delta": {"content": text}, "x": nested}]),
        *([("obfuscation", text)] if more else []),
        *([("x_groq", nested)] if more else []),
    ],
    TEXTS,
    NESTED,
    st.booleans(),
)
ASIDES = st.sampled_from(
    [b"", b": comment\n\n", b'data: {"choices":[],"prompt_filter_results":[]}\n\n', b"retry: 1\n\n"]
)


@st.composite
def pairs_of_streams(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """(as it comes after the injection, as the client would have seen it)."""
    style = draw(STYLES)
    given_stream, wanted = bytearray(), bytearray()
    for members in draw(st.lists(CHUNKS, max_size=4)):
        aside = draw(ASIDES)
        given_stream += aside + style.event(style.with_null(members))
        wanted += aside + style.event(members)
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "details": {"usage": None}}
    extra = [("id", "c1"), ("choices", [])]
    position = style.usage_at % 3
    given_stream += style.event([*extra[:position], ("usage", usage), *extra[position:]])
    done = f"{style.prefix}[DONE]{style.end}{style.end}".encode()
    return bytes(given_stream + done), bytes(wanted + done)


def stripped(pieces: list[bytes]) -> bytes:
    stripper = UsageStripper()
    return b"".join([*(stripper.feed(piece) for piece in pieces), stripper.flush()])


@given(pairs_of_streams(), st.data())
def test_stripping_gives_the_stream_that_nobody_asked_usage_of(
    streams: tuple[bytes, bytes], data: st.DataObject
) -> None:
    asked, unasked = streams
    cuts = sorted(data.draw(st.lists(st.integers(0, len(asked)), max_size=6)))
    edges = [0, *cuts, len(asked)]
    assert stripped([asked[start:end] for start, end in pairwise(edges)]) == unasked


@given(pairs_of_streams())
def test_stripping_is_the_same_byte_by_byte(streams: tuple[bytes, bytes]) -> None:
    asked, unasked = streams
    assert stripped([asked[i : i + 1] for i in range(len(asked))]) == unasked
    assert stripped([unasked]) == unasked, "what nobody asked for is not touched"


EFFECTS = re.compile(rb'"usage":\s*null|"choices":\s*\[\]')
CHAT_STREAMS = [
    sample
    for sample in corpus().values()
    if sample.is_stream and sample.api in {"chat", "azure", "completions"} and b"choices" in sample.body
]


@pytest.mark.parametrize("sample", [pytest.param(sample, id=sample.name) for sample in CHAT_STREAMS])
def test_recorded_streams_lose_nothing_but_the_injection(sample: Sample) -> None:
    result = stripped([sample.body])
    dice = range(0, len(sample.body), max(1, len(sample.body) // 150))
    assert all(stripped([sample.body[:offset], sample.body[offset:]]) == result for offset in dice)
    assert (result == sample.body) == (EFFECTS.search(sample.body) is None)
    assert result.count(b"[DONE]") == sample.body.count(b"[DONE]")


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"choices":[{"delta":{}}],"usage":{"prompt_tokens":1}}\n\n',
        b'data: {"choices":[],"usage":{}, "usage":null}\n\n',
        b'data: {"a":1,"usage":null,"usage":{"x":1}}\n\n',
        b'data: {"usage":{"prompt_tokens":1}}\n\n',
        b'data: {"choices":[],"usage":[]}\n\n',
        b'data: {"choices":[{"usage":null}]}\n\n',
        b'data: {"a":{"choices":[],"usage":{"x":1}}}\n\n',
        b'data: {"a":{"b":1,"usage":null}}\n\n',
        b'data: {"t":",\\"usage\\":null"}\n\n',
        b'data: {broken,"b":1,"usage":{"c":null}\n\n',
        b'event: usage\n: "usage"\ndata: {"choices":[]}\n\n',
        b'data: ["usage"]\n\n',
    ],
)
def test_what_only_looks_like_it_is_left_alone(event: bytes) -> None:
    assert strip_event(event) == event
    assert stripped([event]) == event


@pytest.mark.parametrize(
    ("event", "left"),
    [
        (b'data: {"usage":null}\n\n', b"data: {}\n\n"),
        (b'data: {"usage": null, "a": 1}\r\n\r\n', b'data: {"a": 1}\r\n\r\n'),
        (b'data: {"a":1 , "usage" : null }\n\n', b'data: {"a":1 }\n\n'),
        (b'\xef\xbb\xbfdata: {"a":1,"usage":null}\n\n', b'\xef\xbb\xbfdata: {"a":1}\n\n'),
        (b'event: x\nid: 1\ndata: {"a":1,"usage":null}\n\n', b'event: x\nid: 1\ndata: {"a":1}\n\n'),
        (b'data: {"a":1,\ndata:  "usage":null,\ndata:  "b":2}\n\n', b'data: {"a":1,\ndata:  "b":2}\n\n'),
        (b'data: {"choices": [ ],\ndata: "usage":{"x":1}}\n\n', b""),
        (b': kept\ndata: {"choices":[],"usage":{"x":1}}\nid: 7\n\n', b": kept\n\n"),
        (b'data: {"choices":[],"usage":{"x":1}}', b""),
        (b'data: {"a":1,"usage":null}', b'data: {"a":1}'),
    ],
)
def test_single_events(event: bytes, left: bytes) -> None:
    assert stripped([event]) == left
    assert stripped([event[i : i + 1] for i in range(len(event))]) == left


def test_an_event_without_usage_leaves_with_its_last_byte() -> None:
    stripper = UsageStripper()
    assert stripper.feed(b"data: a\n\n") == b"data: a\n\n"
    assert stripper.feed(b"data: b\n\ndata: c") == b"data: b\n\n"
    assert stripper.feed(b"\r\n\r") == b"data: c\r\n\r"
    assert stripper.feed(b"\ndata: d\n\n") == b"\ndata: d\n\n"
    assert stripper.flush() == b""


def test_what_is_too_long_to_hold_is_passed_on_unedited() -> None:
    stripper = UsageStripper()
    long_event = b'data: {"choices":[],"usage":{"x":"' + b"y" * (HOLD_BYTES + 10) + b'"}}\n'
    assert stripper.feed(long_event[:HOLD_BYTES]) == b""
    assert stripper.feed(long_event[HOLD_BYTES:]) == long_event
    assert stripper.feed(b'\ndata: {"a":1,"usage":null}') == b"\n"
    assert stripper.feed(b"\n\n") == b'data: {"a":1}\n\n'


def test_a_line_feed_of_an_event_that_went_goes_with_it() -> None:
    stripper = UsageStripper()
    assert stripper.feed(b'data: {"choices":[],"usage":{"x":1}}\r\n\r') == b""
    assert stripper.feed(b"") == b""
    assert stripper.feed(b"\n") == b""
    assert stripper.feed(b"data: [DONE]\r\n\r\n") == b"data: [DONE]\r\n\r\n"
