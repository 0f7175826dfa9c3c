import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from proxy.domain.chat import ModelCall
from proxy.domain.errors import ErrorType, FailedPhase, Status
from proxy.domain.event_properties import TABLE
from proxy.domain.events import _NAMESPACE, EventPolicy, closing, encoded, event_uuid, interrupted, opening
from proxy.domain.exchange import Exchange, Fate
from proxy.domain.identity import ParentSpan
from proxy.domain.journal_rows import JournalEvent
from proxy.domain.meter import StreamEnd
from proxy.domain.pricing import Cost, CostStatus
from proxy.domain.routing import Target
from proxy.domain.usage import Usage
from tests.harness.exchanges import (
    EMBEDDINGS,
    EXCHANGE_ID,
    MS,
    OPENAI,
    PRICED,
    READING,
    RECEIVED_UNIX_US,
    SPARE,
    START_NS,
    attempt,
    caller,
    finished,
    running,
)

POLICY = EventPolicy(trace_url="https://traces.example/t/{trace_id}?tab=all")
CANCELLED = Fate(status=Status.CANCELLED, error_type=ErrorType.CLIENT_DISCONNECT, failed_phase=FailedPhase.CLIENT)


def started(exchange: Exchange, policy: EventPolicy, planned: Target | None = None) -> tuple[JournalEvent, ...]:
    return opening(exchange, policy, planned).events


def facts(exchange: Exchange, policy: EventPolicy, planned: Target | None = None) -> bytes:
    return opening(exchange, policy, planned).facts


def ended(exchange: Exchange, policy: EventPolicy) -> tuple[JournalEvent, ...]:
    return closing(exchange, policy).events


def record(exchange: Exchange, policy: EventPolicy) -> bytes:
    return closing(exchange, policy).record


def entries(events: tuple[JournalEvent, ...]) -> list[dict[str, Any]]:
    made = [orjson.loads(event.body) for event in events]
    assert [(event.uuid, event.name) for event in events] == [(entry["uuid"], entry["event"]) for entry in made]
    return made


def names(events: tuple[JournalEvent, ...]) -> list[str]:
    return [event.name for event in events]


def test_a_good_call_has_one_start_one_end_and_one_generation() -> None:
    call = finished()
    assert names(started(call, POLICY)) == ["llm_request_started"]
    assert names(ended(call, POLICY)) == ["llm_request_completed", "$ai_generation"]


def test_an_embedding_call_has_an_embedding() -> None:
    assert names(ended(finished(endpoint=EMBEDDINGS), POLICY)) == ["llm_request_completed", "$ai_embedding"]


def test_each_attempt_tells_of_itself() -> None:
    call = finished(
        attempt(http_status=503, error_type=ErrorType.PROVIDER_OVERLOADED, reading=None, cost=None),
        attempt(
            ordinal=1, http_status=None, error_type=ErrorType.UPSTREAM_CONNECT, reading=None, reached_provider=False
        ),
        attempt(ordinal=2, target=SPARE),
    )
    made = entries(ended(call, POLICY))
    assert [entry["event"] for entry in made] == [
        "llm_request_completed",
        "llm_attempt_failed",
        "$ai_generation",
        "llm_attempt_failed",
        "$ai_generation",
    ]
    assert [entry["properties"]["attempt"] for entry in made] == [3, 1, 1, 2, 3]
    assert len({entry["uuid"] for entry in made}) == 5
    assert [entry["properties"].get("$ai_is_error") for entry in made[2::2]] == [True, False]


def test_a_call_that_was_refused_has_an_end_and_nothing_else() -> None:
    refused = running(call=None, ended_ns=START_NS + MS)
    refused.fate = Fate(status=Status.ERROR, error_type=ErrorType.BAD_REQUEST, failed_phase=FailedPhase.ADMIT)
    (end,) = entries(ended(refused, POLICY))
    assert end["event"] == "llm_request_failed"
    assert end["properties"]["failed_phase"] == "admit"


