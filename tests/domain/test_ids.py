from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from proxy.domain.ids import new_exchange_id


@given(st.integers(min_value=0, max_value=(1 << 48) * 1000 - 1), st.binary(min_size=10, max_size=10))
def test_ids_are_version_7_and_carry_their_millisecond(unix_us: int, random: bytes) -> None:
    made = UUID(new_exchange_id(unix_us, random))
    assert made.version == 7
    assert made.variant == "specified in RFC 4122"
    assert made.int >> 80 == unix_us // 1000


@given(st.integers(min_value=0, max_value=10**15), st.binary(min_size=10, max_size=10))
def test_a_later_millisecond_sorts_later(unix_us: int, random: bytes) -> None:
    assert new_exchange_id(unix_us, random) < new_exchange_id(unix_us + 1000, b"\0" * 10)


def test_other_random_bytes_give_another_id() -> None:
    assert new_exchange_id(0, b"a" * 10) != new_exchange_id(0, b"b" * 10)
