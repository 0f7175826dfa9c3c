from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.domain.context_token import LIMIT_BYTES, sign, sign_context, verify
from tests.harness.exchanges import EXCHANGE_ID, attempt, caller, finished, running

SECRET = b"s" * 32
FLAGS = (("support-answer", "treatment"), ("other", "x"))


def test_a_token_says_what_the_call_was() -> None:
    labels = {"prompt_name": "p", "prompt_version_id": "v", "prompt_version_source": "header", "task_id": "t"}
    sender = caller(**labels, prompt_hash="hmac-sha256:ab", flags=FLAGS, key_alias="web", groups={"company": "acme"})
    call = finished(caller=sender)
    claims = verify(sign_context(call, SECRET), SECRET)
    assert claims == {
        "exchange_id": EXCHANGE_ID,
        "distinct_id": "user_8f3a",
        "received_unix_us": call.received_unix_us,
        "trace_id": "trace_1",
        "estimated_cost_usd": "0.0048",
        "provider": "openai",
        "model": "gpt-4.1-mini-2025-04-14",
        "target": "openai",
        "attempt": 1,
        "prompt_name": "p",
        "prompt_version_id": "v",
        "prompt_version_source": "header",
        "prompt_hash": "hmac-sha256:ab",
        "posthog_flag": "support-answer",
        "posthog_flag_variant": "treatment",
        "posthog_flag_source": "asserted",
        "environment": "production",
        "key_alias": "web",
        "request_id": "req_1",
        "task_id": "t",
        "$groups": {"company": "acme"},
        "$feature/support-answer": "treatment",
        "$feature/other": "x",
    }


def test_a_running_call_has_no_cost_yet() -> None:
    claims = verify(sign_context(running(attempts=[attempt(cost=None)]), SECRET), SECRET)
    assert claims is not None
    assert "estimated_cost_usd" not in claims


def test_money_is_exact() -> None:
    cost = attempt().cost
    assert cost is not None
    assert (
        Decimal(str(dict(verify(sign_context(finished(), SECRET), SECRET) or {})["estimated_cost_usd"]))
        == cost.total_usd
    )


def test_it_fits_a_header_and_leaves_the_longest_values_out() -> None:
    long = "é" * 1_000
    call = finished(caller=caller(prompt_name=long, trace_id=long, task_id=long, distinct_id="é" * 100))
    token = sign_context(call, SECRET)
    claims = verify(token, SECRET)
    assert len(token) <= LIMIT_BYTES
    assert claims is not None
    assert (claims["exchange_id"], claims["distinct_id"]) == (EXCHANGE_ID, "é" * 100)
    assert (claims["model"], claims["environment"]) == ("gpt-4.1-mini-2025-04-14", "production")
    assert not {"prompt_name", "trace_id", "task_id"} & set(claims)


def test_another_secret_does_not_verify() -> None:
    assert verify(sign({"a": "b"}, SECRET), b"another secret") is None


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "v1", "v1..", "v2.e30.AAAA", "v1.e30.AAAA", "v1.!!.!!", "é", "v1." + "A" * 2_000, "v1.e30.A"],
)
def test_what_is_no_token_is_none(token: str) -> None:
    assert verify(token, SECRET) is None


@given(position=st.integers(0, 10_000), letter=st.sampled_from("ABCxyz019-_."))
def test_no_letter_can_be_changed(position: int, letter: str) -> None:
    claims = {"exchange_id": EXCHANGE_ID, "model": "m"}
    token = sign(claims, SECRET)
    place = position % len(token)
    changed = token[:place] + letter + token[place + 1 :]
    assert verify(changed, SECRET) in (None, claims)
    if place < token.rindex(".") and changed != token:
        assert verify(changed, SECRET) is None


@given(st.text())
def test_nothing_that_a_client_sends_raises(token: str) -> None:
    assert verify(token, SECRET) is None
    assert verify(f"v1.{token}.AAAA", SECRET) is None
