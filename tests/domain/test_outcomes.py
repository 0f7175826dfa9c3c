from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.domain.identity import IdentityPolicy, Person
from proxy.domain.outcome_properties import EVENTS, allowed
from proxy.domain.outcomes import (
    MOST_OUTCOMES,
    MOST_PROBLEMS,
    BadOutcome,
    Outcome,
    Reference,
    Terms,
    Verb,
    place,
    read,
)

NOW_US = 1_795_000_000_000_000
"""2026-11-18T11:06:40Z."""
POLICY = IdentityPolicy(secret=b"0123456789abcdef", allowed_properties=frozenset({"plan"}))
RATING = {"trace_id": "t", "user_feedback": "positive"}


def terms(verb: Verb = Verb.FEEDBACK, **more: Any) -> Terms:
    return Terms(**{"verb": verb, "policy": POLICY, "now_unix_us": NOW_US, **more})


def one(body: object, verb: Verb = Verb.FEEDBACK, **more: Any) -> Outcome:
    (outcome,) = read(body, terms(verb, **more))
    return outcome


def problems(body: object, verb: Verb = Verb.FEEDBACK, **more: Any) -> dict[str, str]:
    with pytest.raises(BadOutcome) as caught:
        read(body, terms(verb, **more))
    return {problem.path: problem.message for problem in caught.value.problems}


def said(outcome: Outcome) -> dict[str, object]:
    return {name: value for name, value in outcome.values.items() if value is not None}


@pytest.mark.parametrize(
    ("verb", "body", "event", "values"),
    [
        (Verb.FEEDBACK, {"user_feedback": "negative"}, "llm_output_rated", {"user_feedback": "negative"}),
        (Verb.FEEDBACK, {"accepted_output": True}, "llm_output_rated", {"accepted_output": True}),
        (
            Verb.TASKS,
            {"task_completed": True, "revenue_usd": 12.5, "task_type": "support", "session_id": "s"},
            "llm_task_completed",
            {"task_completed": True, "revenue_usd": 12.5, "task_type": "support", "$session_id": "s"},
        ),
        (
            Verb.EVALS,
            {"eval_name": "grounded", "eval_passed": False, "eval_reason_code": "no_source"},
            "llm_output_evaluated",
            {"eval_name": "grounded", "eval_passed": False, "eval_reason_code": "no_source"},
        ),
        (
            Verb.STEPS,
            {"tool_name": "search", "step_status": "error", "duration_ms": 12},
            "llm_agent_step",
            {"tool_name": "search", "step_status": "error", "duration_ms": 12},
        ),
        (
            Verb.EVENTS,
            {"event": "support_reply_sent", "escalated_to_human": False, "groups": {"company": "acme"}},
            "support_reply_sent",
            {"escalated_to_human": False, "$groups": {"company": "acme"}},
        ),
    ],
)
def test_what_each_verb_takes(verb: Verb, body: dict[str, object], event: str, values: dict[str, object]) -> None:
    outcome = one({"trace_id": "t", **body}, verb)
    assert (outcome.event, said(outcome), outcome.about) == (event, values, Reference(trace_id="t"))


def test_whom_and_what_it_is_about_and_by_which_name() -> None:
    body = {**RATING, "request_id": "r", "exchange_id": "e", "context": "c", "id": " 7 ", "distinct_id": "user_1"}
    outcome = one({**body, "properties": {"plan": "pro"}, "timestamp": "2026-11-18T12:00:00+01:00"})
    assert outcome.about == Reference(trace_id="t", request_id="r", exchange_id="e", context="c")
    assert (outcome.id, outcome.person, outcome.own) == ("7", Person("user_1"), {"plan": "pro"})
    assert outcome.at_unix_us == NOW_US - 400 * 1_000_000


def test_the_identity_rule_holds_for_an_id_that_is_given() -> None:
    person = one({**RATING, "distinct_id": "ada@example.com"}).person
    assert person is not None
    assert person.is_hashed
    assert "ada" not in person.distinct_id
    nobody = IdentityPolicy(secret=b"s", mode="none")
    assert one({**RATING, "distinct_id": "user_1"}, policy=nobody).person is None


def test_null_is_as_good_as_absent() -> None:
    assert one({**RATING, "id": None, "properties": None, "timestamp": None}) == one(RATING)


def test_an_array_keeps_its_order_and_names_its_places() -> None:
    outcomes = read([RATING, {**RATING, "trace_id": "u"}], terms())
    assert [(outcome.about.trace_id, outcome.path) for outcome in outcomes] == [("t", "[0]"), ("u", "[1]")]


