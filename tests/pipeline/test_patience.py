"""Which limit holds when, on a loop whose time is set by hand."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from proxy.domain.errors import UpstreamError, UpstreamIdleTimeout, UpstreamTimeout, UpstreamTotalTimeout
from proxy.domain.routing import Timeouts
from proxy.pipeline.patience import Patience

LIMITS = Timeouts(first_byte_s=10, idle_s=20, total_s=45)


@dataclass
class Timer:
    at_s: float
    ring: Callable[[], None]
    is_cancelled: bool = False

    def when(self) -> float:
        return self.at_s

    def cancel(self) -> None:
        self.is_cancelled = True


@dataclass
class Loop:
    """Time stands still until it is set."""

    now_s: float = 100.0
    timers: list[Timer] = field(default_factory=list)

    def time(self) -> float:
        return self.now_s

    def call_at(self, at_s: float, ring: Callable[[], None]) -> Timer:
        self.timers.append(Timer(at_s, ring))
        return self.timers[-1]

    def pass_to(self, now_s: float) -> None:
        """Ring what is due on the way, each at its time."""
        while due := [timer for timer in self.set_timers if timer.at_s <= now_s]:
            timer = min(due, key=Timer.when)
            self.timers.remove(timer)
            self.now_s = timer.at_s
            timer.ring()
        self.now_s = now_s

    @property
    def set_timers(self) -> list[Timer]:
        return [timer for timer in self.timers if not timer.is_cancelled]


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    loop = Loop()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: loop)
    return loop


def passed(patience: Patience) -> type[UpstreamError] | None:
    return type(patience._passed) if patience._passed is not None else None


def holds_until(loop: Loop, patience: Patience, at_s: float, error: type[UpstreamError]) -> None:
    """Nothing passes before; then it is this."""
    loop.pass_to(at_s - 0.002)
    assert passed(patience) is None
    loop.pass_to(at_s)
    assert passed(patience) is error


def test_the_first_byte_is_waited_for_from_the_beginning(loop: Loop) -> None:
    holds_until(loop, Patience(LIMITS), 110, UpstreamTimeout)


def test_the_first_byte_is_waited_for_from_the_last_byte_of_the_request(loop: Loop) -> None:
    patience = Patience(LIMITS)
    loop.pass_to(104)
    patience.on_turn(False)
    holds_until(loop, patience, 114, UpstreamTimeout)


def test_the_next_byte_is_waited_for_from_the_last_one(loop: Loop) -> None:
    patience = Patience(LIMITS)
    for now_s in (103, 110, 117):
        loop.pass_to(now_s)
        patience.heard_at_s = now_s
        if now_s == 103:
            patience.begin()
    holds_until(loop, patience, 137, UpstreamIdleTimeout)


def test_an_idle_limit_shorter_than_what_is_left_of_the_first_byte_s_holds_at_once(loop: Loop) -> None:
    patience = Patience(Timeouts(first_byte_s=600, idle_s=1))
    loop.pass_to(101)
    patience.begin()
    holds_until(loop, patience, 102, UpstreamIdleTimeout)


@pytest.mark.parametrize("is_begun", [False, True])
def test_the_total_runs_from_the_beginning_over_all_of_it(loop: Loop, is_begun: bool) -> None:
    patience = Patience(LIMITS)
    for now_s in (109, 118, 127, 136, 144):
        loop.pass_to(now_s)
        patience.begin() if is_begun else patience.on_turn(False)
    holds_until(loop, patience, 145, UpstreamTotalTimeout)


def test_while_the_client_is_waited_for_only_the_total_runs(loop: Loop) -> None:
    patience, endless = Patience(LIMITS), Patience(Timeouts(first_byte_s=10))
    patience.on_turn(True)
    endless.on_turn(True)
    holds_until(loop, patience, 145, UpstreamTotalTimeout)
    loop.pass_to(100_000)
    assert passed(endless) is None
    endless.on_turn(False)
    holds_until(loop, endless, 100_010, UpstreamTimeout)


def test_while_the_client_has_no_room_only_the_total_runs(loop: Loop) -> None:
    patience, endless = Patience(LIMITS), Patience(Timeouts(idle_s=20))
    for held in (patience, endless):
        held.begin()
        held.hold()
    holds_until(loop, patience, 145, UpstreamTotalTimeout)
    loop.pass_to(100_000)
    assert passed(endless) is None
    endless.release()
    holds_until(loop, endless, 100_020, UpstreamIdleTimeout)


def test_closed_it_sets_no_timer_free(loop: Loop) -> None:
    Patience(LIMITS).close()
    assert loop.set_timers == []


async def test_a_wait_is_ended_and_says_why() -> None:
    patience = Patience(Timeouts(first_byte_s=0.01))
    with pytest.raises(UpstreamTimeout), patience:
        await asyncio.Event().wait()
    assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]
    with pytest.raises(UpstreamTimeout), patience:
        raise AssertionError("there is nothing left to wait for")


async def test_a_wait_that_somebody_else_ends_is_cancelled_as_ever() -> None:
    async def wait() -> None:
        patience = Patience(Timeouts())
        with patience:
            await asyncio.Event().wait()

    task = asyncio.ensure_future(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_limit_that_passes_between_two_waits_is_told_at_the_next() -> None:
    patience, rung = Patience(Timeouts(total_s=0.01)), asyncio.Event()
    asyncio.get_running_loop().call_later(0.02, rung.set)
    await rung.wait()
    with pytest.raises(UpstreamTotalTimeout), patience:
        raise AssertionError("there is nothing left to wait for")
