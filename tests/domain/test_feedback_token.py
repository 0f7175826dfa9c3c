import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.domain.feedback_token import FeedbackToken, sign_feedback, verify_feedback
from tests.harness.exchanges import EXCHANGE_ID

SECRET = b"s" * 32
TOKEN = sign_feedback(EXCHANGE_ID, 1_795_000_000, SECRET)


def test_a_token_says_which_call_may_be_rated_until_when() -> None:
    assert verify_feedback(TOKEN, SECRET) == FeedbackToken(EXCHANGE_ID, 1_795_000_000)


def test_it_is_short_and_fits_an_address() -> None:
    assert len(TOKEN) == 51
    assert TOKEN.replace("-", "").replace("_", "").replace(".", "").isalnum()


def test_another_installation_does_not_take_it() -> None:
    assert verify_feedback(TOKEN, b"t" * 32) is None


@pytest.mark.parametrize(
    "token", ["", "f1.", "f1." + "A" * 48, "f2" + TOKEN[2:], TOKEN + "A", TOKEN[:-1], "é" * 51, "f1." + "!" * 48]
)
def test_what_is_no_token_is_none(token: str) -> None:
    assert verify_feedback(token, SECRET) is None


@given(position=st.integers(0, len(TOKEN) - 1), letter=st.sampled_from("ABCxyz019-_.="))
def test_no_letter_can_be_changed(position: int, letter: str) -> None:
    changed = TOKEN[:position] + letter + TOKEN[position + 1 :]
    assert (verify_feedback(changed, SECRET) is None) is (changed != TOKEN)


@given(st.text())
def test_nothing_that_a_client_sends_raises(token: str) -> None:
    assert verify_feedback(token, SECRET) is None
