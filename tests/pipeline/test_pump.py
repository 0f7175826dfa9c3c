"""Order: a piece is handed on before it is analysed; and nothing is lost at any end."""

import asyncio
from typing import Any

import pytest

from proxy.domain.errors import UpstreamIdleTimeout, UpstreamReset, UpstreamTotalTimeout
from proxy.domain.exchange import Attempt
from proxy.domain.meter import Reading, StreamEnd
from proxy.domain.routing import Target, Timeouts
from proxy.pipeline.patience import Patience
from proxy.pipeline.ports import ChunkSink, Sink
from proxy.pipeline.pump import UNREAD_BYTES, Pump
from tests.pipeline.fakes import OPENAI, ScriptedReply, SteppingClock


class Spy:
    """A decoder that notes what it was fed, and when; times matter to it until it was fed so often."""

    def __init__(self, log: list[Any], timed: int) -> None:
        self.log = log
        self.timed = timed

    @property
    def needs_times(self) -> bool:
        return self.timed > 0

    def feed(self, chunk: bytes, at_ns: int) -> None:
        self.timed -= 1
        self.log.append(("metered", chunk, at_ns))

    def finish(self, *, broken: bool = False) -> Reading:
        self.log.append(("finished", broken))
        return Reading(stream_end=StreamEnd.TRUNCATED if broken else StreamEnd.COMPLETE)


class ChunkedReply(ScriptedReply):
    """A piece that begins with the size of one byte is poured as the whole chunk that it is."""

    async def pour(self, sink: Sink, chunk_sink: ChunkSink | None = None) -> None:
        def give(data: bytes) -> None:
            if chunk_sink is not None and data.startswith(b"1\r\n"):
                chunk_sink(data[3:4], data)
            else:
                sink(data)

        await super().pour(give)


class Made:
    """A pump over the given steps, of which None is a silence without end."""

    def __init__(self, *steps: Any, timeouts: Timeouts | None = None, timed: int = 1, **more: Any) -> None:
        self.log: list[Any] = []
        self.attempt = Attempt(ordinal=0, target=Target(provider=OPENAI), started_ns=0)
        self.reply = ChunkedReply(steps=[asyncio.Event().wait if step is None else step for step in steps])
        self.patience = Patience(timeouts or Timeouts())
        self.patience.begin()
        spy = Spy(self.log, timed)
        self.pump = Pump(self.reply, self.attempt, spy, SteppingClock(), self.patience, **more)

    def write(self, piece: bytes) -> None:
        self.log.append(("handed", piece))

    def told(self) -> list[Any]:
        return [entry[:2] for entry in self.log]


async def test_pieces_are_metered_right_after_they_were_handed_on_while_their_times_matter() -> None:
    made = Made(b"a", b"b", timed=3)
    await made.pump.pour(made.write)
    made.pump.finish(is_broken=True)
    assert made.told() == [
        ("handed", b"a"), ("metered", b"a"), ("handed", b"b"), ("metered", b"b"), ("finished", False)
    ]  # fmt: skip
    assert made.log[1][2] < made.log[3][2]
    assert made.attempt.reading is not None
    assert made.attempt.ended_ns is not None
    assert made.attempt.ended_ns > made.log[3][2]


async def test_pieces_are_metered_together_where_their_times_do_not_matter() -> None:
    made = Made(b"a", b"b", b"c")
    await made.pump.pour(made.write)
    made.pump.finish(is_broken=False)
    assert made.told()[2:] == [("handed", b"b"), ("handed", b"c"), ("metered", b"bc"), ("finished", False)]


async def test_little_waits_to_be_metered() -> None:
    full = bytes(UNREAD_BYTES)
    made = Made(b"a", full, b"b", b"c")
    await made.pump.pour(made.write)
    assert made.told()[2:] == [("handed", full), ("handed", b"b"), ("metered", full + b"b"), ("handed", b"c")]


async def test_a_client_that_leaves_during_a_write_is_metered_up_to_that_piece() -> None:
    made = Made(b"a", b"b")

    def leave(_: bytes) -> None:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await made.pump.pour(leave)
    made.pump.finish(is_broken=True)
    assert made.told() == [("metered", b"a"), ("finished", True)]
    made.pump.finish(is_broken=False)
    assert len(made.log) == 2


async def test_a_break_is_raised_after_what_came_before_it() -> None:
    made = Made(b"a", UpstreamReset("broke"))
    with pytest.raises(UpstreamReset):
        await made.pump.pour(made.write)
    made.pump.finish(is_broken=True)
    assert made.told() == [("handed", b"a"), ("metered", b"a"), ("finished", True)]
    assert made.attempt.reading is not None
    assert made.attempt.reading.stream_end is StreamEnd.TRUNCATED


