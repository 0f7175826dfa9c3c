from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from proxy.domain.ids import exchange_of, new_exchange_id, request_id_of, trace_id_of


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


def test_the_trace_that_a_call_begins_has_its_digits_as_the_w3c_wants_them() -> None:
    made = new_exchange_id(1_795_000_000_000_000, b"0123456789")
    assert UUID(trace_id_of(made)) == UUID(made)
    assert len(trace_id_of(made)) == 32


def test_a_request_id_of_ours_says_which_call_it_is_and_no_other_does() -> None:
    made = new_exchange_id(1_795_000_000_000_000, b"0123456789")
    assert exchange_of(request_id_of(made)) == made
    assert [exchange_of(other) for other in ("", "req_1", made, request_id_of(made) + "0", "req_" + "g" * 32)] == [
        None
    ] * 5
