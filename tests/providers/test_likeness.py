"""Events that are alike are read as a parser would have read them, and no other is taken for one."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.domain.meter import Reading
from proxy.providers.codecs import decoder_for
from proxy.providers.likeness import Likeness
from proxy.providers.sse import Event
from tests.golden.wire_forms import DONE, chunk, data, extra_chunk, says, usage

KEY = b'"content":"'


def event(text: str, padding: str | None = None, *, head: str = '{"id":1,"delta":{', tail: str = "}}") -> Event:
    inner = json.dumps(text, ensure_ascii=False)
    pad = "" if padding is None else f',"obfuscation":{json.dumps(padding)}'
    return Event(b"", f'{head}"content":{inner}{pad}{tail}'.encode())


def learned(text: str, padding: str | None = None) -> Likeness:
    likeness = Likeness(KEY)
    likeness.learn(event(text, padding), text)
    return likeness


def test_nothing_is_recognised_before_something_was_learned() -> None:
    assert Likeness(KEY).text_of(event("Hello")) is None


@pytest.mark.parametrize("padding", [None, "aB3"])
@pytest.mark.parametrize("text", ["Hello", " there", "", "äöü ☃ 漢字", "{}[],:", "'"])
def test_another_text_between_the_same_bytes_is_told(text: str, padding: str | None) -> None:
    likeness = learned("first", padding)
    assert likeness.text_of(event(text, padding and padding * 3)) == text


@pytest.mark.parametrize("padding", [None, "aB3"])
@pytest.mark.parametrize(
    "other",
    [
        event('quoted "word"', "x"),
        event("back\\slash"),
        event("line\nend"),
        event("zero\u200bwidth"),
        event("x", 'pa"d'),
        event("x", "x", head='{"id":2,"delta":{'),
        event("x", "x", tail='},"usage":1}'),
        event("x", None, tail='},"usage":1}'),
        event("x")._replace(name=b"error"),
        event("x")._replace(is_cut=True),
        Event(b"", b'{"id":1,"delta":{"content":"x'),
        Event(b"", b'{"id":1,"delta":{"content":"\xff"}}'),
        Event(b"", b'{"id":1,"delta":{"content":"\xff","obfuscation":"x"}}'),
        Event(b"", b'{"id":1,"delta":{"content":"x","tool":"y"}}'),
    ],
)
def test_whatever_takes_a_parser_is_left_to_one(other: Event, padding: str | None) -> None:
    assert learned("first", padding).text_of(other) is None


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (event("a\\b"), "a\\b"),
        (event("x"), "another text"),
        (event("x", tail='},"content":"y"}'), "x"),
        (event("x")._replace(is_cut=True), "x"),
        (Event(b"", b'{"delta":{"content" : "x"}}'), "x"),
        (Event(b"", b'{"delta":{"content":"x"},"obfuscation":"a","b":{"obfuscation":"c"}}'), "x"),
    ],
)
def test_what_cannot_be_told_apart_is_not_learned(wrong: Event, text: str) -> None:
    likeness = Likeness(KEY)
    likeness.learn(wrong, text)
    assert likeness.text_of(wrong) is None


def reading(stream: bytes, api: str = "chat") -> Reading:
    decoder = decoder_for(api, "text/event-stream", 200)
    for at_ns, piece in enumerate(stream.splitlines(keepends=True)):
        decoder.feed(piece, at_ns)
    return decoder.finish()


WORDS = st.sampled_from(["Hello", " ", "", '"', "\\", "\n", "é", "☃", "a" * 40, "\u2028", "{}"]) | st.text(max_size=5)
OTHER = st.sampled_from(
    [
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "and more", "reasoning_content": "thought"}),
        chunk({"refusal": "no"}),
        chunk({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{"}}]}),
        chunk({"content": "end"}, finish="stop"),
        extra_chunk(usage(3, 7)),
        {"error": {"code": "server_error", "message": "m"}},
    ]
)


@given(st.lists(WORDS.map(says) | OTHER, max_size=12), st.booleans(), st.sampled_from([None, "xY9", 'q"']))
def test_a_stream_reads_as_it_does_with_a_parser_alone(
    events: list[dict[str, Any]], compact: bool, padding: str | None
) -> None:
    separators = (",", ":") if compact else (", ", ": ")
    padded = [one if padding is None else {**one, "obfuscation": padding[: at % 4]} for at, one in enumerate(events)]
    stream = b"".join(f"data: {json.dumps(one, separators=separators)}\n\n".encode() for one in padded) + DONE
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Likeness, "text_of", lambda *_: None)
        expected = reading(stream)
    assert reading(stream) == expected


def test_most_of_a_stream_is_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that fails when nothing is alike any more, which no reading would show."""
    parsed: list[bytes] = []

    def parse(text: bytes) -> Any:
        parsed.append(text)
        return json.loads(text)

    monkeypatch.setattr("proxy.providers.decoder._parse", parse)
    stream = b"".join(data(says(f"word{number} ")) for number in range(50))
    assert reading(stream).output_chars == sum(len(f"word{number} ") for number in range(50))
    assert len(parsed) == 1
    parsed.clear()
    delta = '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"%s"}}'
    blocks = "".join(f"event: content_block_delta\ndata: {delta % number}\n\n" for number in range(50))
    assert reading(blocks.encode(), "messages").output_text == "".join(map(str, range(50)))
    assert len(parsed) == 1
