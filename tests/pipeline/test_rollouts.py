from decimal import Decimal

import pytest

from proxy.domain.endpoints import Dialect, classify
from proxy.domain.exchange import Exchange
from proxy.domain.identity import Caller
from proxy.domain.overrides import ChangedBy, Override, Overrides
from proxy.domain.rollout import Decision, Reason, Rollout, Split
from proxy.pipeline.rollouts import assign
from tests.pipeline.fakes import world

FLAG = Rollout(flag="answers", default="control")
SPLIT = Rollout(flag="answers", default="a", split=Split.of({"a": Decimal(50), "b": Decimal(50)}))


class FakeFlags:
    """Answers `treatment`, and counts how often it is asked."""

    asked = 0

    def decide(self, rollout, caller):
        self.asked += 1
        return Decision(flag=rollout.flag, variant="treatment", reason=Reason.MATCHED)


def exchange(distinct_id="user_1"):
    made = Exchange(
        exchange_id="01",
        received_unix_us=0,
        received_ns=0,
        endpoint=classify("POST", "/v1/chat/completions", Dialect.OPENAI),
    )
    made.caller = Caller(distinct_id=distinct_id, trace_id="t", request_id="r")
    return made


def test_a_flag_is_asked_once_for_each_call():
    flags, made, services = FakeFlags(), exchange(), world().services
    services.flags = flags
    decided = assign(FLAG, made, services)
    assert assign(Rollout(flag="answers", default="other"), made, services) is decided
    assert (flags.asked, made.decisions) == (1, (decided,))


def test_without_credentials_for_posthog_the_default_runs_and_says_so():
    decided = assign(FLAG, exchange(), world().services)
    assert (decided.variant, decided.reason) == ("control", "not_configured")


def test_a_split_needs_no_posthog():
    variants = {assign(SPLIT, exchange(f"user_{number}"), world().services).variant for number in range(20)}
    assert variants == {"a", "b"}


@pytest.mark.parametrize("rollout", [FLAG, SPLIT])
def test_an_override_counts_before_all(rollout):
    services = world().services
    services.flags = FakeFlags()
    stopped = Override(shares={"a": 0.0, "b": 100.0}, changed_by=ChangedBy.GUARDRAIL, changed_at_unix_us=0)
    services.overrides = lambda: Overrides({"answers": stopped})
    assert {assign(rollout, exchange(f"user_{n}"), services).variant for n in range(20)} == {"b"}
