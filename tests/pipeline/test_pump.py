"""Order: a piece is handed on before it is analysed; and nothing is lost at any end."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from proxy.domain.errors import UpstreamIdleTimeout, UpstreamReset, UpstreamTotalTimeout
from proxy.domain.exchange import Attempt
from proxy.domain.meter import Reading, StreamEnd
from proxy.domain.routing import Target, Timeouts
from proxy.pipeline.patience import Patience
from proxy.pipeline.pump import Pump
from tests.pipeline.fakes import OPENAI, SteppingClock


class Spy:
    """A decoder that notes what it was fed, and when."""

    def __init__(self, log: list[Any]) -> None:
        self.log = log

    def feed(self, chunk: bytes, at_ns: int) -> None:
        self.log.append(("metered", chunk, at_ns))

    def finish(self, *, broken: bool = False) -> Reading:
        self.log.append(("finished", broken))
        return Reading(stream_end=StreamEnd.TRUNCATED if broken else StreamEnd.COMPLETE)


async def chunks_of(steps: Sequence[Any]) -> AsyncIterator[bytes]:
    for step in steps:
        if isinstance(step, bytes):
            yield step
        elif isinstance(step, Exception):
            raise step
        else:
            await asyncio.Event().wait()


def pump_of(*steps: Any, timeouts: Timeouts | None = None, **more: Any) -> tuple[Pump, list[Any], Attempt]:
    log: list[Any] = []
    attempt = Attempt(ordinal=0, target=Target(provider=OPENAI), started_ns=0)
    pump = Pump(chunks_of(steps), attempt, Spy(log), SteppingClock(), Patience(timeouts or Timeouts()), **more)
    return pump, log, attempt


async def test_a_piece_is_metered_only_when_the_next_is_asked_for_with_its_own_time() -> None:
    pump, log, attempt = pump_of(b"a", b"b")
    async for piece in pump:
        log.append(("handed", piece))
    assert [entry[:2] for entry in log] == [("handed", b"a"), ("metered", b"a"), ("handed", b"b"), ("metered", b"b")]
    assert log[1][2] == attempt.first_byte_ns
    pump.finish(is_broken=True)
    assert log[-1] == ("finished", False)
    assert attempt.reading is not None
    assert attempt.ended_ns is not None


async def test_a_client_that_leaves_during_a_write_is_metered_up_to_that_piece() -> None:
    pump, log, _ = pump_of(b"a", b"b")
    assert await anext(pump) == b"a"
    pump.finish(is_broken=True)
    assert [entry[:2] for entry in log] == [("metered", b"a"), ("finished", True)]
    pump.finish(is_broken=False)
    assert len(log) == 2


async def test_a_break_is_raised_after_what_came_before_it() -> None:
    pump, _, attempt = pump_of(b"a", UpstreamReset("broke"))
    assert await anext(pump) == b"a"
    with pytest.raises(UpstreamReset):
        await anext(pump)
    pump.finish(is_broken=True)
    assert attempt.reading is not None
    assert attempt.reading.stream_end is StreamEnd.TRUNCATED


async def test_priming_waits_for_the_first_piece_and_gives_it_back() -> None:
    pump, log, attempt = pump_of(b"a", b"b")
    assert await pump.prime() == b"a"
    assert attempt.first_byte_ns is not None
    assert not log
    assert [piece async for piece in pump] == [b"a", b"b"]


async def test_an_empty_body_primes_to_nothing() -> None:
    pump, _, _ = pump_of()
    assert await pump.prime() == b""
    assert [piece async for piece in pump] == []


async def test_taking_a_short_body_holds_all_of_it_and_a_long_one_loses_nothing() -> None:
    short, _, _ = pump_of(b"ab", b"cd")
    assert await short.take(4) == b"abcd"
    long, _, _ = pump_of(b"ab", b"cd", b"ef")
    await long.prime()
    assert await long.take(3) is None
    assert [piece async for piece in long] == [b"abcd", b"ef"]


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
    pump, log, _ = pump_of(b"a", b"bc", editors=[Upper()])
    assert [piece async for piece in pump] == [b"AB", b"C"]
    assert [entry[1] for entry in log] == [b"a", b"bc"]


class Shout:
    def feed(self, chunk: bytes) -> bytes:
        return chunk * 2


async def test_the_meter_reads_the_decoded_copy_of_a_compressed_reply() -> None:
    pump, log, _ = pump_of(b"z", side=Shout())
    assert [piece async for piece in pump] == [b"z"]
    assert log[0][1] == b"zz"


async def test_silence_in_the_middle_is_an_idle_timeout() -> None:
    pump, _, _ = pump_of(b"a", None, timeouts=Timeouts(idle_s=0.01))
    assert await anext(pump) == b"a"
    with pytest.raises(UpstreamIdleTimeout):
        await anext(pump)


async def test_the_total_limit_holds_while_pieces_keep_coming() -> None:
    pump, _, _ = pump_of(b"a", None, timeouts=Timeouts(total_s=0.01))
    assert await anext(pump) == b"a"
    with pytest.raises(UpstreamTotalTimeout):
        await anext(pump)
