import os

import pytest

from proxy.adapters.randomness import FETCHED_BYTES, RandomBytes


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What the kernel gave: each time a block of another letter."""
    blocks: list[bytes] = []

    def give(count: int) -> bytes:
        blocks.append(bytes([ord("a") + len(blocks)]) * count)
        return blocks[-1]

    monkeypatch.setattr(os, "urandom", give)
    return blocks


def test_bytes_are_as_many_as_asked_and_fetched_seldom(fetched: list[bytes]) -> None:
    source = RandomBytes()
    assert [len(source(count)) for count in (10, 32, 4, 0)] == [10, 32, 4, 0]
    assert len(fetched) == 1


def test_no_byte_is_given_twice() -> None:
    source, block = RandomBytes(), 64
    given = [source(block) for _ in range(3 * FETCHED_BYTES // block)]
    assert len(set(given)) == len(given)


def test_a_rest_that_is_too_short_is_left(fetched: list[bytes]) -> None:
    source = RandomBytes()
    source(FETCHED_BYTES - 1)
    assert source(2) == b"bb"
    assert source(FETCHED_BYTES) == b"c" * FETCHED_BYTES
