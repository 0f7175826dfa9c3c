import orjson
import pytest

from proxy.domain.endpoints import Dialect, classify
from proxy.domain.exchange import Exchange
from proxy.domain.exposures import exposure, exposure_key
from proxy.domain.identity import Caller
from proxy.domain.rollout import Decision, FlagFacts, Reason

MADE = Decision(
    flag="answers", variant="pv_2", reason=Reason.MATCHED, facts=FlagFacts(id=7, version=3, has_experiment=True)
)


def exchange(exchange_id="0190aaaa-0000-7000-8000-000000000001", **caller):
    endpoint = classify("POST", "/v1/chat/completions", Dialect.OPENAI)
    made = Exchange(exchange_id=exchange_id, received_unix_us=1_795_000_000_000_000, received_ns=0, endpoint=endpoint)
    made.caller = Caller(**{"distinct_id": "user_1", "trace_id": "t", "request_id": "r", **caller})
    return made


def said(decision=MADE, **caller):
    (event,) = exposure(decision, exchange(**caller)).events
    return orjson.loads(event.body)


def test_an_exposure_is_what_posthogs_experiments_count():
    event = said(groups={"company": "acme"}, session_id="s", prompt_name="support", prompt_version_id="pv_2")
    assert (event["event"], event["distinct_id"]) == ("$feature_flag_called", "user_1")
    assert event["timestamp"] == "2026-11-18T11:06:40.000000+00:00"
    properties = event["properties"]
    assert properties["$feature_flag"] == "answers"
    assert properties["$feature_flag_response"] == properties["$feature/answers"] == "pv_2"
    assert properties["locally_evaluated"] is True
    assert properties["$feature_flag_reason"] == "Evaluated locally"
    assert (properties["$feature_flag_id"], properties["$feature_flag_version"]) == (7, 3)
    assert properties["$feature_flag_has_experiment"] is True
    assert (properties["$groups"], properties["$session_id"]) == ({"company": "acme"}, "s")
    assert (properties["prompt_name"], properties["prompt_version_id"]) == ("support", "pv_2")
    assert "$process_person_profile" not in properties


def test_a_boolean_flag_is_a_boolean_and_an_anonymous_caller_gets_no_profile():
    off = Decision(flag="answers", variant="false", reason=Reason.MATCHED)
    properties = said(off, is_anonymous=True)["properties"]
    assert properties["$feature_flag_response"] is False
    assert properties["$process_person_profile"] is False
    assert "$feature_flag_id" not in properties


def test_the_same_exposure_has_the_same_uuid_whichever_call_it_comes_from():
    first, second = exchange(), exchange("0190aaaa-0000-7000-8000-000000000002", trace_id="another")
    assert exposure(MADE, first).events[0].uuid == exposure(MADE, second).events[0].uuid


@pytest.mark.parametrize(
    ("decision", "distinct_id"),
    [
        (MADE, "user_2"),
        (Decision(flag="answers", variant="pv_1", reason=Reason.MATCHED), "user_1"),
        (Decision(flag="others", variant="pv_2", reason=Reason.MATCHED), "user_1"),
    ],
)
def test_another_person_flag_or_variant_is_another_exposure(decision, distinct_id):
    assert exposure_key(decision, distinct_id) != exposure_key(MADE, "user_1")
    assert len(exposure_key(decision, distinct_id)) == 16
