"""The taxonomy: each error has a status that tells whose fault it is, and a code to look up."""

import pytest

from proxy.domain.errors import (
    ErrorType,
    FailedPhase,
    ProxyError,
    RequestError,
    UpstreamError,
    UpstreamUnreachable,
)


def kinds(of: type[ProxyError]) -> list[type[ProxyError]]:
    """The class and all that derive from it."""
    return [of, *(kind for derived in of.__subclasses__() for kind in kinds(derived))]


@pytest.mark.parametrize("kind", kinds(RequestError))
def test_the_callers_fault_is_a_4xx(kind: type[ProxyError]) -> None:
    assert 400 <= kind.http_status < 500


@pytest.mark.parametrize("kind", kinds(UpstreamError))
def test_the_providers_fault_is_a_502_or_a_504(kind: type[UpstreamError]) -> None:
    assert kind.http_status == (504 if kind.error_type.value.startswith("timeout_") else 502)


@pytest.mark.parametrize("kind", kinds(UpstreamError))
def test_only_what_was_never_sent_may_be_sent_again(kind: type[UpstreamError]) -> None:
    assert kind.retryable == issubclass(kind, UpstreamUnreachable)
    assert (kind.phase is FailedPhase.CONNECT) == kind.retryable


def test_a_code_is_the_type_unless_a_better_one_is_given() -> None:
    assert ProxyError("It failed.").code == ErrorType.INTERNAL.value
    assert ProxyError("It failed.", code="odd").code == "odd"
