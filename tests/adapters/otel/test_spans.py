from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.trace import SpanKind, StatusCode

from proxy.adapters.otel.spans import SpanMaker, trace_id_of
from proxy.domain.errors import ErrorType, Status
from proxy.domain.events import EventPolicy, closing, opening, recorded
from proxy.domain.exchange import Exchange, Fate
from proxy.domain.identity import ParentSpan
from tests.harness.exchanges import MS, RECEIVED_UNIX_US, SPARE, START_NS, attempt, caller, finished

RECEIVED_NS = RECEIVED_UNIX_US * 1_000
PARENT = ParentSpan("a" * 32, "b" * 16, is_sampled=True)
UNSAMPLED = ParentSpan("a" * 32, "b" * 16, is_sampled=False)


def maker() -> SpanMaker:
    return SpanMaker(Resource({}), TracerProvider(shutdown_on_exit=False).sampler, {})


def record(exchange: Exchange) -> dict[str, Any]:
    return recorded(closing(exchange, EventPolicy()).record)


def spans_of(exchange: Exchange) -> list[ReadableSpan]:
    """The call's own span first, then its attempts."""
    return maker().of_call(record(exchange))


def ids_of(span: ReadableSpan) -> tuple[str, str]:
    assert span.context is not None
    return f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"


def test_a_call_and_its_attempts_have_their_own_times() -> None:
    first = attempt(error_type=ErrorType.UPSTREAM_RESET, ended_ns=START_NS + 20 * MS, reading=None, http_status=None)
    second = attempt(ordinal=1, target=SPARE, started_ns=START_NS + 21 * MS)
    call, *attempts = spans_of(finished(first, second))
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


def test_the_same_call_gives_the_same_ids_and_no_two_spans_share_one() -> None:
    made = finished(attempt(error_type=ErrorType.UPSTREAM_RESET), attempt(ordinal=1))
    once, again = ([ids_of(span) for span in spans_of(made)] for _ in range(2))
    assert once == again
    assert len(set(once)) == 3


def test_calls_of_a_trace_are_one_trace_whatever_its_id_looks_like() -> None:
    one = spans_of(finished(caller=caller(trace_id="mine")))[0]
    other = spans_of(finished(caller=caller(trace_id="mine"), exchange_id="another"))[0]
    assert one.parent is None
    assert ids_of(one)[0] == ids_of(other)[0] != ids_of(spans_of(finished())[0])[0]
    assert ids_of(one)[1] != ids_of(other)[1]


@pytest.mark.parametrize("given", ["a" * 32, "0123456789abcdef0123456789abcdef"])
def test_an_id_of_opentelemetrys_form_stays_as_it_is(given: str) -> None:
    assert f"{trace_id_of(given):032x}" == given


@pytest.mark.parametrize("given", ["0" * 32, "A" * 32, "a" * 31, "", "ü" * 32, "018f3c1e-7b2a-7c4d-9e1f-0a1b2c3d4e5f"])
def test_any_other_id_is_told_by_its_digest(given: str) -> None:
    made = trace_id_of(given)
    assert 0 < made < 2**128
    assert f"{made:032x}" != given


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


def test_a_call_whose_process_died_has_one_span_without_length() -> None:
    (call,) = maker().of_call(recorded(opening(finished(caller=caller(parent_span=PARENT)), EventPolicy()).facts))
    assert (call.start_time, call.end_time) == (RECEIVED_NS, RECEIVED_NS)
    assert (call.status.status_code, ids_of(call)[0]) == (StatusCode.ERROR, PARENT.trace_id)


def test_a_call_without_a_model_is_named_by_its_operation() -> None:
    made = finished(attempt(reading=None), call=None)
    assert [span.name for span in spans_of(made)] == ["chat", "chat"]


def test_the_callers_span_is_the_parent_and_its_trace_is_kept() -> None:
    call, child = spans_of(finished(caller=caller(trace_id="mine", parent_span=PARENT)))
    assert ids_of(call)[0] == ids_of(child)[0] == PARENT.trace_id
    assert call.parent is not None
    assert (f"{call.parent.span_id:016x}", call.parent.is_remote) == (PARENT.span_id, True)


def test_a_step_lies_below_the_call_that_asked_for_it() -> None:
    asked = finished(caller=caller(parent_span=PARENT))
    told = {"trace_id": "mine", "tool_name": "search", "duration_ms": 2.5, "step_status": "success"}
    (step,) = maker().of_step("uuid-1", told, RECEIVED_UNIX_US, record(asked))
    assert (step.name, step.kind) == ("execute_tool search", SpanKind.INTERNAL)
    assert (step.start_time, step.end_time) == (RECEIVED_NS - 2_500_000, RECEIVED_NS)
    assert step.parent is not None
    assert (ids_of(step)[0], f"{step.parent.span_id:016x}") == ids_of(spans_of(asked)[0])
    (alone,) = maker().of_step("uuid-1", {"trace_id": "a" * 32, "agent_step_name": "plan"}, RECEIVED_UNIX_US, None)
    assert (alone.name, alone.parent, ids_of(alone)[0]) == ("plan", None, "a" * 32)


def test_a_caller_that_does_not_sample_is_heeded_with_all_that_came_of_the_call() -> None:
    made = finished(caller=caller(parent_span=UNSAMPLED))
    assert spans_of(made) == []
    assert maker().of_step("u", {"trace_id": "t", "tool_name": "x"}, RECEIVED_UNIX_US, record(made)) == []


def test_the_sampler_decides_for_whole_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    wanted = {f"t{number}": bool(spans_of(finished(caller=caller(trace_id=f"t{number}")))) for number in range(40)}
    assert 8 < sum(wanted.values()) < 32
    for trace_id, is_wanted in wanted.items():
        step = maker().of_step("u", {"trace_id": trace_id, "tool_name": "x"}, RECEIVED_UNIX_US, None)
        assert bool(step) is is_wanted
        assert bool(spans_of(finished(caller=caller(trace_id=trace_id), exchange_id="other"))) is is_wanted


@pytest.mark.parametrize("broken", [{}, {"properties": {}}, {**dict.fromkeys(("properties", "trace_id")), "v": 2}])
def test_what_is_no_record_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
        maker().of_call(broken)