@pytest.mark.parametrize(
    ("status", "name"), [(status, "llm_request_failed") for status in Status if status is not Status.SUCCESS]
)
def test_every_status_but_success_is_a_failure(status: Status, name: str) -> None:
    assert names(ended(finished(fate=Fate(status=status)), POLICY))[0] == name


def test_uuids_follow_from_the_call_the_name_and_the_ordinal() -> None:
    (start,) = started(finished(), POLICY)
    assert start.uuid == event_uuid(EXCHANGE_ID, "llm_request_started")
    assert uuid.UUID(start.uuid).version == 5
    many = {event_uuid(call, name, n) for call in ("a", "b") for name in ("x", "y") for n in (0, 1)}
    assert len(many) == 8
    assert event_uuid(EXCHANGE_ID, "llm_request_completed") == "f46e1877-852a-54c3-9bca-ef846a91f90c"


@given(st.text(), st.text(), st.integers(min_value=0))
def test_uuids_are_those_of_the_standard_library(call: str, name: str, ordinal: int) -> None:
    seed = f"{call}/{name}/{ordinal}"
    assume(seed.isprintable())
    assert event_uuid(call, name, ordinal) == str(uuid.uuid5(_NAMESPACE, seed))


def test_the_same_call_gives_the_same_bytes() -> None:
    assert ended(finished(), POLICY) == ended(finished(), POLICY)
    assert started(finished(), POLICY) == started(running(), POLICY)


def test_timestamps_are_the_calls_own_times() -> None:
    call = finished()
    (start,) = entries(started(call, POLICY))
    end, generation = entries(ended(call, POLICY))
    assert start["timestamp"] == "2026-05-28T20:26:40.000000+00:00"
    assert end["timestamp"] == "2026-05-28T20:26:41.840000+00:00"
    assert generation["timestamp"] == "2026-05-28T20:26:41.810000+00:00"


@given(st.integers(min_value=-(10**15), max_value=10**16))
def test_a_timestamp_is_exact_to_the_microsecond(at_us: int) -> None:
    made = encoded("e", "u", distinct_id="d", at_us=at_us, said=b"")
    told = datetime.fromisoformat(orjson.loads(made.body)["timestamp"])
    assert told == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us)


def test_a_start_tells_who_is_to_answer() -> None:
    (start,) = entries(started(running(), POLICY, SPARE))
    assert (start["properties"]["provider"], start["properties"]["model"]) == ("spare", "qwen3")
    (refused,) = entries(started(running(), POLICY))
    assert "provider" not in refused["properties"]


def test_the_trace_page_has_the_trace_in_it_encoded() -> None:
    assert POLICY.trace_url_of("a/b ?é") == "https://traces.example/t/a%2Fb%20%3F%C3%A9?tab=all"
    (start,) = entries(started(running(), POLICY))
    assert start["properties"]["trace_url"] == "https://traces.example/t/trace_1?tab=all"
    (without,) = entries(started(running(), EventPolicy()))
    assert "trace_url" not in without["properties"]


def test_own_properties_are_on_every_event_and_change_none_of_ours() -> None:
    call = finished(caller=caller(properties={"plan": "pro", "status": "hacked"}))
    for entry in entries((*started(call, POLICY), *ended(call, POLICY))):
        assert entry["properties"]["plan"] == "pro"
    assert entries(ended(call, POLICY))[0]["properties"]["status"] == "success"


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (EventPolicy(product=False), ["$ai_generation", "$ai_generation"]),
        (EventPolicy(ai=False), ["llm_request_started", "llm_request_completed", "llm_attempt_failed"]),
        (EventPolicy(started=False, ai=False), ["llm_request_completed", "llm_attempt_failed"]),
        (EventPolicy(attempt_failed=False, ai=False), ["llm_request_started", "llm_request_completed"]),
        (EventPolicy(product=False, ai=False), []),
        (EventPolicy(sample=0.0), []),
    ],
)
def test_families_and_volume_can_be_turned_down(policy: EventPolicy, expected: list[str]) -> None:
    call = finished(attempt(error_type=ErrorType.TRUNCATED), attempt(ordinal=1))
    assert names((*started(call, policy), *ended(call, policy))) == expected


