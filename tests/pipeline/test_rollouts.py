from dataclasses import replace
from decimal import Decimal

import orjson
import pytest

from proxy.domain.endpoints import Dialect, classify
from proxy.domain.events import EventPolicy
from proxy.domain.exchange import Exchange
from proxy.domain.identity import Caller
from proxy.domain.overrides import UNKNOWN_OVERRIDES, ChangedBy, Override, Overrides
from proxy.domain.rollout import Decision, Reason, Rollout, Split
from proxy.domain.routing import Route, Target, TargetRollout
from proxy.pipeline.rollouts import assign, expose
from tests.pipeline.fakes import CHAT, OPENAI, ScriptedReply, call, request, snapshot, world

FLAG = Rollout(flag="answers", default="control")
HALVES = Split.of({"a": Decimal(50), "b": Decimal(50)})
SPLIT = Rollout(flag="answers", default="a", split=HALVES)


class FakeFlags:
    """Answers `treatment`, and counts how often it is asked."""

    asked = 0

    def decide(self, rollout, caller):
        self.asked += 1
        return Decision(flag=rollout.flag, variant="treatment", reason=Reason.MATCHED)


def told(made):
    """The exposures that were written down."""
    return [event for outcome in made.journal.outcomes for event in outcome.events]


def exchange(distinct_id="user_1"):
    made = Exchange(
        exchange_id="01",
        received_unix_us=0,
        received_ns=0,
        endpoint=classify("POST", "/v1/chat/completions", Dialect.OPENAI),
    )
    made.caller = Caller(distinct_id=distinct_id, trace_id="t", request_id="r")
    return made


def shown(rollout, made, services):
    assign(rollout, made, services)
    expose(made, services)


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


@pytest.mark.parametrize("rollout", [FLAG, SPLIT])
def test_where_nobody_knows_what_is_stopped_everybody_gets_the_default(rollout):
    services = world().services
    services.flags = FakeFlags()
    services.overrides = lambda: UNKNOWN_OVERRIDES
    decided = {assign(rollout, exchange(f"user_{n}"), services) for n in range(20)}
    assert {(made.variant, made.reason, made.is_assigned) for made in decided} == {
        (rollout.default, "unknown_state", False)
    }


def test_a_default_of_one_rollout_is_no_answer_to_another():
    made, services = exchange(), world().services
    assign(FLAG, made, services)
    assert assign(Rollout(flag="answers", default="other"), made, services).variant == "other"


def test_a_person_is_exposed_to_a_variant_once():
    made = world()
    made.services.flags = FakeFlags()
    for distinct_id in ("user_1", "user_2", "user_1"):
        shown(FLAG, exchange(distinct_id), made.services)
    assert [event.name for event in told(made)] == ["$feature_flag_called"] * 2


def test_who_got_a_default_was_not_exposed():
    made = world()
    shown(FLAG, exchange(), made.services)
    assert told(made) == []


def test_without_any_family_of_events_there_are_no_exposures():
    made = world(configured=replace(snapshot(), events=EventPolicy(product=False, ai=False)))
    shown(SPLIT, exchange(), made.services)
    assert told(made) == []


def test_a_bug_in_exposures_does_not_reach_the_call(caplog):
    services = world().services
    services.shared = None  # type: ignore[assignment]
    shown(SPLIT, exchange(), services)
    assert "an exposure could not be written" in caplog.text


async def test_a_split_on_an_alias_chooses_the_target_and_all_events_say_so():
    variants = {"a": Target(provider=OPENAI, model="gpt-4.1"), "b": Target(provider=OPENAI, model="gpt-5")}
    choice = TargetRollout(rollout=SPLIT, targets=variants)
    route = Route(pattern="fast", targets=tuple(variants.values()), rollout=choice)
    asked = request({**CHAT, "model": "fast"}, headers=[("X-PostHog-Distinct-Id", "user_1")])
    made = world(ScriptedReply(steps=[b"{}"]), configured=snapshot(route))
    answer = await call(made, asked)
    variant = HALVES.variant_of("answers", "user_1")
    assert orjson.loads(made.upstream.bodies[0])["model"] == variants[variant].model
    assert answer.headers["x-feature-flag"] == f"answers={variant}"
    said = made.journal.end()
    assert (said["posthog_flag"], said["posthog_flag_variant"]) == ("answers", variant)
    assert (said["posthog_flag_source"], said["posthog_flag_reason"]) == ("assigned", "split")
    assert (said["$feature/answers"], said["$active_feature_flags"]) == (variant, ["answers"])
    assert said["target"] == variants[variant].label
