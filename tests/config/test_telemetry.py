import sys

import pytest

from proxy.config import telemetry
from proxy.config.document import Document, parse_document
from proxy.config.telemetry import OtelSection, compile_telemetry
from proxy.domain.policy import Telemetry

BOTH = OtelSection(traces=True, metrics=True)
CANARY = "CANARY-77aa"


def compiled(section: OtelSection = BOTH, /, **env: str) -> tuple[Telemetry, list[str]]:
    document = parse_document("a", b"version: 1\notel: {traces: true, metrics: true}\n", env)
    policy = compile_telemetry(document, section, env)
    return policy, [str(problem) for problem in document.problems]


def test_it_is_off_until_asked_for() -> None:
    assert compiled(OtelSection()) == (Telemetry(), [])
    assert Telemetry() == Telemetry(traces=False, metrics=False)


def test_each_signal_is_asked_for_by_itself() -> None:
    assert compiled(OtelSection(traces=True)) == (Telemetry(traces=True), [])
    assert compiled(OtelSection(metrics=True)) == (Telemetry(metrics=True), [])
    assert compiled(OTEL_BSP_SCHEDULE_DELAY="250", OTEL_BSP_MAX_EXPORT_BATCH_SIZE="64") == (
        Telemetry(traces=True, metrics=True, spans_every_s=0.25, batch_spans=64),
        [],
    )


def test_content_goes_with_spans_or_not_at_all() -> None:
    assert compiled(OtelSection(traces=True, content=True)) == (Telemetry(traces=True, content=True), [])
    assert compiled(OtelSection(content=True))[1] == [
        "a:2:1: otel.content: content goes with spans; write `traces: true` too"
    ]


def test_the_standard_switch_turns_all_of_it_off() -> None:
    assert compiled(OTEL_SDK_DISABLED="TRUE", OTEL_EXPORTER_OTLP_ENDPOINT="wrong") == (Telemetry(), [])
    assert compiled(OTEL_SDK_DISABLED="no")[0].traces


def test_packages_that_are_missing_are_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "PACKAGE", "no_such_package.within")
    (problem,) = compiled()[1]
    assert problem.startswith("a:2:1: otel: the packages for it are not installed; run: pip install opentelemetry-sdk ")
    assert compiled(OtelSection())[1] == []


@pytest.mark.parametrize(
    "env",
    [
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://collector.example/otlp/v1/traces?tenant=a"},
        {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Basic%20abc==,x-scope=1,"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "", "OTEL_TRACES_SAMPLER": "", "OTEL_BSP_SCHEDULE_DELAY": ""},
        {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.05"},
        {"OTEL_EXPORTER_OTLP_TIMEOUT": "2.5", "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION": "gzip"},
        {"OTEL_SPAN_LINK_COUNT_LIMIT": "0", "OTEL_METRICS_EXEMPLAR_FILTER": "trace_based"},
        {"OTEL_EXPORTER_OTLP_CERTIFICATE": sys.executable, "OTEL_METRIC_EXPORT_INTERVAL": "10000"},
    ],
)
def test_what_the_sdk_takes_is_taken(env: dict[str, str]) -> None:
    assert compiled(**env) == (Telemetry(traces=True, metrics=True), [])


@pytest.mark.parametrize(
    ("variable", "value", "need"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "an address that starts with http"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://", "an address that starts with http"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://x:port", "an address that starts with http"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_HEADERS", f"Authorization: Bearer {CANARY}", "name=value pairs"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", f"={CANARY}", "name=value pairs"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "none, gzip or deflate"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "a number of seconds"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/no/such/file", "the path of a file"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote", "one of always_on, always_off, traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "10%", "a number from 0 to 1"),
        ("OTEL_TRACES_SAMPLER_ARG", "1.01", "a number from 0 to 1"),
        ("OTEL_BSP_SCHEDULE_DELAY", "0", "a whole number above 0"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "1e3", "a whole number above 0"),
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "many", "a whole number"),
        ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "-1", "a whole number"),
        ("OTEL_METRICS_EXEMPLAR_FILTER", "all", "one of always_on, always_off, trace_based"),
    ],
)
def test_a_variable_that_the_sdk_would_pass_over_is_named_and_not_echoed(variable: str, value: str, need: str) -> None:
    (problem,) = compiled(**{variable: value})[1]
    assert problem.startswith(f"a:2:1: otel: the environment variable {variable} must be {need}")
    assert CANARY not in problem


def test_every_problem_is_told_at_once() -> None:
    assert len(compiled(OTEL_TRACES_SAMPLER="x", OTEL_EXPORTER_OTLP_ENDPOINT="y")[1]) == 2


def test_without_being_asked_for_nothing_is_checked() -> None:
    document = Document(file="a")
    assert compile_telemetry(document, OtelSection(), {"OTEL_TRACES_SAMPLER": "x"}) == Telemetry()
    assert document.problems == []