def test_sampling_keeps_whole_traces_in_proportion_and_every_failure() -> None:
    policy = EventPolicy(sample=0.25)
    kept = [trace for trace in map(str, range(4_000)) if policy.samples(trace)]
    assert 0.22 < len(kept) / 4_000 < 0.28
    assert kept == [trace for trace in map(str, range(4_000)) if policy.samples(trace)]
    left = next(trace for trace in map(str, range(4_000)) if not policy.samples(trace))
    failed = finished(fate=CANCELLED, caller=caller(trace_id=left))
    assert names(ended(failed, policy)) == ["llm_request_failed"]
    assert ended(finished(caller=caller(trace_id=left)), policy) == ()


# --- a process that died ---


def test_a_call_whose_process_died_gets_one_end_always_the_same() -> None:
    call = running(caller=caller(properties={"plan": "pro"}, prompt_version_id="pv_1"))
    told = facts(call, POLICY, OPENAI)
    (end,) = entries(interrupted(told))
    assert interrupted(told) == interrupted(told)
    assert end["uuid"] == event_uuid(EXCHANGE_ID, "llm_request_failed")
    assert end["event"] == "llm_request_failed"
    assert end["distinct_id"] == "user_8f3a"
    assert end["timestamp"] == "2026-05-28T20:26:40.000000+00:00"
    properties = end["properties"]
    assert (properties["status"], properties["error_type"]) == ("error", "interrupted")
    assert (properties["plan"], properties["prompt_version_id"], properties["provider"]) == ("pro", "pv_1", "openai")
    assert "latency_ms" not in properties


def test_an_interrupted_call_has_the_same_uuid_as_its_own_failure_would_have_had() -> None:
    (end,) = interrupted(facts(running(), POLICY))
    assert end.uuid == ended(finished(fate=CANCELLED), POLICY)[0].uuid


def test_no_end_is_made_up_where_the_product_family_is_off() -> None:
    assert interrupted(facts(running(), EventPolicy(product=False))) == ()


@pytest.mark.parametrize("broken", [b"{", b"{}", b'{"v": 2}'])
def test_facts_of_another_release_are_refused(broken: bytes) -> None:
    with pytest.raises((ValueError, KeyError)):
        interrupted(broken)


def test_the_record_tells_the_call_and_each_attempt() -> None:
    failed = attempt(error_type=ErrorType.PROVIDER_RATE_LIMIT, http_status=429, reading=None, cost=None)
    kept = orjson.loads(record(finished(failed, attempt(ordinal=1)), POLICY))
    assert (kept["exchange_id"], kept["trace_id"], kept["event"]) == (EXCHANGE_ID, "trace_1", "llm_request_completed")
    assert kept["ended_unix_us"] - kept["received_unix_us"] == 1_840_000
    assert kept["received_unix_us"] == RECEIVED_UNIX_US
    assert kept["properties"]["input_tokens"] == 1284
    first, second = kept["attempts"]
    assert (first["error_type"], first["http_status"], first["cost_usd"]) == ("provider_rate_limit", 429, None)
    assert (second["cost_usd"], second["started_us"], second["first_token_us"]) == ("0.0048", 10_000, 300_000)
    assert "asked_model" not in first
    assert (second["asked_model"], second["model"]) == ("gpt-4.1-mini", "gpt-4.1-mini-2025-04-14")
    assert not kept.keys() & {"parent_span", "max_tokens"}


