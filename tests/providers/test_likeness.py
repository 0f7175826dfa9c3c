"""Events that are alike are read as a parser would have read them, and no other is taken for one."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.domain.meter import Reading
from proxy.providers.codecs import decoder_for
from proxy.providers.likeness import MOST_AT_ONCE, Likeness
from tests.golden.wire_forms import DONE, chunk, data, extra_chunk, says, usage

KEY = b'"content":"'


def event(text: str, padding: str | None = None, *, head: str = 'data: {"id":1,"delta":{', tail: str = "}}") -> bytes:
    inner = json.dumps(text, ensure_ascii=False)
    pad = "" if padding is None else f',"obfuscation":{json.dumps(padding)}'
    return f'{head}"content":{inner}{pad}{tail}\n\n'.encode()


def learned(text: str, padding: str | None = None) -> Likeness:
    likeness = Likeness(KEY)
    likeness.learn(event(text, padding), text)
    return likeness


def test_nothing_is_recognised_before_something_was_learned() -> None:
    assert Likeness(KEY).run(event("Hello"), 0) == ("", 0)


@pytest.mark.parametrize("padding", [None, "aB3"])
@pytest.mark.parametrize(
    "text", ["Hello", " there", "", "äöü ☃ 漢字", "{}[],:", "'", "back\\slash", "line\nend", "\u200b"]
)
def test_another_text_between_the_same_bytes_is_told(text: str, padding: str | None) -> None:
    likeness, other = learned("first", padding), event(text, padding and padding * 3)
    assert likeness.run(other, 0) == (text, len(other))


@pytest.mark.parametrize("padding", [None, "aB3"])
def test_a_run_ends_where_something_else_begins(padding: str | None) -> None:
    alike = [event(text, padding and padding * at) for at, text in enumerate(("one", " ", "two"))]
    likeness, before = learned("first", padding), event("x", head="data: {")
    rest = event("y", padding, tail="},1}")
    run = b"".join(alike)
    assert likeness.run(before + run + rest, len(before)) == ("one two", len(before + run))
    assert likeness.run(run + alike[0][:-1], 0) == ("one two", len(run))


def test_a_run_has_a_length() -> None:
    run = event("a") * MOST_AT_ONCE
    assert learned("first").run(run + run, 0) == ("a" * MOST_AT_ONCE, len(run))


@pytest.mark.parametrize("padding", [None, "aB3"])
@pytest.mark.parametrize(
    "other",
    [
        event('quoted "word"', "x"),
        event("x", 'pa"d'),
        event("x", "x", head='data: {"id":2,"delta":{'),
        event("x", "x", tail='},"usage":1}'),
        event("x", None, tail='},"usage":1}'),
        event("x", head='event: error\ndata: {"id":1,"delta":{'),
        b'data: {"id":1,"delta":{"content":"x',
        b'data: {"id":1,"delta":{"content":"x"}}\n',
        b'data: {"id":1,"delta":{"content":"\xff"}}\n\n',
        b'data: {"id":1,"delta":{"content":"x\ny"}}\n\n',
        b'data: {"id":1,"delta":{"content":"\\ud83d"}}\n\n',
        b'data: {"id":1,"delta":{"content":"x\\"}}\n\n',
        b'data: {"id":1,"delta":{"content":"x","obfuscation":"\xff"}}\n\n',
        b'data: {"id":1,"delta":{"content":"x","tool":"y"}}\n\n',
    ],
)
def test_whatever_takes_a_parser_is_left_to_one(other: bytes, padding: str | None) -> None:
    likeness, alike = learned("first", padding), event("x", padding)
    assert likeness.run(other, 0) == ("", 0)
    assert likeness.run(alike + other, 0) in ((("x", len(alike))), ("", 0))
    assert likeness.run(other + alike, len(other)) == ("x", len(other + alike))


def test_strings_that_are_valid_only_together_are_not() -> None:
    halves = [b'data: {"id":1,"delta":{"content":"%b"}}\n\n' % half for half in (b"\xc3", b"\xa9")]
    pairs = [b'data: {"id":1,"delta":{"content":"%b"}}\n\n' % half for half in (b"\\ud83d", b"\\ude00")]
    escape = [b'data: {"id":1,"delta":{"content":"%b"}}\n\n' % half for half in (b"x\\", b",", b",")]
    for parts in (halves, pairs, escape):
        assert learned("first").run(b"".join(parts), 0) == ("", 0)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (event("x"), "another text"),
        (event('"'), '"'),
        (event("x", tail='},"content":"y"}'), "x"),
        (b'data: {"delta":{"content" : "x"}}\n\n', "x"),
        (b'data: {"delta":{"content":"x"},"obfuscation":"a","b":{"obfuscation":"c"}}\n\n', "x"),
    ],
)
def test_what_cannot_be_told_apart_is_not_learned(wrong: bytes, text: str) -> None:
    likeness = Likeness(KEY)
    likeness.learn(wrong, text)
    assert likeness.run(wrong, 0) == ("", 0)


def reading(pieces: list[bytes], api: str = "chat") -> Reading:
    decoder = decoder_for(api, "text/event-stream", 200)
    for piece in pieces:
        decoder.feed(piece, 1)
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
        patch.setattr(Likeness, "run", lambda _, __, start: ("", start))
        expected = reading([stream])
    assert reading([stream]) == expected
    assert reading(stream.splitlines(keepends=True)) == expected
    assert reading(re.split(rb"(?<=\n\n)", stream)) == expected


def test_most_of_a_stream_is_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that fails when nothing is alike any more, which no reading would show. The first event is not learned."""
    parsed: list[bytes] = []

    def parse(text: bytes) -> Any:
        parsed.append(text)
        return json.loads(text)

    monkeypatch.setattr("proxy.providers.decoder._parse", parse)
    stream = b"".join(data(says(f"word{number} ")) for number in range(50))
    assert reading([stream]).output_chars == sum(len(f"word{number} ") for number in range(50))
    assert len(parsed) == 2
    parsed.clear()
    delta = '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"%s"}}'
    blocks = "".join(f"event: content_block_delta\ndata: {delta % number}\n\n" for number in range(50))
    assert reading([blocks.encode()], "messages").output_text == "".join(map(str, range(50)))
    assert len(parsed) == 2
