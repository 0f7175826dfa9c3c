import asyncio
import logging
import threading
import time
from collections import Counter

import pytest

from proxy.adapters.flags import evaluation
from proxy.adapters.flags.evaluation import Evaluation
from proxy.domain.flag_definitions import read_definitions
from proxy.domain.identity import Caller
from proxy.domain.rollout import Rollout, Split, by_split
from tests.harness.flags import all_of, cohort, condition, definitions, flag, holds
from tests.harness.posthog import ScriptedPostHog

EVERYBODY = {"control": 50.0, "treatment": 50.0}


def caller(number=0, **more):
    return Caller(**{"distinct_id": f"user_{number}", "trace_id": "t", "request_id": "r", **more})


def made(*flags, wanted=None, allowed=("plan",), **cohorts):
    document = definitions(*flags, **cohorts)
    return Evaluation(
        read_definitions(document), frozenset(wanted or [each["key"] for each in flags]), frozenset(allowed)
    )


def decided(*flags, who=None, asks="answers", **more):
    decision = made(*flags, **more).decide(Rollout(flag=asks, default="the default"), who or caller())
    return decision.variant, decision.reason.value


def test_a_flag_with_variants_decides_as_the_split_of_the_same_shares():
    ready, split = made(flag("answers", variants=EVERYBODY)), Split(tuple(EVERYBODY.items()))
    for number in range(300):
        decision = ready.decide(Rollout(flag="answers", default="x"), caller(number))
        assert decision.variant == by_split("answers", split, f"user_{number}").variant
        assert (decision.reason, decision.facts.id, decision.facts.version) == ("matched", 7, 3)


def test_five_percent_are_five_percent_within_chance():
    ready = made(flag("answers", condition(rollout=5)))
    answers = Counter(ready.decide(Rollout(flag="answers", default="x"), caller(n)).variant for n in range(5_000))
    assert answers.keys() == {"true", "false"}
    assert abs(answers["true"] / 5_000 - 0.05) < 4 * (0.05 * 0.95 / 5_000) ** 0.5


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        pytest.param([], ("the default", "unknown_flag"), id="unknown"),
        pytest.param([flag("answers", active=False)], ("the default", "inactive"), id="inactive"),
        pytest.param([flag("answers", condition(rollout=0))], ("false", "matched"), id="nobody"),
        pytest.param([flag("answers")], ("true", "matched"), id="everybody"),
        pytest.param(
            [flag("answers", condition(holds("country", "exact", "de")))],
            ("the default", "missing_property"),
            id="a property that no call brings",
        ),
        pytest.param(
            [flag("answers", condition(cohort(9)))], ("the default", "unsupported_definition"), id="a static cohort"
        ),
        pytest.param(
            [flag("answers", ensure_experience_continuity=True)],
            ("the default", "unsupported_definition"),
            id="experience continuity",
        ),
        pytest.param(
            [flag("answers", condition(holds("plan", "of_a_later_year", 1)))],
            ("the default", "unsupported_definition"),
            id="an unknown operator",
        ),
        pytest.param(
            [flag("answers", condition(holds("plan", "regex", "(")))],
            ("the default", "unsupported_definition"),
            id="an expression that is none",
        ),
        pytest.param(
            [flag("answers", condition(rollout="half"))], ("the default", "evaluation_failed"), id="a malformed share"
        ),
        pytest.param(
            [flag("answers", condition(*[holds("plan", "exact", ["x"] * 5_001)]))],
            ("the default", "too_costly"),
            id="too many comparisons",
        ),
        pytest.param(
            [flag("answers", variants={"no good, at all": 100})], ("the default", "evaluation_failed"), id="a bad name"
        ),
        pytest.param(
            [flag("answers", bucketing_identifier="device_id")], ("the default", "missing_property"), id="by device"
        ),
        pytest.param(
            [flag("answers", filters={"holdout": {"id": 3, "exclusion_percentage": 100}})],
            ("holdout-3", "matched"),
            id="a holdout",
        ),
    ],
)
def test_what_cannot_be_decided_runs_the_default_and_says_why(flags, expected):
    assert decided(*flags, wanted=["answers"], who=caller(properties={"plan": "pro"})) == expected