def test_the_record_names_the_callers_span_and_the_most_tokens_where_they_are_known() -> None:
    known = caller(parent_span=ParentSpan("a" * 32, "b" * 16, is_sampled=True))
    made = finished(caller=known, call=ModelCall(requested_model="m", max_tokens=256))
    kept = orjson.loads(record(made, POLICY))
    assert kept["parent_span"] == f"00-{'a' * 32}-{'b' * 16}-01"
    assert kept["attempts"][0]["max_tokens"] == 256
    assert orjson.loads(facts(made, POLICY))["parent_span"] == kept["parent_span"]
    huge = finished(call=ModelCall(requested_model="m", max_tokens=2**70))
    assert "max_tokens" not in orjson.loads(record(huge, POLICY))["attempts"][0]


# --- no content, by construction ---


def poisoned() -> Exchange:
    """A canary in every slot of an exchange that is free text from a body or a provider."""
    reading = replace(
        READING,
        finish_reason="CANARY-finish",
        incomplete_reason="CANARY-incomplete",
        response_id="CANARY-response",
        tool_names=("CANARY tool",),
        tool_call_count=1,
        error_code="CANARY-error",
        output_text="CANARY-output",
        answer_head="CANARY-head",
        stream_end=StreamEnd.ERROR,
        usage=Usage(output_tokens=1, service_tier="CANARY-tier", speed="CANARY-speed", inference_geo="CANARY-geo"),
    )
    cost = Cost(
        status=CostStatus.PRICED,
        total_usd=PRICED.total_usd,
        source="CANARY-source",
        reason="CANARY-reason",
        steps=(("CANARY", "CANARY", 3, Decimal(7)),),
    )
    provider = replace(OPENAI.provider, api_key="CANARY-key", base_url="https://CANARY-user:CANARY-pass@host/CANARY")
    tried = attempt(reading=reading, cost=cost, error_code="CANARY-code", target=replace(OPENAI, provider=provider))
    failed = replace(tried, ordinal=1, error_type=ErrorType.PROVIDER_BAD_REQUEST)
    call = ModelCall(requested_model="gpt-4.1-mini", stream=True)
    parsed = {"user": "CANARY-user", "instructions": "CANARY-instructions", "metadata": {"prompt_name": "CANARY"}}
    fate = Fate(status=Status.ERROR, error_type=ErrorType.PROVIDER_STREAM_ERROR, error_code="CANARY-fate")
    return finished(tried, failed, call=call, parsed=parsed, fate=fate)


@pytest.mark.parametrize("endpoint", [None, EMBEDDINGS])
def test_no_free_text_of_a_body_or_a_provider_reaches_an_event_or_the_disk(endpoint: Any) -> None:
    call = poisoned() if endpoint is None else replace(poisoned(), endpoint=endpoint)
    made = (*started(call, POLICY), *ended(call, POLICY))
    assert len(made) == 5
    told = facts(call, POLICY)
    written = b"".join([*(event.body for event in made), told, record(call, POLICY), interrupted(told)[0].body])
    assert b"CANARY" not in written
    assert b"canary" not in written.lower()


def test_every_property_that_is_sent_is_in_the_table() -> None:
    listed = {row.name for row in TABLE}
    call = finished(caller=caller(flags=(("k", "v"),)))
    for entry in entries((*started(call, POLICY), *ended(call, POLICY))):
        assert {name for name in entry["properties"] if not name.startswith("$feature/")} <= listed


def test_the_largest_event_is_well_below_posthogs_limit() -> None:
    long = "é" * 1_000
    who = caller(
        trace_id=long, session_id=long, prompt_name=long, prompt_version_id=long, task_id=long, task_type=long,
        agent_config_id=long, agent_step_name=long, retrieval_config_id=long, document_type=long,
        dataset_example_id=long, flags=tuple((f"{n:0200}", "v" * 200) for n in range(20)),
        properties={f"p{n}": "x" * 200 for n in range(50)},
    )  # fmt: skip
    assert all(len(event.body) < 100_000 for event in ended(finished(caller=who), POLICY))


def test_a_common_event_is_small() -> None:
    sizes = [len(event.body) for event in (*started(finished(), POLICY), *ended(finished(), POLICY))]
    assert max(sizes) < 2_500
