import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.domain.errors import UpstreamReset, UpstreamUnreachable
from proxy.domain.retry import LONGEST_PAUSE_S, may_retry, retry_pause_s
from proxy.domain.routing import RetryPolicy

POLICY = RetryPolicy(max=2, on=frozenset({"connect", "429", "5xx"}))


@pytest.mark.parametrize(("status", "expected"), [(429, True), (500, True), (529, True), (400, False), (200, False)])
def test_statuses_are_retried_as_the_route_says(status: int, expected: bool) -> None:
    assert may_retry(POLICY, status=status) is expected


def test_only_what_cannot_have_run_is_repeated_after_an_error() -> None:
    assert may_retry(POLICY, error=UpstreamUnreachable("m"))
    assert not may_retry(POLICY, error=UpstreamReset("m"))
    assert not may_retry(RetryPolicy(on=frozenset({"5xx"})), error=UpstreamUnreachable("m"))


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_pauses_are_bounded_at_any_ordinal(ordinal: int, draw: float) -> None:
    pause_s = retry_pause_s(ordinal, None, draw)
    assert pause_s is not None
    assert 0 <= pause_s <= LONGEST_PAUSE_S


@pytest.mark.parametrize(
    ("value", "expected"), [("0", 0.0), ("3", 3.0), ("6", None), ("99999999", None), ("soon", None), ("-1", None)]
)
def test_retry_after_is_kept_to_or_not_waited_for(value: str, expected: float | None) -> None:
    assert retry_pause_s(0, value, 0.5) == expected
