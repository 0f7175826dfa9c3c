from dataclasses import replace
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import Histogram, InMemoryMetricReader
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics

from proxy.adapters.otel.measures import SECONDS, TOKENS, Measures
from proxy.domain.errors import ErrorType
from proxy.domain.exchange import Exchange
from proxy.domain.usage import Usage
from tests.harness.exchanges import MS, READING, SPARE, START_NS, attempt, finished

DURATION = "gen_ai.client.operation.duration"
FIRST_CHUNK = "gen_ai.client.operation.time_to_first_chunk"
TOKEN_USAGE = "gen_ai.client.token.usage"


def recorded(*exchanges: Exchange) -> dict[str, list[Any]]:
    """The points of each metric that has any."""
    reader = InMemoryMetricReader()
    measures = Measures(MeterProvider(metric_readers=[reader], shutdown_on_exit=False).get_meter("test"))
    for exchange in exchanges:
        measures.record(exchange)
    data = reader.get_metrics_data()
    if data is None:
        return {}
    metrics = data.resource_metrics[0].scope_metrics[0].metrics
    assert all(isinstance(metric.data, Histogram) for metric in metrics)
    return {metric.name: list(metric.data.data_points) for metric in metrics}


def test_a_good_stream_has_duration_first_chunk_and_tokens() -> None:
    points = recorded(finished(), finished())
    (duration,), (first_chunk,) = points[DURATION], points[FIRST_CHUNK]
    assert (duration.count, round(duration.sum, 6)) == (2, 3.6)
    assert (first_chunk.count, round(first_chunk.sum, 6)) == (2, 0.376)
    assert {point.attributes["gen_ai.token.type"]: point.sum for point in points[TOKEN_USAGE]} == {
        "input": 2568,
        "output": 624,
    }
    assert dict(duration.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "server.address": "api.openai.com",
        "server.port": 443,
        "promptlane.target": "openai",
    }


def test_names_and_boundaries_are_those_of_the_conventions() -> None:
    points = recorded(finished())
    assert set(points) == {
        gen_ai_metrics.GEN_AI_CLIENT_OPERATION_DURATION,
        gen_ai_metrics.GEN_AI_CLIENT_OPERATION_TIME_TO_FIRST_CHUNK,
        gen_ai_metrics.GEN_AI_CLIENT_TOKEN_USAGE,
    }
    assert points[DURATION][0].explicit_bounds == points[FIRST_CHUNK][0].explicit_bounds == SECONDS
    assert points[TOKEN_USAGE][0].explicit_bounds == TOKENS
    assert (SECONDS[-1], TOKENS[:2], TOKENS[-1]) == (81.92, (1, 4), 67_108_864)


def test_each_attempt_counts_by_itself_and_only_its_duration_tells_the_error() -> None:
    failed = attempt(
        error_type=ErrorType.PROVIDER_RATE_LIMIT, http_status=429, reading=None, ended_ns=START_NS + 30 * MS
    )
    points = recorded(finished(failed, attempt(ordinal=1, target=SPARE)))
    by_target = {point.attributes["promptlane.target"]: point for point in points[DURATION]}
    assert by_target["openai"].attributes["error.type"] == "provider_rate_limit"
    assert round(by_target["openai"].sum, 6) == 0.02
    assert "error.type" not in by_target["spare/qwen3"].attributes
    assert by_target["spare/qwen3"].attributes["gen_ai.request.model"] == "qwen3"
    assert not any("error.type" in point.attributes for point in points[FIRST_CHUNK] + points[TOKEN_USAGE])


def test_what_is_not_known_is_not_recorded() -> None:
    reading = replace(READING, usage=Usage(output_tokens=3))
    points = recorded(finished(attempt(reading=reading, first_byte_ns=None)))
    assert FIRST_CHUNK not in points
    assert [point.attributes["gen_ai.token.type"] for point in points[TOKEN_USAGE]] == ["output"]
    refused = finished(attempts=[])
    assert recorded(refused) == {}
