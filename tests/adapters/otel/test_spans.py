import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanKind, StatusCode

from proxy.adapters.otel.spans import SpanMaker, span_count
from proxy.domain.errors import ErrorType, Status
from proxy.domain.exchange import Exchange, Fate
from proxy.domain.identity import ParentSpan
from tests.harness.exchanges import MS, RECEIVED_UNIX_US, SPARE, START_NS, attempt, caller, finished

RECEIVED_NS = RECEIVED_UNIX_US * 1_000
PARENT = ParentSpan("a" * 32, "b" * 16, is_sampled=True)


@pytest.fixture(autouse=True)
def default_sampler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_TRACES_SAMPLER", raising=False)


def spans_of(exchange: Exchange) -> list[ReadableSpan]:
    """The call's own span first, then its attempts."""
    return SpanMaker(TracerProvider(shutdown_on_exit=False), InstrumentationScope("test")).spans_of(exchange)


def context_of(span: ReadableSpan) -> tuple[str, str]:
    assert span.context is not None
    return f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"


def test_a_call_and_its_attempts_have_their_own_times() -> None:
    first = attempt(error_type=ErrorType.UPSTREAM_RESET, ended_ns=START_NS + 20 * MS, reading=None, http_status=None)
    second = attempt(ordinal=1, target=SPARE, started_ns=START_NS + 21 * MS)
    made = finished(first, second)
    call, *attempts = spans_of(made)
    assert span_count(made) == 3
    assert [(span.name, span.kind) for span in (call, *attempts)] == [
        ("chat", SpanKind.SERVER),
        ("chat gpt-4.1-mini", SpanKind.CLIENT),
        ("chat qwen3", SpanKind.CLIENT),
    ]
    assert [(span.start_time, span.end_time) for span in (call, *attempts)] == [
        (RECEIVED_NS, RECEIVED_NS + 1_840 * MS),
        (RECEIVED_NS + 10 * MS, RECEIVED_NS + 20 * MS),
        (RECEIVED_NS + 21 * MS, RECEIVED_NS + 1_810 * MS),
    ]
    assert [span.parent and span.parent.span_id for span in attempts] == [call.context and call.context.span_id] * 2
    assert [span.status.status_code for span in (call, *attempts)] == [
        StatusCode.UNSET,
        StatusCode.ERROR,
        StatusCode.UNSET,
    ]
    assert {span.status.description for span in (call, *attempts)} == {None}


def test_an_attempt_that_was_left_open_ends_with_its_call() -> None:
    call, left = spans_of(finished(attempt(ended_ns=None)))
    assert left.end_time == call.end_time


def test_a_failed_call_is_an_error_and_one_whose_client_left_is_none() -> None:
    for status, error_type, code in (
        (Status.TIMEOUT, ErrorType.TIMEOUT_IDLE, StatusCode.ERROR),
        (Status.CANCELLED, ErrorType.CLIENT_DISCONNECT, StatusCode.UNSET),
    ):
        made = spans_of(finished(fate=Fate(status=status, error_type=error_type)))
        assert [span.status.status_code for span in made] == [code, code]


def test_a_refused_call_has_one_span() -> None:
    refused = finished(fate=Fate(status=Status.ERROR, error_type=ErrorType.UNKNOWN_MODEL))
    refused.attempts.clear()
    (call,) = spans_of(refused)
    assert (call.name, call.status.status_code) == ("chat", StatusCode.ERROR)


def test_a_call_without_a_model_is_named_by_its_operation() -> None:
    assert [span.name for span in spans_of(finished(call=None))] == ["chat", "chat"]


def test_the_callers_span_is_the_parent() -> None:
    call, child = spans_of(finished(caller=caller(parent_span=PARENT)))
    assert context_of(call)[0] == context_of(child)[0] == PARENT.trace_id
    assert call.parent is not None
    assert (f"{call.parent.span_id:016x}", call.parent.is_remote) == (PARENT.span_id, True)


def test_a_caller_that_does_not_sample_is_heeded() -> None:
    unsampled = ParentSpan(PARENT.trace_id, PARENT.span_id, is_sampled=False)
    assert spans_of(finished(caller=caller(parent_span=unsampled))) == []


def test_calls_without_a_parent_have_traces_of_their_own() -> None:
    one, another = spans_of(finished())[0], spans_of(finished())[0]
    assert one.parent is None
    assert context_of(one)[0] != context_of(another)[0]
