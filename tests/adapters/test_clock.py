import time

from proxy.adapters.clock import SystemClock


def test_both_clocks_are_the_system_s_in_the_unit_of_their_name() -> None:
    clock = SystemClock()
    assert time.monotonic_ns() <= clock.monotonic_ns() <= time.monotonic_ns()
    assert time.time_ns() // 1_000 <= clock.unix_us() <= time.time_ns() // 1_000
