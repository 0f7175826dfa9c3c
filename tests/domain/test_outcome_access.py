from dataclasses import replace
from typing import Any

import pytest

from proxy.domain.errors import BadRequest, Forbidden, ProxyError, Unauthenticated
from proxy.domain.feedback_token import sign_feedback
from proxy.domain.fields import fields_of
from proxy.domain.identity import VirtualKey
from proxy.domain.outcome_access import Door, Teller, teller_of
from proxy.domain.outcomes import Verb
from proxy.domain.policy import OutcomePolicy, PublishableKey
from tests.harness.exchanges import EXCHANGE_ID

SECRET = b"s" * 32
NOW_US = 1_795_000_000_000_000
PUBLISHED = "plp_support_pages"
LOCAL = ("Host", "127.0.0.1:4000")


class Keys:
    def find(self, presented: str) -> VirtualKey | None:
        return VirtualKey(alias="web", environment="staging") if presented == "plk_web" else None


OPEN = Door(keyring=Keys(), has_keys=False, policy=OutcomePolicy(), secret=SECRET, is_loopback=True)
CLOSED = replace(
    OPEN,
    has_keys=True,
    admin_token="an-admin-token",
    policy=OutcomePolicy(publishable_keys=(PublishableKey(PUBLISHED, "web"),)),
)


def token(expires_s: int = NOW_US // 1_000_000 + 1, secret: bytes = SECRET) -> tuple[str, str]:
    return "X-LLM-Feedback-Token", sign_feedback(EXCHANGE_ID, expires_s, secret)


def teller(*headers: tuple[str, str], door: Door = CLOSED, verb: Verb = Verb.FEEDBACK, query: str = "") -> Teller:
    return teller_of(fields_of(headers), query, verb, door, NOW_US)


@pytest.mark.parametrize("host", ["127.0.0.1:4000", "localhost", "[::1]:4000"])
def test_without_keys_this_machine_may_tell_anything(host: str) -> None:
    assert teller(("Host", host), door=OPEN, verb=Verb.TASKS) == Teller(name="operator")
    provider_key = ("Authorization", "Bearer sk-theirs")
    assert teller(("Host", host), provider_key, door=OPEN) == Teller(name="operator")


@pytest.mark.parametrize(
    ("door", "host"),
    [
        (replace(OPEN, is_loopback=False), "127.0.0.1"),
        (OPEN, "rebound.example"),
        (CLOSED, "127.0.0.1"),
    ],
)
def test_elsewhere_and_with_keys_nobody_tells_anything_without_one(door: Door, host: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        teller(("Host", host), door=door)
    assert refused.value.code == "outcome_key_required"


@pytest.mark.parametrize(
    "sent",
    [("X-Promptlane-Key", "plk_web"), ("Authorization", "Bearer plk_web"), ("x-api-key", "plk_web")],
)
def test_a_proxy_key_is_taken_where_the_gateway_takes_it(sent: tuple[str, str]) -> None:
    assert teller(sent, verb=Verb.EVENTS) == Teller(name="key web", alias="web", environment="staging")
    assert teller(query="key=plk_web").alias == "web"


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        ((("X-Promptlane-Key", "plk_other"),), Unauthenticated),
        ((("Authorization", "Bearer plk_other"),), Unauthenticated),
        ((("Authorization", "Bearer plp_another_page"),), Unauthenticated),
        ((("Authorization", "Bearer an-admin-toke"),), Unauthenticated),
        ((("X-Promptlane-Key", "plp_another_page"),), Unauthenticated),
    ],
)
def test_what_is_not_known_is_refused(sent: Any, error: type[ProxyError]) -> None:
    with pytest.raises(error):
        teller(*sent, LOCAL)


def test_the_operator_sees_all() -> None:
    assert teller(("Authorization", "Bearer an-admin-token"), verb=Verb.TASKS) == Teller(name="operator")


@pytest.mark.parametrize("place", ["Authorization", "X-Promptlane-Key"])
def test_a_publishable_key_sends_feedback_about_the_calls_of_one_key(place: str) -> None:
    assert teller((place, PUBLISHED)) == Teller(name="publishable web", alias="web")
    with pytest.raises(Forbidden):
        teller((place, PUBLISHED), verb=Verb.TASKS)


def test_a_feedback_token_is_for_one_call_and_counts_more_than_a_key() -> None:
    expected = Teller(name="token", rates_call=EXCHANGE_ID)
    assert teller(token()) == expected
    assert teller(token(), ("Authorization", "Bearer plk_web")) == expected
    assert teller(token(), door=replace(OPEN, is_loopback=False)) == expected
    with pytest.raises(Forbidden):
        teller(token(), verb=Verb.TASKS)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (token(secret=b"t" * 32), "bad_feedback_token"),
        (("X-LLM-Feedback-Token", ""), "bad_feedback_token"),
        (token(NOW_US // 1_000_000), "expired_feedback_token"),
    ],
)
def test_a_forged_or_old_token_is_refused_also_where_no_key_is_needed(sent: tuple[str, str], code: str) -> None:
    for door in (OPEN, CLOSED):
        with pytest.raises(Unauthenticated) as refused:
            teller(LOCAL, sent, door=door)
        assert refused.value.code == code


def test_two_keys_are_one_too_many() -> None:
    class Two:
        def find(self, presented: str) -> VirtualKey | None:
            return VirtualKey(alias=presented) if presented.startswith("plk_") else None

    with pytest.raises(BadRequest):
        teller(("x-api-key", "plk_a"), ("Authorization", "Bearer plk_b"), door=replace(CLOSED, keyring=Two()))