@pytest.mark.parametrize(
    ("operator", "value", "plan", "expected"),
    [
        ("exact", ["pro", "team"], "pro", "true"),
        ("exact", ["pro", "team"], "free", "false"),
        ("regex", "^p.o$", "pro", "true"),
        ("regex", "^p.o$", "prod", "false"),
        ("not_regex", "^p.o$", "prod", "true"),
        ("not_regex", "^p.o$", "pro", "false"),
        ("gt", 10, 11, "true"),
        ("regex", "^1[0-9]$", 11, "true"),
        ("regex", "^true$", True, "true"),
    ],
)
def test_conditions_see_the_properties_that_are_allowed(operator, value, plan, expected):
    conditioned = flag("answers", condition(holds("plan", operator, value)))
    bearer = caller(properties={"plan": plan})
    assert decided(conditioned, who=bearer) == (expected, "matched")
    assert decided(conditioned, who=bearer, allowed=()) == ("the default", "missing_property")


def test_the_distinct_id_is_a_property_too():
    assert decided(flag("answers", condition(holds("distinct_id", "regex", "_0$")))) == ("true", "matched")


def test_groups_decide_by_their_key():
    by_group = flag("answers", variants=EVERYBODY, filters={"aggregation_group_type_index": 0})
    split = Split(tuple(EVERYBODY.items()))
    for number in range(20):
        member = caller(number, groups={"company": "acme"})
        assert decided(by_group, who=member) == (split.variant_of("answers", "acme"), "matched")
    assert decided(by_group) == ("false", "matched")
    named = flag(
        "answers",
        condition(holds("$group_key", "regex", "^ac", type="group")),
        filters={"aggregation_group_type_index": 0},
    )
    assert decided(named, who=caller(groups={"company": "acme"})) == ("true", "matched")


def test_cohorts_and_flags_that_a_flag_asks_for_are_evaluated_here():
    asks = {"type": "flag", "key": "base", "value": True, "operator": "flag_evaluates_to", "dependency_chain": ["base"]}
    base = flag("base", condition(cohort(1)))
    members = all_of(holds("plan", "regex", "^pro$"))
    for plan, expected in (("pro", "true"), ("free", "false")):
        answer = decided(
            flag("answers", condition(asks)),
            base,
            who=caller(properties={"plan": plan}),
            wanted=["answers"],
            c1=members,
        )
        assert answer == (expected, "matched")


def test_an_expression_that_may_backtrack_takes_no_time():
    evil = flag("answers", condition(holds("plan", "regex", "(a|aa)+$")))
    ready, who = made(evil), caller(properties={"plan": "a" * 199 + "b"})
    began_s = time.perf_counter()
    assert ready.decide(Rollout(flag="answers", default="x"), who).variant == "false"
    assert time.perf_counter() - began_s < 1.0


ODD = (
    flag("plain", variants=EVERYBODY),
    flag("property", condition(holds("country", "exact", "de"))),
    flag("static", condition(cohort(9))),
    flag("sticky", ensure_experience_continuity=True),
    flag("group", filters={"aggregation_group_type_index": 0}),
    flag("no-group", filters={"aggregation_group_type_index": 5}),
    flag("broken", condition(rollout="half")),
    flag("device", bucketing_identifier="device_id"),
)


def ask_everything():
    """Each flag, and one that is missing, with groups and without, by definitions and by none."""
    keys = [*[each["key"] for each in ODD], "missing"]
    for document in (ODD, ()):
        ready = made(*document, wanted=keys)
        for key in keys:
            for groups in ({}, {"company": "acme"}):
                ready.decide(Rollout(flag=key, default="x"), caller(groups=groups))


async def test_no_evaluation_asks_posthog(monkeypatch):
    async with ScriptedPostHog() as posthog:
        monkeypatch.setattr(evaluation, "_NOWHERE", posthog.url)
        before = threading.active_count()
        await asyncio.to_thread(ask_everything)
        assert threading.active_count() <= before + 1
        assert (posthog.strangers, posthog.posts, posthog.flags_requests) == ([], [], [])


def test_the_sdk_writes_nothing_into_the_log(caplog):
    with caplog.at_level(logging.DEBUG):
        assert decided(flag("answers", condition(rollout="half"))) == ("the default", "evaluation_failed")
    assert caplog.records == []
