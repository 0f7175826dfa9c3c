from typing import Any

import pytest

from proxy.domain.context_token import sign_context, verify
from proxy.domain.events import EventPolicy, closing, opening, recorded
from proxy.domain.outcome_context import of_claims, of_record, seen_by, sums
from tests.harness.exchanges import EXCHANGE_ID, caller, finished, running

SECRET = b"s" * 32
CALLER = caller(
    prompt_name="p",
    prompt_version_id="v",
    prompt_version_source="header",
    flags=(("f", "treatment"), ("g", "true")),
    key_alias="web",
    session_id="s",
    groups={"company": "acme"},
    task_type="support",
    properties={"plan": "pro"},
    is_anonymous=True,
    retry_count=2,
)


def call(**properties: Any) -> dict[str, Any]:
    return {"properties": properties}


def test_a_record_gives_the_call_as_its_events_tell_it() -> None:
    context = of_record(recorded(closing(finished(caller=CALLER), EventPolicy()).record))
    assert (context.exchange_id, context.trace_id, context.distinct_id) == (EXCHANGE_ID, "trace_1", "user_8f3a")
    assert (context.key_alias, context.own) == ("web", {"plan": "pro"})
    expected = {
        "prompt_name": "p",
        "prompt_version_id": "v",
        "$feature/f": "treatment",
        "$feature/g": True,
        "$groups": {"company": "acme"},
        "$session_id": "s",
        "task_type": "support",
        "model": "gpt-4.1-mini-2025-04-14",
        "provider": "openai",
        "$process_person_profile": False,
    }
    assert expected.items() <= context.properties.items()


def test_what_is_said_of_the_call_alone_is_not_said_of_what_came_of_it() -> None:
    context = of_record(recorded(closing(finished(caller=CALLER), EventPolicy()).record))
    alone = {"retry_count", "latency_ms", "estimated_cost_usd", "status", "proxy_version", "analytics_warnings"}
    assert not alone & context.properties.keys()


def test_the_facts_of_a_running_call_and_a_token_say_nearly_the_same() -> None:
    exchange = finished(caller=CALLER)
    of_store = of_record(recorded(closing(exchange, EventPolicy()).record)).properties
    claims = verify(sign_context(exchange, SECRET), SECRET)
    assert claims is not None
    told = of_claims(claims)
    assert told is not None
    assert told.properties.items() <= of_store.items()
    left_out = {"requested_model", "endpoint", "trace_url", "trace_source", "$active_feature_flags"}
    assert of_store.keys() - told.properties.keys() == left_out - {"trace_url"}
    assert (told.cost_usd, told.key_alias) == (0.0048, "web")
    begun = of_record(recorded(opening(running(caller=CALLER), EventPolicy()).facts)).properties
    assert begun.items() <= {**of_store, "model": "gpt-4.1-mini"}.items()


@pytest.mark.parametrize("claims", [{}, {"exchange_id": "e"}, {"exchange_id": 1, "distinct_id": "d"}])
def test_a_token_that_does_not_say_whose_call_it_was_is_no_context(claims: dict[str, object]) -> None:
    assert of_claims(claims) is None


def test_sums_are_exact_and_leave_out_what_is_not_known() -> None:
    priced = call(estimated_cost_usd=0.1, cost_status="priced", latency_ms=10.5, input_tokens=1)
    more = call(estimated_cost_usd=0.2, cost_status="priced", latency_ms=1, input_tokens=2)
    assert sums([priced, more]) == {
        "request_count": 2,
        "estimated_cost_usd": 0.3,
        "cost_status": "priced",
        "latency_ms": 11.5,
        "input_tokens": 3,
        "output_tokens": None,
    }


@pytest.mark.parametrize(
    ("statuses", "told"),
    [
        (["priced", "unpriced"], "partial"),
        (["priced", None], "partial"),
        (["unpriced"] * 2, "unpriced"),
        ([None], "unknown"),
    ],
)
def test_the_cost_of_a_trace_is_partial_where_that_of_a_call_is_not_known(
    statuses: list[str | None], told: str
) -> None:
    calls = [call(**({} if status is None else {"cost_status": status})) for status in statuses]
    assert sums(calls)["cost_status"] == told


@pytest.mark.parametrize(("alias", "seen"), [(None, ["web", "batch", None]), ("web", ["web", None]), ("other", [None])])
def test_a_key_sees_its_own_calls_and_those_of_no_key(alias: str | None, seen: list[str | None]) -> None:
    sees = seen_by(alias)
    assert [owner for owner in ("web", "batch", None) if sees(call(key_alias=owner))] == seen
