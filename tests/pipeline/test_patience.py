"""Which limit holds when, on a loop whose time stands still."""

import asyncio

import pytest

from proxy.domain.errors import UpstreamIdleTimeout, UpstreamTimeout, UpstreamTotalTimeout
from proxy.domain.routing import Timeouts
from proxy.pipeline.patience import Patience

LIMITS = Timeouts(first_byte_s=10, idle_s=20, total_s=25)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    class Loop:
        def time(self) -> float:
            return times[0]

    times = [100.0]
    monkeypatch.setattr(asyncio, "get_running_loop", Loop)
    return times


def test_the_first_byte_is_waited_for_from_the_last_byte_of_the_request(now: list[float]) -> None:
    patience = Patience(LIMITS)
    assert patience.until_s(is_begun=False) == 110
    now[0] = 104
    assert patience.until_s(is_begun=False) == 110
    patience.on_turn(False)
    assert patience.until_s(is_begun=False) == 114
    assert type(patience.error()) is UpstreamTimeout


def test_the_next_byte_is_waited_for_from_the_last_one(now: list[float]) -> None:
    patience = Patience(LIMITS)
    now[0] = 103
    assert patience.until_s(is_begun=True) == 123
    assert type(patience.error()) is UpstreamIdleTimeout


@pytest.mark.parametrize("is_begun", [False, True])
def test_the_total_runs_from_the_beginning_over_all_of_it(now: list[float], is_begun: bool) -> None:
    patience = Patience(LIMITS)
    now[0] = 119
    patience.on_turn(False)
    assert patience.until_s(is_begun=is_begun) == 125
    assert type(patience.error()) is UpstreamTotalTimeout


def test_while_the_client_is_waited_for_only_the_total_runs(now: list[float]) -> None:
    for timeouts, until_s in ((LIMITS, 125), (Timeouts(first_byte_s=10), None)):
        patience = Patience(timeouts)
        patience.on_turn(True)
        assert patience.until_s(is_begun=False) == until_s
