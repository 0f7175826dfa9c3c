import asyncio
from dataclasses import replace

import pytest

from proxy.domain.endpoints import Dialect, classify
from proxy.domain.errors import (
    BadRequest,
    ErrorType,
    FailedPhase,
    Forbidden,
    Status,
    UpstreamIdleTimeout,
    UpstreamReset,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from proxy.domain.exchange import Attempt, Exchange
from proxy.domain.fate import fate_of
from proxy.domain.meter import Reading, StreamEnd
from proxy.domain.routing import Provider, Target

TARGET = Target(provider=Provider(name="p", label="p", kind="openai", dialect=Dialect.OPENAI, base_url="http://p/v1"))


def exchange(*, http_status: int | None = None, committed: bool = False, reading: Reading | None = None) -> Exchange:
    made = Exchange(
        exchange_id="e",
        received_unix_us=0,
        received_ns=0,
        endpoint=classify("POST", "/v1/chat/completions", Dialect.OPENAI),
    )
    if http_status is not None:
        made.add(Attempt(ordinal=0, target=TARGET, started_ns=0, http_status=http_status, reading=reading))
    made.committed_ns = 1 if committed else None
    return made


def reading(end: StreamEnd = StreamEnd.COMPLETE, finish: str | None = "stop", code: str | None = None) -> Reading:
    return Reading(stream_end=end, finish_reason=finish, error_code=code)


def test_a_whole_good_reply_is_a_success() -> None:
    found = fate_of(exchange(http_status=200, committed=True, reading=reading()), None, is_cutting=False)
    assert (found.status, found.error_type, found.http_status) == (Status.SUCCESS, None, 200)
    assert found.is_completed


@pytest.mark.parametrize("end", [StreamEnd.COMPLETE, StreamEnd.PENDING])
def test_a_reply_cut_by_max_tokens_and_a_queued_one_are_successes(end: StreamEnd) -> None:
    made = exchange(http_status=200, committed=True, reading=reading(end, finish="length"))
    assert fate_of(made, None, is_cutting=False).status is Status.SUCCESS


def test_a_content_filter_blocks_however_it_is_told() -> None:
    finished = exchange(http_status=200, committed=True, reading=reading(finish="content_filter"))
    refused = exchange(http_status=400, committed=True, reading=reading(StreamEnd.ERROR, None, "content_filter"))
    incomplete = replace(reading(finish="incomplete"), incomplete_reason="content_filter")
    cut = exchange(http_status=200, committed=True, reading=incomplete)
    by_gemini = exchange(http_status=200, committed=True, reading=reading(finish="SAFETY"))
    for made in (finished, refused, cut, by_gemini):
        found = fate_of(made, None, is_cutting=False)
        assert (found.status, found.error_type) == (Status.BLOCKED, ErrorType.CONTENT_FILTER)


@pytest.mark.parametrize(
    ("http_status", "error_type"),
    [
        (429, ErrorType.PROVIDER_RATE_LIMIT),
        (401, ErrorType.PROVIDER_AUTHENTICATION),
        (529, ErrorType.PROVIDER_OVERLOADED),
        (500, ErrorType.PROVIDER_SERVER_ERROR),
        (302, ErrorType.PROVIDER_REDIRECT),
    ],
)
def test_a_provider_s_error_is_an_error_with_its_status(http_status: int, error_type: ErrorType) -> None:
    made = exchange(http_status=http_status, committed=True, reading=reading(StreamEnd.ERROR, None))
    found = fate_of(made, None, is_cutting=False)
    assert (found.status, found.error_type, found.http_status) == (Status.ERROR, error_type, http_status)


def test_an_error_event_inside_a_stream_fails_the_call() -> None:
    made = exchange(http_status=200, committed=True, reading=reading(StreamEnd.ERROR, None, "overloaded_error"))
    found = fate_of(made, None, is_cutting=False)
    assert found.status is Status.ERROR
    assert found.failed_phase is FailedPhase.STREAM


def test_a_clean_end_without_a_terminal_marker_is_truncated() -> None:
    made = exchange(http_status=200, committed=True, reading=reading(StreamEnd.TRUNCATED, None))
    assert fate_of(made, None, is_cutting=False).error_type is ErrorType.TRUNCATED


@pytest.mark.parametrize("left", [asyncio.CancelledError(), ConnectionResetError(), BrokenPipeError()])
def test_a_client_that_leaves_early_cancels(left: BaseException) -> None:
    made = exchange(http_status=200, committed=True, reading=reading(StreamEnd.TRUNCATED, None))
    found = fate_of(made, left, is_cutting=False)
    assert (found.status, found.error_type, found.failed_phase) == (
        Status.CANCELLED,
        ErrorType.CLIENT_DISCONNECT,
        FailedPhase.CLIENT,
    )


def test_a_client_that_leaves_after_the_terminal_marker_got_its_reply() -> None:
    made = exchange(http_status=200, committed=True, reading=reading())
    assert fate_of(made, asyncio.CancelledError(), is_cutting=False).status is Status.SUCCESS


def test_a_whole_reply_that_never_went_out_is_still_cancelled() -> None:
    made = exchange(http_status=200, committed=False, reading=reading())
    assert fate_of(made, asyncio.CancelledError(), is_cutting=False).status is Status.CANCELLED


@pytest.mark.parametrize(("ended_ns", "status"), [(1, Status.CANCELLED), (2, Status.SUCCESS)])
def test_a_reply_that_was_held_has_not_reached_a_client_that_leaves(ended_ns: int, status: Status) -> None:
    made = exchange(http_status=200, committed=True, reading=reading())
    made.attempts[0].ended_ns = ended_ns
    assert fate_of(made, ConnectionResetError(), is_cutting=False).status is status


def test_what_the_proxy_cuts_at_its_own_end_is_not_blamed_on_the_client() -> None:
    made = exchange(http_status=200, committed=True, reading=reading(StreamEnd.TRUNCATED, None))
    found = fate_of(made, asyncio.CancelledError(), is_cutting=True)
    assert (found.status, found.error_type) == (Status.ERROR, ErrorType.SHUTDOWN)


@pytest.mark.parametrize(
    ("error", "status", "phase"),
    [
        (UpstreamUnreachable("m"), Status.ERROR, FailedPhase.CONNECT),
        (UpstreamReset("m"), Status.ERROR, FailedPhase.FIRST_BYTE),
        (UpstreamTimeout("m"), Status.TIMEOUT, FailedPhase.FIRST_BYTE),
    ],
)
def test_the_way_to_the_provider_fails_in_its_phase(error, status, phase) -> None:
    made = exchange(http_status=200)
    found = fate_of(made, error, is_cutting=False)
    assert (found.status, found.error_type, found.failed_phase) == (status, error.error_type, phase)
    assert found.http_status == error.http_status


def test_after_commit_a_broken_provider_is_a_stream_failure_with_the_status_that_went_out() -> None:
    made = exchange(http_status=200, committed=True, reading=reading(StreamEnd.TRUNCATED, None))
    for error in (UpstreamReset("m"), UpstreamIdleTimeout("m")):
        found = fate_of(made, error, is_cutting=False)
        assert (found.failed_phase, found.http_status) == (FailedPhase.STREAM, 200)


def test_refusals_of_the_proxy_fail_in_admission_and_policies_block() -> None:
    bad = fate_of(exchange(), BadRequest("m", code="invalid_json"), is_cutting=False)
    assert (bad.status, bad.error_code, bad.failed_phase, bad.http_status) == (
        Status.ERROR,
        "invalid_json",
        FailedPhase.ADMIT,
        400,
    )
    assert fate_of(exchange(), Forbidden("m"), is_cutting=False).status is Status.BLOCKED


def test_a_bug_is_internal() -> None:
    found = fate_of(exchange(http_status=200), RuntimeError("quotes a prompt"), is_cutting=False)
    assert (found.status, found.error_type, found.error_code) == (Status.ERROR, ErrorType.INTERNAL, None)