def test_what_the_headers_are_about_counts_for_those_that_do_not_say() -> None:
    about = Reference(context="token")
    outcomes = read([RATING, {"user_feedback": "neutral"}], terms(about=about))
    assert [outcome.about for outcome in outcomes] == [Reference(trace_id="t"), about]


@pytest.mark.parametrize(
    ("verb", "body", "path", "words"),
    [
        (Verb.FEEDBACK, 3, "", "object"),
        (Verb.FEEDBACK, None, "", "object"),
        (Verb.FEEDBACK, [], "", "1 to 100"),
        (Verb.FEEDBACK, [RATING] * (MOST_OUTCOMES + 1), "", "1 to 100"),
        (Verb.FEEDBACK, [RATING, "x"], "[1]", "object"),
        (Verb.FEEDBACK, {"user_feedback": "positive"}, "trace_id", "or give request_id or exchange_id or context"),
        (Verb.FEEDBACK, {"trace_id": "t"}, "user_feedback", "or give accepted_output or edited_output"),
        (Verb.FEEDBACK, {**RATING, "user_feedback": "up"}, "user_feedback", "one of negative, neutral, positive"),
        (Verb.FEEDBACK, {**RATING, "user_feedbak": 1}, "user_feedbak", "did you mean user_feedback?"),
        (Verb.FEEDBACK, {**RATING, "comment": "hm"}, "comment", "no field of feedback"),
        (Verb.FEEDBACK, {**RATING, "revenue_usd": 1}, "revenue_usd", "no field of feedback"),
        (Verb.FEEDBACK, {**RATING, "accepted_output": 1}, "accepted_output", "true or false"),
        (Verb.FEEDBACK, {**RATING, "trace_id": "a\nb"}, "trace_id", "without control characters"),
        (Verb.FEEDBACK, {**RATING, "trace_id": 7}, "trace_id", "text"),
        (Verb.FEEDBACK, {**RATING, "trace_id": " "}, "trace_id", "1 to 1,000"),
        (Verb.FEEDBACK, {**RATING, "task_id": "sk-abcDEF0123456789xyz"}, "task_id", "looks like a key"),
        (Verb.FEEDBACK, {**RATING, "id": "x" * 201}, "id", "1 to 200"),
        (Verb.FEEDBACK, {**RATING, "distinct_id": "NULL"}, "distinct_id", "PostHog refuses"),
        (Verb.FEEDBACK, {**RATING, "distinct_id": "é" * 150}, "distinct_id", "200 bytes"),
        (Verb.FEEDBACK, {**RATING, "timestamp": "yesterday"}, "timestamp", "with its zone"),
        (Verb.FEEDBACK, {**RATING, "timestamp": "2026-11-18T11:00:00"}, "timestamp", "with its zone"),
        (Verb.FEEDBACK, {**RATING, "timestamp": "2026-11-18T12:00:00Z"}, "timestamp", "366 days"),
        (Verb.FEEDBACK, {**RATING, "timestamp": "2024-11-18T12:00:00Z"}, "timestamp", "366 days"),
        (Verb.FEEDBACK, {**RATING, "timestamp": 1795000000}, "timestamp", "text"),
        (Verb.FEEDBACK, {**RATING, "groups": {"company": 1}}, "groups", "1 to 5 texts"),
        (Verb.FEEDBACK, {**RATING, "groups": []}, "groups", "object"),
        (Verb.FEEDBACK, {**RATING, "properties": [1]}, "properties", "object"),
        (Verb.FEEDBACK, {**RATING, "properties": {"secret": 1}}, "properties.secret", "properties.allow"),
        (Verb.FEEDBACK, {**RATING, "properties": {"$set": 1}}, "properties.$set", "uses itself"),
        (Verb.FEEDBACK, {**RATING, "properties": {"latency_ms": 1}}, "properties.latency_ms", "uses itself"),
        (Verb.FEEDBACK, {**RATING, "properties": {"plan": [1]}}, "properties.plan", "text, a number"),
        (Verb.FEEDBACK, {**RATING, "properties": {"plan": "x" * 201}}, "properties.plan", "200 characters"),
        (Verb.TASKS, {"trace_id": "t"}, "task_completed", "missing"),
        (Verb.TASKS, {"trace_id": "t", "task_completed": "yes"}, "task_completed", "true or false"),
        (Verb.TASKS, {"trace_id": "t", "task_completed": True, "revenue_usd": -1}, "revenue_usd", "number from 0"),
        (Verb.TASKS, {"trace_id": "t", "task_completed": True, "retry_count": 1.5}, "retry_count", "whole number"),
        (Verb.EVALS, {"trace_id": "t", "eval_passed": True}, "eval_name", "missing"),
        (Verb.EVALS, {"trace_id": "t", "eval_name": "x"}, "eval_passed", "or give eval_score"),
        (Verb.STEPS, {"trace_id": "t"}, "tool_name", "or give agent_step_name"),
        (Verb.EVENTS, {"trace_id": "t"}, "event", "missing"),
        (Verb.EVENTS, {"trace_id": "t", "event": "$pageview"}, "event", "begin with a letter"),
        (Verb.EVENTS, {"trace_id": "t", "event": 'a"b'}, "event", "begin with a letter"),
        (Verb.EVENTS, {"trace_id": "t", "event": "llm_request_completed"}, "event", "that the proxy makes"),
        (Verb.EVENTS, {"trace_id": "t", "event": "llm_output_rated"}, "event", "that the proxy makes"),
        (Verb.EVENTS, {"trace_id": "t", "event": "your own events"}, "event", "that the proxy makes"),
    ],
)
def test_a_bad_field_is_named(verb: Verb, body: object, path: str, words: str) -> None:
    named = problems(body, verb)
    assert [words in named[path], len(named)] == [True, 1]


