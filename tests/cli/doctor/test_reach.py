import pytest

from proxy.adapters.probe import Failure
from proxy.cli.doctor.reach import explain


@pytest.mark.parametrize("failure", Failure)
def test_every_failure_is_explained_in_words_of_its_own(failure: Failure) -> None:
    found, advice = explain(failure)
    assert found
    assert advice
    assert [other for other in Failure if explain(other) == (found, advice)] == [failure]
