import math

import pytest

from proxy.domain import event_properties
from proxy.domain.outcome_properties import (
    EVENTS,
    FLAG_CALLED,
    OUTPUT_RATED,
    PRODUCT_EVENT,
    RESERVED_NAMES,
    TABLE,
    TASK_COMPLETED,
    allowed,
)


def test_every_row_says_what_it_means_and_is_bounded() -> None:
    for row in TABLE:
        assert row.meaning
        assert 0 < row.limit < math.inf
        assert set(row.events) <= set(EVENTS)


def test_names_are_unique_within_each_event() -> None:
    for event in EVENTS:
        names = [row.name for row in TABLE if event in row.events]
        assert len(names) == len(set(names))


def test_no_event_is_one_of_a_call() -> None:
    assert not set(EVENTS) & set(event_properties.EVENTS)


def test_clients_may_take_no_name_of_either_table() -> None:
    assert {"escalated_to_human", "latency_ms", "uuid"} <= RESERVED_NAMES


@pytest.mark.parametrize(
    ("event", "given", "kept"),
    [
        (TASK_COMPLETED, {"trace_id": "t", "prompt_name": "p", "model": "m"}, {"trace_id", "prompt_name", "model"}),
        (TASK_COMPLETED, {"task_completed": True, "revenue_usd": 1.5}, {"task_completed", "revenue_usd"}),
        (TASK_COMPLETED, {"task_completed": "yes", "revenue_usd": -1, "text": "hello"}, set()),
        (OUTPUT_RATED, {"user_feedback": "positive", "$feature/a": "b"}, {"user_feedback", "$feature/a"}),
        (OUTPUT_RATED, {"user_feedback": "great", "trace_id": None}, set()),
        (FLAG_CALLED, {"$feature/a": True, "user_feedback": "positive"}, {"$feature/a"}),
        ("support_reply_sent", {"accepted_output": True, "reply": "Dear…"}, {"accepted_output"}),
        (PRODUCT_EVENT, {"accepted_output": True}, {"accepted_output"}),
    ],
)
def test_only_rows_of_the_event_go_out(event: str, given: dict[str, object], kept: set[str]) -> None:
    assert set(allowed(event).kept(given)) == kept


def test_members_are_those_of_an_object() -> None:
    assert allowed(OUTPUT_RATED).members({"user_feedback": "positive"}) == b'"user_feedback":"positive"'
    assert allowed(OUTPUT_RATED).members({}) == b""
