"""The oracle must find each way of losing, doubling or inventing: every rule is shown a ledger that breaks it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest

from tests.harness.call import Record
from tests.harness.client import ClientCall, Ending, Leave, Plan
from tests.harness.http1 import Head
from tests.harness.oracle import COMPLETED, FAILED, STARTED, Evidence, NotConserved, verify

SECOND = 1_000_000_000


def call(number: int = 0, **facts: Any) -> ClientCall:
    plan = facts.pop("plan", Plan(expected_end=COMPLETED))
    known = {"began_ns": 1, "head_ns": 2, "ended_ns": 3, "status": 200, "ending": Ending.COMPLETE, **facts}
    return ClientCall(call_id=f"call-{number}", plan=plan, **known)


def event(name: str, number: int = 0, **properties: Any) -> dict[str, Any]:
    request_id = f"call-{number}"
    return {
        "event": name,
        "uuid": str(uuid5(NAMESPACE_URL, name + request_id)),
        "distinct_id": "user",
        "timestamp": "2026-11-23T12:00:00Z",
        "properties": {"request_id": request_id, **properties},
    }


def seen(number: int = 0) -> Record:
    return Record(Head(f"POST / HTTP/1.1\r\nX-Call-Id: call-{number}\r\n\r\n".encode()), 1, 1)


GOOD = [event(STARTED), event(COMPLETED), event("$ai_generation")]


def evidence(**changes: Any) -> Evidence:
    return replace(Evidence(calls=[call()], provider=[seen()], delivered=GOOD), **changes)


def refuses(found: Evidence, rule: str) -> None:
    with pytest.raises(NotConserved, match=rule):
        verify(found)


def test_a_call_with_one_start_and_one_end_is_conserved() -> None:
    verdict = verify(evidence())
    assert (verdict.admitted, verdict.by_end[COMPLETED], verdict.resent) == (1, 1, 0)


def test_pending_and_dead_events_count() -> None:
    assert verify(evidence(delivered=GOOD[:1], kept=GOOD[1:])).admitted == 1


def test_identical_resends_are_allowed_and_counted() -> None:
    assert verify(evidence(delivered=GOOD + GOOD, kept=GOOD[:1])).resent == 3


BREAKS: dict[str, tuple[str, Callable[[], Evidence]]] = {
    "lost end": ("events missing", lambda: evidence(delivered=[GOOD[0], GOOD[2]])),
    "lost start": ("events missing", lambda: evidence(delivered=GOOD[1:])),
    "lost call": ("events missing", lambda: evidence(delivered=[])),
    "two ends": ("more than one", lambda: evidence(delivered=[*GOOD, event(FAILED)])),
    "two starts": ("more than one", lambda: evidence(delivered=[*GOOD, {**GOOD[0], "uuid": "other"}])),
    "stranger": ("events of no call", lambda: evidence(delivered=[*GOOD, event(STARTED, 7)])),
    "refused call": ("owes none", lambda: evidence(calls=[call(plan=Plan(owes_events=False))])),
    "left in head": (
        "owes none",
        lambda: evidence(calls=[call(plan=Plan(leaves=Leave.IN_HEAD), status=None, ending=Ending.LEFT)]),
    ),
    "divergent": (
        "two different events",
        lambda: evidence(delivered=[*GOOD, event(COMPLETED, status="error")]),
    ),
    "divergent kept": (
        "two different events",
        lambda: evidence(kept=[{**GOOD[0], "timestamp": "2026-11-24T12:00:00Z"}]),
    ),
    "kept twice": ("kept twice", lambda: evidence(kept=[GOOD[0], GOOD[0]])),
    "double spend": ("too often", lambda: evidence(provider=[seen(), seen()])),
    "wrong end": ("the wrong end", lambda: evidence(delivered=[GOOD[0], event(FAILED), GOOD[2]])),
    "interrupted": (
        "interrupted without a kill",
        lambda: evidence(delivered=[GOOD[0], event(FAILED, error_type="interrupted"), GOOD[2]]),
    ),
    "silent": ("waited for ever", lambda: evidence(calls=[call(ending=Ending.SILENT)])),
    "generation lost": ("AI events", lambda: evidence(delivered=GOOD[:2])),
    "generation invented": ("AI events", lambda: evidence(provider=[])),
    "false drops": ("did not happen", lambda: evidence(dropped=1)),
    "uncounted drops": ("1 counted as dropped", lambda: evidence(delivered=[], dropped=1)),
    "half of an uncertain call": (
        "without an end",
        lambda: evidence(calls=[call(status=None, ending=Ending.LEFT)], provider=[], delivered=GOOD[:1]),
    ),
}


@pytest.mark.parametrize("case", BREAKS)
def test_every_rule_bites(case: str) -> None:
    rule, broken = BREAKS[case]
    refuses(broken(), rule)


def test_counted_drops_explain_what_is_missing() -> None:
    verify(evidence(delivered=[], dropped=2))


def test_a_call_that_left_unseen_may_have_both_or_none() -> None:
    left = call(status=None, head_ns=None, ending=Ending.LEFT, plan=Plan(leaves=Leave.IN_BODY))
    verify(evidence(calls=[left], provider=[], delivered=[]))
    verify(evidence(calls=[left], provider=[], delivered=[event(STARTED), event(FAILED)]))


KILL = 10 * SECOND


@pytest.mark.parametrize(
    ("ended", "is_owed"), [(KILL - SECOND, True), (KILL - SECOND // 10, False), (KILL + SECOND, False)]
)
def test_a_kill_excuses_only_what_was_not_yet_durable(ended: int, is_owed: bool) -> None:
    killed = call(began_ns=KILL - 2 * SECOND, head_ns=ended, ended_ns=ended)
    found = evidence(calls=[killed], delivered=[], kills_ns=[KILL])
    if is_owed:
        refuses(found, "events missing")
    else:
        verify(found)


def test_a_call_that_ended_long_before_the_kill_may_not_be_interrupted() -> None:
    ended = call(began_ns=1, head_ns=SECOND, ended_ns=SECOND)
    interrupted = [GOOD[0], event(FAILED, error_type="interrupted"), GOOD[2]]
    refuses(evidence(calls=[ended], delivered=interrupted, kills_ns=[KILL]), "interrupted without a kill")


def test_a_call_in_flight_at_the_kill_is_interrupted() -> None:
    running = call(began_ns=SECOND, head_ns=2 * SECOND, ended_ns=KILL + 1, ending=Ending.BROKEN)
    interrupted = [GOOD[0], event(FAILED, error_type="interrupted")]
    assert verify(evidence(calls=[running], delivered=interrupted, kills_ns=[KILL])).interrupted == 1


def test_the_report_names_the_calls() -> None:
    plan = Plan(kind="plain chat", leaves=Leave.MID_STREAM)
    with pytest.raises(NotConserved) as caught:
        verify(evidence(calls=[call(plan=plan)], delivered=[*GOOD, event(FAILED)]))
    assert "call-0 [plain chat, leaves mid_stream] 200 complete" in str(caught.value)
