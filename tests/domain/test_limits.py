import pytest

from proxy.domain.fields import fields_of
from proxy.domain.limits import narrowed_retries, narrowed_timeouts
from proxy.domain.routing import RetryPolicy, Timeouts

CONFIGURED = Timeouts(first_byte_s=60, total_s=None)


def test_a_caller_may_shorten_limits() -> None:
    found = narrowed_timeouts(
        CONFIGURED, fields_of([("X-LLM-Timeout-Ms", "2500"), ("X-LLM-First-Token-Timeout-Ms", "900")])
    )
    assert (found.total_s, found.first_byte_s, found.idle_s) == (2.5, 0.9, CONFIGURED.idle_s)


def test_a_caller_may_not_lengthen_them() -> None:
    configured = Timeouts(first_byte_s=1, total_s=2)
    asked = fields_of([("x-llm-timeout-ms", "99000"), ("x-llm-first-token-timeout-ms", "99000")])
    assert narrowed_timeouts(configured, asked) == configured


@pytest.mark.parametrize("value", ["", "-1", "0", "1.5", "soon", "9999999999"])
def test_odd_values_change_nothing(value: str) -> None:
    assert narrowed_timeouts(CONFIGURED, fields_of([("x-llm-timeout-ms", value)])) == CONFIGURED


@pytest.mark.parametrize(("asked", "allowed"), [("0", 0), ("1", 1), ("9", 2), ("x", 2)])
def test_retries_are_capped_by_the_route(asked: str, allowed: int) -> None:
    assert narrowed_retries(RetryPolicy(max=2), fields_of([("X-LLM-Max-Retries", asked)])).max == allowed
