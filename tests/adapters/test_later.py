"""A scripted loop in place of asyncio's: it keeps what it was asked to call."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import cast

import pytest

from proxy.adapters.later import LEAST_AT_ONCE, MOST_WAITING, PAUSE_S, QUIET_S, Later


@dataclass
class ScriptedLoop:
    timers: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    ready: list[Callable[[], None]] = field(default_factory=list)
    now_s: float = 0.0

    def time(self) -> float:
        return self.now_s

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> None:
        self.timers.append((delay_s, callback))

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.ready.append(callback)

    def ring(self) -> None:
        delay_s, callback = self.timers.pop(0)
        self.now_s += delay_s
        callback()


@pytest.fixture
def loop() -> ScriptedLoop:
    return ScriptedLoop()


@pytest.fixture
def later(loop: ScriptedLoop) -> Later:
    return Later(cast("asyncio.AbstractEventLoop", loop), loop.time)


def test_what_waits_is_done_together_and_in_order(loop: ScriptedLoop, later: Later) -> None:
    done: list[int] = []
    for number in range(3):
        later(lambda number=number: done.append(number))  # type: ignore[misc]
    assert ([delay_s for delay_s, _ in loop.timers], done) == ([QUIET_S], [])
    loop.ring()
    assert (done, loop.timers, loop.ready) == ([0, 1, 2], [], [])


def test_it_is_done_when_nothing_was_given_for_a_moment(loop: ScriptedLoop, later: Later) -> None:
    done: list[int] = []
    later(lambda: done.append(0))
    loop.now_s += QUIET_S / 2
    later(lambda: done.append(1))
    loop.timers[0] = (QUIET_S / 2, loop.timers[0][1])
    loop.ring()
    assert done == []
    assert [delay_s for delay_s, _ in loop.timers] == [pytest.approx(QUIET_S / 2)]
    loop.ring()
    assert (done, loop.timers) == ([0, 1], [])


def test_it_is_done_in_time_where_traffic_has_no_end(loop: ScriptedLoop, later: Later) -> None:
    done_at_s: list[float] = []
    later(lambda: done_at_s.append(loop.now_s))
    while not done_at_s:
        delay_s, look = loop.timers.pop()
        loop.now_s += delay_s
        later(lambda: None)
        look()
    assert done_at_s == [pytest.approx(PAUSE_S)]


def test_traffic_has_its_turn_between_two_batches(loop: ScriptedLoop, later: Later) -> None:
    done: list[int] = []
    for number in range(LEAST_AT_ONCE + 1):
        later(lambda number=number: done.append(number))  # type: ignore[misc]
    loop.ring()
    assert (len(done), len(loop.ready)) == (LEAST_AT_ONCE, 1)
    later(lambda: done.append(-1))
    loop.ready.pop()()
    assert (done[LEAST_AT_ONCE:], loop.ready, loop.timers) == ([LEAST_AT_ONCE, -1], [], [])


def test_what_waits_does_not_pile_up_where_traffic_never_rests(loop: ScriptedLoop, later: Later) -> None:
    """Between two turns come more actions than the least of a turn; they take half as long as what gave them."""
    given = 100
    waited_s: list[float] = []

    def act(given_at_s: float) -> None:
        loop.now_s += 0.0001
        waited_s.append(loop.now_s - given_at_s)

    def traffic() -> None:
        for _ in range(given):
            loop.now_s += 0.0002
            later(partial(act, loop.now_s))

    traffic()
    loop.ring()
    for _ in range(100):
        traffic()
        (loop.ready.pop() if loop.ready else loop.ring)()
    assert max(waited_s) < 0.1
    later.finish()
    assert len(waited_s) == 101 * given


def test_a_batch_that_traffic_has_made_late_is_done_without_another_turn_of_the_loop(
    loop: ScriptedLoop, later: Later
) -> None:
    def act() -> None:
        loop.now_s += 0.0001

    for _ in range(1_000):
        later(act)
    loop.now_s += 0.15  # hundreds of sockets were ready at once
    loop.ring()
    assert (loop.ready, loop.timers) == ([], [])


def test_what_takes_longer_than_the_traffic_that_left_it_is_bounded_too(loop: ScriptedLoop, later: Later) -> None:
    done: list[int] = []
    for number in range(MOST_WAITING + 500):
        later(partial(done.append, number))
    loop.ring()
    assert len(done) == 500


def test_an_action_may_give_another_one(loop: ScriptedLoop, later: Later) -> None:
    done: list[str] = []

    def first() -> None:
        done.append("first")
        later(lambda: done.append("second"))

    later(first)
    loop.ring()
    assert done == ["first"]
    loop.ring()
    assert done == ["first", "second"]


def test_finishing_leaves_nothing(loop: ScriptedLoop, later: Later) -> None:
    done: list[str] = []
    later(lambda: later(lambda: done.append("second")))
    later.finish()
    assert done == ["second"]
    later(lambda: done.append("third"))
    loop.ring()
    assert done == ["second", "third"]