def test_every_bad_field_of_every_object_is_named_up_to_a_bound() -> None:
    named = problems([RATING, {"user_feedback": 1, "id": 2}, {**RATING, "properties": {"a": 1, "b": 2}}])
    assert list(named) == ["[1].user_feedback", "[1].id", "[2].properties.a", "[2].properties.b"]
    with pytest.raises(BadOutcome) as caught:
        read([{"a": 1, "b": 2}] * MOST_OUTCOMES, terms())
    assert len(caught.value.problems) == MOST_PROBLEMS


def test_one_id_names_one_outcome_of_an_array() -> None:
    named = problems([{**RATING, "id": "a"}, {**RATING, "id": "b"}, {**RATING, "id": "a"}])
    assert named == {"[2].id": "is the id of [0] too"}


def test_an_event_may_be_about_a_person_alone() -> None:
    assert one({"event": "ticket_closed", "distinct_id": "user_1"}, Verb.EVENTS).about == Reference()


def test_who_has_a_token_alone_says_what_a_user_thought_and_no_more() -> None:
    about = Reference(exchange_id="e")
    outcome = one({"user_feedback": "positive"}, about=about, is_rating_alone=True)
    assert (outcome.about, said(outcome)) == (about, {"user_feedback": "positive"})
    more = {**RATING, "distinct_id": "another", "id": "x", "properties": {"plan": "x"}, "task_type": "x"}
    assert set(problems(more, about=about, is_rating_alone=True)) == more.keys() - {"user_feedback"}


def test_a_name_that_cannot_be_shown_is_not() -> None:
    assert set(problems({**RATING, "a\nb": 1, "x" * 100: 1})) == {"?", "x" * 64}


def test_a_path_leads_from_the_object_to_the_field() -> None:
    assert [place("", "id"), place("[1]", "id"), place("[1]", "")] == ["id", "[1].id", "[1]"]


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
)
FIELDS = st.sampled_from(
    ["trace_id", "user_feedback", "id", "properties", "groups", "timestamp", "event", "distinct_id", "revenue_usd", "x"]
)


@given(verb=st.sampled_from(Verb), body=JSON | st.lists(st.dictionaries(FIELDS, JSON, max_size=6), max_size=4))
def test_whatever_comes_is_read_whole_or_refused_with_places(verb: Verb, body: object) -> None:
    outcomes: tuple[Outcome, ...] = ()
    with suppress(BadOutcome):
        outcomes = read(body, terms(verb))
    for outcome in outcomes:
        good = said(outcome)
        assert allowed(outcome.event).kept(good) == good
        assert outcome.event in EVENTS or verb is Verb.EVENTS


def test_no_message_repeats_what_was_sent() -> None:
    swordfish = dict.fromkeys(("trace_id", "user_feedback", "timestamp", "groups", "id"), "sword\nfish")
    named = problems({**swordfish, "properties": {"plan": "swordfish" * 50}})
    assert len(named) == 6
    assert "sword" not in repr(named)
