"""Framing by the rules of server-sent events, the same for every cut, and bounded whatever comes."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.providers.sse import TAIL_BYTES, WINDOW_BYTES, Event, SseFramer


def framed(pieces: list[bytes], window_bytes: int = WINDOW_BYTES) -> list[Event]:
    framer = SseFramer(window_bytes)
    events = [event for piece in pieces for event in framer.feed(piece)]
    last = framer.flush()
    return events if last is None else [*events, last]


def data_of(stream: bytes) -> list[bytes]:
    return [event.data for event in framed([stream])]


@pytest.mark.parametrize(
    ("stream", "data"),
    [
        (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data: a\r\n\r\ndata: b\r\rdata: c\n\r\n", [b"a", b"b", b"c"]),
        (b"data:a\ndata: b\ndata:  c\n\n", [b"a\nb\n c"]),
        (b"data\n\n", [b""]),
        (b"data\ndata: x\n\n", [b"\nx"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b": note\n\nevent: e\n\nid: 1\nretry: 9\n\ndatax: b\nother\n\n", []),
        (b"data: dangling", [b"dangling"]),
        (b"data: dangling\n", [b"dangling"]),
        (b"data: a\n\n: only a comment", [b"a"]),
        (b"\n\n\r\rdata: a\n\n\n", [b"a"]),
        ("data: a\u2028b\u0085c\x0bd\x0ce\n\n".encode(), ["a\u2028b\u0085c\x0bd\x0ce".encode()]),
        (b"", []),
    ],
)
def test_events(stream: bytes, data: list[bytes]) -> None:
    assert data_of(stream) == data


def test_a_name_belongs_to_its_own_event() -> None:
    stream = b"event: one\ndata: 1\n\ndata: 2\n\nevent: lost\n\ndata: 3\n\nevent:four\ndata: 4\n\n"
    assert [(event.name, event.data) for event in framed([stream])] == [
        (b"one", b"1"),
        (b"", b"2"),
        (b"", b"3"),
        (b"four", b"4"),
    ]


PIECES = st.sampled_from(
    [
        b"data: x",
        b"data:",
        b"event: e",
        b": c",
        b"id: 1",
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b"ab",
        b"\xef\xbb\xbf",
        b"\xc3",
    ]
)
STREAMS = st.lists(PIECES, max_size=30).map(b"".join)


@example(b"data: xdata: xdata: x\nevent: e\n", [], 24)
@given(STREAMS, st.lists(st.integers(0, 200), max_size=6), st.sampled_from([WINDOW_BYTES, 24]))
def test_the_cut_does_not_matter(stream: bytes, cuts: list[int], window_bytes: int) -> None:
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    pieces = [stream[start:end] for start, end in pairwise(edges)]
    single = [stream[i : i + 1] for i in range(len(stream))]
    whole = framed([stream])
    assert framed(pieces) == whole
    assert framed(single) == whole
    assert [e.data for e in framed(pieces, 24) if not e.is_cut] == [e.data for e in framed(single, 24) if not e.is_cut]


WHOLE = [
    b"data: a\n\n",
    b"data: " + 30 * b"b" + b"\n\n",
    b"data: c\n",
    b"\n",
    b"data: d\r\n\r\n",
    b"data: e\r",
    b"event: f\n",
]


@given(st.lists(st.sampled_from(WHOLE)), st.sampled_from([WINDOW_BYTES, 24]))
def test_whole_events_one_by_one_are_what_they_are_all_at_once(chunks: list[bytes], window_bytes: int) -> None:
    assert framed(chunks, window_bytes) == framed([b"".join(chunks)], window_bytes)


def test_an_event_at_the_window_is_whole_and_one_beyond_is_cut() -> None:
    whole, cut = framed([b"data: " + b"x" * 80 + b"\n\ndata: " + b"y" * 200 + b"\n\ndata: z\n\n"], 100)[:2]
    assert (whole.data, whole.is_cut) == (b"x" * 80, False)
    assert cut.is_cut


@pytest.mark.parametrize("size", [1, 700, 65536])
def test_an_endless_line_is_held_in_a_window_and_left_behind_at_its_end(size: int) -> None:
    framer = SseFramer()
    framer.feed(b"event: big\ndata: ")
    total = WINDOW_BYTES + 50_000 if size == 1 else 3 * WINDOW_BYTES
    piece = b"x" * size
    assert [event for _ in range(total // size) for event in framer.feed(piece)] == []
    assert len(framer._line) <= TAIL_BYTES
    events = framer.feed(b"the end\n\ndata: next\n\n")
    assert [(e.name, e.is_cut) for e in events] == [(b"big", True), (b"", False)]
    assert events[0].data.endswith(b"xthe end")
    assert len(events[0].data) <= 2 * TAIL_BYTES
    assert events[1].data == b"next"


def test_endless_lines_of_one_event_are_held_in_a_window() -> None:
    framer = SseFramer()
    for _ in range(300):
        assert framer.feed(b"data:\n" * 1000) == []
    assert len(framer._data) <= 2 * TAIL_BYTES
    last = framer.feed(b"data: end\n\n")
    assert [event.is_cut for event in last] == [True]
    assert last[0].data.endswith(b"\nend")


def test_a_comment_without_end_costs_no_event() -> None:
    framer = SseFramer()
    for _ in range(40):
        framer.feed(b": " + b"k" * 65536)
    assert [event.data for event in framer.feed(b"\n\ndata: a\n\n") if not event.is_cut] == [b"a"]
