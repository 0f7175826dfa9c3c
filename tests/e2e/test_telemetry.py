"""OpenTelemetry, from real calls through the real server to a collector: what it is told, and what it cannot do."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.harness.bed import MODEL, Bed, Outcome, chat, message
from tests.harness.client import Leave, Plan
from tests.harness.collector import Collector, SeenSpan
from tests.harness.scripts import dialect_error
from tests.harness.serve import STOP_PATIENCE_S

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANALYTICS = {"version": 1, "otel": {"traces": True, "metrics": True}}
EXPORTER = "proxy.adapters.otel.exporter"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def variables(collector: Collector, **others: str) -> dict[str, str]:
    """Exports come fast, and one that fails is given up soon."""
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_EXPORTER_OTLP_TIMEOUT": "0.5",
        "OTEL_BSP_SCHEDULE_DELAY": "20",
        "OTEL_METRIC_EXPORT_INTERVAL": "100",
        **others,
    }


def routing(provider_url: str) -> object:
    one = {"kind": "openai", "base_url": f"{provider_url}/v1", "credentials": "passthrough"}
    closed = {**one, "base_url": "http://127.0.0.1:9/v1"}
    retried = {"target": "openai", "retries": {"max": 1, "on": ["5xx"]}, "fallback": ["spare/gpt-4.1"]}
    return {
        "version": 1,
        "providers": {
            "openai": one,
            "spare": one,
            "closed": closed,
            "anthropic": {"kind": "anthropic", "base_url": provider_url, "credentials": "passthrough"},
        },
        "models": {"careful": {**retried, "targets": None}, "closed": {"target": "closed"}},
        "default_provider": {"openai": "openai", "anthropic": "anthropic", "gemini": None},
    }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def collector() -> AsyncIterator[Collector]:
    async with Collector() as collector:
        yield collector


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bed(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> AsyncIterator[Bed]:
    folder = tmp_path_factory.mktemp("telemetry")
    async with Bed(folder, routing=routing, analytics=ANALYTICS, environment=variables(collector)) as bed:
        yield bed


async def traced(bed: Bed, collector: Collector, plan: Plan) -> tuple[Outcome, list[SeenSpan]]:
    """Make the call; what PostHog and what the collector was told of it."""
    outcome = await bed.outcome(plan)
    return outcome, await collector.trace_of(outcome.end["exchange_id"])


async def test_a_stream_under_the_callers_span(bed: Bed, collector: Collector) -> None:
    headers = (("traceparent", f"00-{TRACE}-{PARENT}-01"), ("X-Prompt-Version", "pv_7"))
    began_ns = time.time_ns()
    outcome, (call, attempt) = await traced(bed, collector, Plan(body=chat(stream=True), headers=headers))
    assert (call.trace_id, call.parent_id, attempt.parent_id) == (TRACE, PARENT, call.span_id)
    assert (call.name, call.kind, attempt.name, attempt.kind) == ("chat", "server", f"chat {MODEL}", "client")
    assert began_ns <= call.start_ns <= attempt.start_ns <= attempt.end_ns <= call.end_ns <= time.time_ns()
    assert (call.end_ns - call.start_ns) / 1e6 == pytest.approx(outcome.end["latency_ms"], abs=0.002)
    assert call.attributes["promptlane.prompt_version_id"] == "pv_7"
    assert call.attributes["promptlane.ttft_ms"] == outcome.end["ttft_ms"]
    assert call.attributes["promptlane.trace_id"] == TRACE
    usage = {name: attempt.attributes[f"gen_ai.usage.{name}"] for name in ("input_tokens", "output_tokens")}
    assert usage == {name: outcome.end[name] for name in usage}
    assert attempt.attributes["gen_ai.response.finish_reasons"] == ["stop"]
    assert attempt.attributes["gen_ai.response.time_to_first_chunk"] > 0
    assert attempt.attributes["server.address"] == "127.0.0.1"
    assert [call.is_error, attempt.is_error] == [False, False]


async def test_a_plain_call_of_another_dialect(bed: Bed, collector: Collector) -> None:
    plan = Plan(path="/v1/messages", body=message())
    _, (call, attempt) = await traced(bed, collector, plan)
    assert (call.name, call.parent_id, attempt.name) == ("messages", "", "chat claude-sonnet-4-5")
    assert attempt.attributes["gen_ai.provider.name"] == "anthropic"
    assert "gen_ai.response.time_to_first_chunk" not in attempt.attributes


async def test_a_retry_and_a_fallback_are_attempts_of_one_call(bed: Bed, collector: Collector) -> None:
    bed.provider.scripts.extend([dialect_error(500), dialect_error(500)])
    _, (call, first, second, last) = await traced(bed, collector, Plan(body=chat(model="careful")))
    assert [span.attributes["promptlane.target"] for span in (first, second, last)] == [
        "openai",
        "openai",
        "spare/gpt-4.1",
    ]
    assert [span.is_error for span in (call, first, second, last)] == [False, True, True, False]
    assert {span.attributes["error.type"] for span in (first, second)} == {"provider_server_error"}
    assert first.attributes["http.response.status_code"] == 500
    assert (call.attributes["promptlane.attempt_count"], call.attributes["promptlane.fallback_used"]) == (3, True)
    assert first.end_ns <= second.start_ns < second.end_ns <= last.start_ns


async def test_errors_have_a_type_and_no_text(bed: Bed, collector: Collector) -> None:
    for plan, error_type, status in (
        (Plan(body=chat(), script="status:429"), "provider_rate_limit", 429),
        (Plan(body=chat(model="closed")), "upstream_connect", 502),
    ):
        _, spans = await traced(bed, collector, plan)
        for span in spans:
            assert (span.is_error, span.attributes["error.type"], span.says) == (True, error_type, "")
        assert spans[0].attributes["http.response.status_code"] == status


async def test_a_client_that_leaves_is_no_error(bed: Bed, collector: Collector) -> None:
    plan = Plan(body=chat(stream=True), script="hang_after:5", leaves=Leave.MID_STREAM)
    _, (call, attempt) = await traced(bed, collector, plan)
    assert call.attributes["promptlane.status"] == "cancelled"
    assert [call.is_error, attempt.is_error] == [False, False]
    assert attempt.attributes["promptlane.usage_source"] in ("estimated", "mixed")


async def test_a_caller_that_does_not_sample_leaves_no_trace(bed: Bed, collector: Collector) -> None:
    unsampled = (("traceparent", f"00-{'1' * 32}-{PARENT}-00"),)
    await bed.outcome(Plan(body=chat(), headers=unsampled))
    await traced(bed, collector, Plan(body=chat()))
    assert not [span for span in collector.spans if span.trace_id == "1" * 32]


async def test_metrics_count_each_attempt(bed: Bed, collector: Collector) -> None:
    def count(name: str, **wanted: str) -> int:
        labels = {(key.replace("__", "."), value) for key, value in wanted.items()}
        return sum(point.count for key, point in collector.points(name).items() if labels <= set(key))

    duration = "gen_ai.client.operation.duration"
    failed = {"error__type": "provider_overloaded", "promptlane__target": "openai"}
    assert count(duration, **failed) == 0
    await bed.outcome(Plan(body=chat(), script="status:503"))
    await collector.wait_for(lambda _: count(duration, **failed) == 1)
    before = count("gen_ai.client.token.usage", gen_ai__token__type="output")
    await bed.outcome(Plan(body=chat(stream=True)))
    await collector.wait_for(lambda _: count("gen_ai.client.token.usage", gen_ai__token__type="output") == before + 1)
    assert not any(MODEL in repr(labels) for labels in collector.points(duration))


async def test_a_collector_that_is_down_disturbs_no_call(bed: Bed, collector: Collector) -> None:
    await collector.refuse()
    outcomes = [await bed.outcome(Plan(body=chat(stream=True))) for _ in range(5)]
    assert [outcome.fate[0] for outcome in outcomes] == ["success"] * 5
    await collector.listen()
    await traced(bed, collector, Plan(body=chat()))


async def test_a_refusal_is_logged_in_our_words_and_the_last_calls_are_told_before_the_end(tmp_path: Path) -> None:
    headers = "authorization=Bearer%20collector-token"
    async with Collector(status=401) as collector:
        late = variables(collector, OTEL_METRIC_EXPORT_INTERVAL="60000", OTEL_EXPORTER_OTLP_HEADERS=headers)
        async with Bed(tmp_path, analytics=ANALYTICS, environment={**late, "PROMPTLANE_LOG_LEVEL": "debug"}) as bed:
            await bed.outcome(Plan(body=chat()))
            await collector.wait_for(lambda seen: bool(seen.heads))
            collector.status = 200
            await bed.outcome(Plan(body=chat()))
            assert await bed.served.terminate() == 0
        log = bed.served.stderr
    assert sorted(span.kind for span in collector.spans) == ["client", "client", "server", "server"]
    assert set(collector.metrics) == {"gen_ai.client.operation.duration", "gen_ai.client.token.usage"}
    assert collector.heads[0].get("authorization") == "Bearer collector-token"
    assert (log.count(b"does not take telemetry"), log.count(b"takes telemetry again")) == (1, 1)
    assert [word for word in (b"opentelemetry", b"collector-token", str(collector.port).encode()) if word in log] == []


async def test_a_silent_collector_does_not_hold_up_the_end(tmp_path: Path) -> None:
    async with Collector(gate=asyncio.Event()) as collector:
        patient = variables(collector, OTEL_EXPORTER_OTLP_TIMEOUT=str(STOP_PATIENCE_S))
        async with Bed(tmp_path, analytics=ANALYTICS, environment=patient) as bed:
            await bed.outcome(Plan(body=chat()))
            await collector.wait_for(lambda seen: bool(seen.heads))
            began_s = time.monotonic()
            assert await bed.served.terminate() == 0
            assert time.monotonic() - began_s < 10


async def ended(bed: Bed, count: int) -> set[str]:
    """Make so many calls, each on a connection of its own; their ids."""
    plan = Plan(body=chat(stream=True), headers=(("Connection", "close"),))
    outcomes = await asyncio.gather(*(bed.outcome(plan) for _ in range(count)))
    return {outcome.end["exchange_id"] for outcome in outcomes}


def calls_told(collector: Collector) -> list[str]:
    return [span.attributes["promptlane.exchange_id"] for span in collector.spans if span.kind == "server"]


async def test_nothing_is_lost_or_made_up_over_outages_and_kills(tmp_path: Path) -> None:
    traces = {"version": 1, "otel": {"traces": True}}
    async with Collector() as collector:
        await collector.refuse()
        environment = variables(collector)
        async with Bed(tmp_path, analytics=traces, environment=environment, arguments=("--workers", "2")) as bed:
            told = await ended(bed, 12)
            await bed.served.kill()
            await collector.listen()
            collector.status, collector.headers = 429, (("Retry-After", "0"),)
            await bed.served.start()
            told |= await ended(bed, 6)
            await collector.wait_for(lambda seen: bool(seen.heads))
            assert collector.spans == []
            collector.status = 200
            await collector.wait_for(lambda seen: told <= set(calls_told(seen)))
            (child,) = bed.served.processes(EXPORTER)
            os.kill(child, signal.SIGKILL)
            told |= await ended(bed, 6)
            await collector.wait_for(lambda seen: told <= set(calls_told(seen)))
            assert bed.served.stderr.count(b"the process that exports traces has died") == 1
            files = {path.name for path in bed.served.data.glob("journal-*.db")}
        assert {"journal-0.db", "journal-1.db"} <= files
    assert set(calls_told(collector)) == told
    spans = {(span.trace_id, span.span_id): span for span in collector.spans}
    assert len(spans) == 2 * len(told)
    assert {span.start_ns for span in collector.spans} == {span.start_ns for span in spans.values()}
    assert len(collector.spans) - len(spans) <= 2 * 18, "more than the batch under way was repeated"


async def test_without_it_none_of_its_modules_is_imported(tmp_path: Path) -> None:
    async with Bed(tmp_path, environment={"PYTHONPROFILEIMPORTTIME": "1"}) as bed:
        await bed.outcome(Plan(body=chat()))
        assert await bed.served.terminate() == 0
        assert b"proxy.app" in bed.served.stderr
        assert b"opentelemetry" not in bed.served.stderr
        assert b"proxy.adapters.otel" not in bed.served.stderr
