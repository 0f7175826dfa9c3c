from datetime import UTC, datetime
from email.utils import format_datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.adapters.posthog_reply import MAX_WAIT_S, Action, Outcome, Sent, Trouble, read_reply, retry_after_s

EVENTS = (Sent(uuid="a", name="llm_request_completed"), Sent(uuid="b", name="$ai_generation"))
NOW_S = 1_800_000_000.0


def v0(status: int = 200, body: bytes = b'{"status":"Ok"}', retry_after: str | None = None) -> Outcome:
    return read_reply(status, body, retry_after, EVENTS, is_v1=False, now_unix_s=NOW_S)


def v1(body: bytes) -> Outcome:
    return read_reply(200, body, None, EVENTS, is_v1=True, now_unix_s=NOW_S)


def everything(outcome: Outcome) -> list[str]:
    dead = [uuid for uuids in outcome.dead.values() for uuid in uuids]
    return sorted([*outcome.verified, *outcome.unverified, *outcome.unknown, *outcome.retry, *dead])


def test_v0_accepts_without_proof() -> None:
    assert v0() == Outcome(action=Action.SETTLE, unverified=("a", "b"))
    assert v0(body=b'{"status":1}').unverified == ("a", "b")


@pytest.mark.parametrize(
    ("limited", "over_quota"),
    [
        ('["events"]', ("a", "b")),
        ('["llm_events"]', ("b",)),
        ('["recordings"]', ()),
        ('["something_new"]', ("a", "b")),
        ("[]", ()),
        ("null", ()),
    ],
)
def test_a_quota_inside_a_200_is_seen(limited: str, over_quota: tuple[str, ...]) -> None:
    outcome = v0(body=b'{"status":"Ok","quota_limited":%b}' % limited.encode())
    assert outcome.dead.get("quota", ()) == over_quota
    assert everything(outcome) == ["a", "b"]


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'"ok"', b'{"status":"O', b"\xff"])
def test_an_unreadable_200_is_no_answer(body: bytes) -> None:
    assert v0(body=body).action is Action.RESEND
    assert v1(body).action is Action.RESEND


def test_v1_needs_its_results() -> None:
    assert v1(b'{"status":"Ok"}').action is Action.RESEND
    assert v1(b'{"results":{}}').verified == ("a", "b")


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), st.recursive(st.none() | st.text(), st.lists, max_leaves=3)))
def test_whatever_the_verdicts_each_event_has_one_fate(verdicts: dict[str, object]) -> None:
    results = {uuid: {"result": verdict} for uuid, verdict in verdicts.items()}
    assert everything(v1(orjson.dumps({"results": results}))) == ["a", "b"]
    assert everything(v1(orjson.dumps({"results": verdicts}))) == ["a", "b"]


@pytest.mark.parametrize(
    ("status", "action", "trouble"),
    [
        (301, Action.PAUSE, Trouble.REDIRECTED),
        (400, Action.BISECT, Trouble.REJECTED),
        (401, Action.PAUSE, Trouble.UNAUTHORIZED),
        (402, Action.WAIT, Trouble.RATE_LIMITED),
        (403, Action.PAUSE, Trouble.UNAUTHORIZED),
        (404, Action.PAUSE, Trouble.NOT_FOUND),
        (408, Action.BACK_OFF, Trouble.SERVER_ERROR),
        (413, Action.HALVE, Trouble.TOO_LARGE),
        (415, Action.PAUSE, Trouble.REJECTED),
        (429, Action.WAIT, Trouble.RATE_LIMITED),
        (500, Action.BACK_OFF, Trouble.SERVER_ERROR),
        (599, Action.BACK_OFF, Trouble.SERVER_ERROR),
    ],
)
def test_each_status_has_its_action(status: int, action: Action, trouble: Trouble) -> None:
    assert (v0(status).action, v0(status).trouble) == (action, trouble)


def test_only_waiting_knows_how_long() -> None:
    assert v0(429, retry_after="7").wait_s == 7.0
    assert v0(503, retry_after="7").wait_s is None


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [
        ("7", 7.0),
        (" 7 ", 7.0),
        ("99999999999999999999", MAX_WAIT_S),
        ("-1", None),
        ("", None),
        ("soon", None),
        ("1.5", None),
        ("\u0667", None),
        (format_datetime(datetime.fromtimestamp(NOW_S + 20, UTC), usegmt=True), 20.0),
        (format_datetime(datetime.fromtimestamp(NOW_S + 9999, UTC), usegmt=True), MAX_WAIT_S),
        (format_datetime(datetime.fromtimestamp(NOW_S - 20, UTC), usegmt=True), None),
        (None, None),
    ],
)
def test_retry_after(value: str | None, wait_s: float | None) -> None:
    assert retry_after_s(value, NOW_S) == wait_s


@given(st.text())
def test_retry_after_takes_any_text(value: str) -> None:
    wait_s = retry_after_s(value, NOW_S)
    assert wait_s is None or 0 <= wait_s <= MAX_WAIT_S