async def test_reading_a_short_body_gives_all_of_it_and_a_long_one_loses_nothing() -> None:
    short = Made(b"ab", b"cd")
    assert await short.pump.read(4) == b"abcd"
    short.pump.finish(is_broken=False)
    assert short.told()[:1] == [("metered", b"abcd")]
    long = Made(b"ab", b"cd", b"ef")
    assert await long.pump.read(3) is None
    assert long.told() == []
    await long.pump.pour(long.write)
    assert [piece for what, piece, *_ in long.log if what == "handed"] == [b"abcd", b"ef"]


async def test_an_empty_body_is_read_to_nothing() -> None:
    made = Made()
    assert made.reply.peek() == b""
    assert await made.pump.read(4) == b""
    assert made.told() == []


async def test_a_chunk_goes_on_with_its_framing_where_the_client_gets_chunks_and_nothing_edits_them() -> None:
    steps = b"a", b"1\r\nb\r\n", b"c"
    framed, edited, unframed = Made(*steps), Made(*steps, editors=[Upper()]), Made(*steps)
    await framed.pump.pour(framed.write, lambda chunk: framed.log.append(("passed on", chunk)))
    await edited.pump.pour(edited.write, edited.write)
    await unframed.pump.pour(unframed.write)
    for made in framed, edited, unframed:
        made.pump.finish(is_broken=False)
    assert framed.told() == [
        ("handed", b"a"), ("metered", b"a"), ("passed on", b"1\r\nb\r\n"), ("handed", b"c"), ("metered", b"bc"),
        ("finished", False),
    ]  # fmt: skip
    assert [piece for what, piece in edited.told() if what == "handed"] == [b"A", b"B", b"C"]
    assert [piece for what, piece in unframed.told() if what == "handed"] == [b"a", b"b", b"c"]


async def test_a_client_that_leaves_during_a_chunk_is_metered_up_to_it() -> None:
    made = Made(b"1\r\na\r\n", b"b")

    def leave(_: bytes) -> None:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await made.pump.pour(made.write, leave)
    made.pump.finish(is_broken=True)
    assert made.told() == [("metered", b"a"), ("finished", True)]


class Upper:
    """An editor that holds back the last byte."""

    def __init__(self) -> None:
        self.held = b""

    def feed(self, chunk: bytes) -> bytes:
        data = self.held + chunk.upper()
        self.held = data[-1:]
        return data[:-1]

    def flush(self) -> bytes:
        return self.held


async def test_editors_change_what_goes_on_and_not_what_is_metered() -> None:
    poured, read = Made(b"a", b"bc", editors=[Upper()]), Made(b"a", b"bc", editors=[Upper(), Upper()])
    await poured.pump.pour(poured.write)
    assert await read.pump.read(3) == b"ABC"
    for made in (poured, read):
        made.pump.finish(is_broken=False)
    assert poured.told()[:4] == [("metered", b"a"), ("handed", b"AB"), ("handed", b"C"), ("metered", b"bc")]
    assert read.told()[0] == ("metered", b"abc")


class Shout:
    def feed(self, chunk: bytes) -> bytes:
        return chunk * 2


async def test_the_meter_reads_the_decoded_copy_of_a_compressed_reply() -> None:
    made = Made(b"z", side=Shout())
    await made.pump.pour(made.write)
    made.pump.finish(is_broken=False)
    assert made.told()[:2] == [("handed", b"z"), ("metered", b"zz")]


async def test_a_client_without_room_holds_the_provider_back_and_its_time() -> None:
    made = Made(b"a", timeouts=Timeouts(idle_s=0.01, total_s=0.05))
    made.reply._coming.append(asyncio.Event().wait)

    def fill(_: bytes) -> None:
        made.pump.pause()

    with pytest.raises(UpstreamTotalTimeout):
        await made.pump.pour(fill)
    made.pump.resume()
    assert made.reply.flow == ["pause", "resume"]


async def test_each_piece_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Made(b"a", b"b", b"1\r\nc\r\n")
    monkeypatch.setattr(made.patience, "now_s", iter((101.0, 102.0, 103.0)).__next__)
    heard: list[float | None] = []

    def write(_: bytes) -> None:
        heard.append(made.patience.heard_at_s)

    await made.pump.pour(write, write)
    assert heard == [101.0, 102.0, 103.0]


@pytest.mark.parametrize(
    ("timeouts", "error"),
    [(Timeouts(idle_s=0.01), UpstreamIdleTimeout), (Timeouts(total_s=0.01), UpstreamTotalTimeout)],
)
async def test_silence_in_the_middle_ends_at_the_limit(timeouts: Timeouts, error: type[Exception]) -> None:
    made = Made(b"a", None, timeouts=timeouts)
    with pytest.raises(error):
        await made.pump.pour(made.write)
    made.pump.finish(is_broken=True)
    assert made.told() == [("handed", b"a"), ("metered", b"a"), ("finished", True)]
