"""How a call ended, told from what happened: exactly one answer, from closed lists."""

from functools import lru_cache

from proxy.domain.errors import (
    ErrorType,
    FailedPhase,
    Forbidden,
    ProxyError,
    Status,
    UpstreamError,
)
from proxy.domain.exchange import Attempt, Exchange, Fate
from proxy.domain.meter import StreamEnd
from proxy.domain.provider_errors import errors_of_provider, is_content_filter, status_of

_COMPLETE = StreamEnd.COMPLETE


def fate_of(exchange: Exchange, error: BaseException | None, *, is_cutting: bool) -> Fate:
    """The one end. `error` is what left the pipeline, None when the last byte was handed to the client.

    `is_cutting` says that the proxy itself is ending running calls, so that a cancellation is not the client's.
    """
    attempt = exchange.final_attempt
    http_status = attempt.http_status if attempt else None
    if isinstance(error, ProxyError):
        return _fate_of_proxy_error(error, exchange)
    if error is not None and not _was_delivered(exchange):
        if not isinstance(error, Exception) or isinstance(error, ConnectionError):
            if is_cutting:
                return Fate(status=Status.ERROR, error_type=ErrorType.SHUTDOWN, failed_phase=_phase(exchange))
            return Fate(
                status=Status.CANCELLED,
                error_type=ErrorType.CLIENT_DISCONNECT,
                failed_phase=FailedPhase.CLIENT,
                http_status=http_status,
            )
        return Fate(
            status=Status.ERROR,
            error_type=ErrorType.INTERNAL,
            failed_phase=_phase(exchange),
            http_status=http_status,
        )
    if attempt is None:
        return Fate(status=Status.ERROR, error_type=ErrorType.INTERNAL, failed_phase=FailedPhase.ADMIT)
    return _fate_of_reply(attempt)


def _was_delivered(exchange: Exchange) -> bool:
    """The client left, but only after the reply was whole: its terminal marker had been handed on.

    A reply that ended before it was committed is handed on in one piece, and its client left before it had that.
    """
    attempt, committed_ns = exchange.final_attempt, exchange.committed_ns
    if attempt is None or attempt.reading is None or committed_ns is None:
        return False
    was_held = attempt.ended_ns is not None and attempt.ended_ns <= committed_ns
    return attempt.reading.stream_end is StreamEnd.COMPLETE and not was_held


def _fate_of_proxy_error(error: ProxyError, exchange: Exchange) -> Fate:
    status = Status.BLOCKED if isinstance(error, Forbidden) else status_of(error.error_type)
    phase = _phase(exchange)
    if isinstance(error, UpstreamError):
        phase = FailedPhase.STREAM if exchange.committed_ns is not None else error.phase
    return Fate(
        status=status,
        error_type=error.error_type,
        error_code=error.code,
        failed_phase=phase,
        http_status=error.http_status if exchange.committed_ns is None else _status(exchange),
    )


def _fate_of_reply(attempt: Attempt) -> Fate:
    reading, http_status = attempt.reading, attempt.http_status or 0
    is_whole = reading is None or reading.stream_end is _COMPLETE or reading.stream_end is StreamEnd.PENDING
    is_filtered = reading is not None and (
        is_content_filter(reading.finish_reason) or is_content_filter(reading.incomplete_reason)
    )
    if http_status < 300 and is_whole and not is_filtered:
        return _success(http_status)
    raw_code = reading.error_code if reading else None
    if http_status >= 300:
        error_type, code = errors_of_provider(http_status, raw_code)
        return Fate(
            status=status_of(error_type),
            error_type=error_type,
            error_code=code,
            failed_phase=FailedPhase.FIRST_BYTE,
            http_status=http_status,
        )
    if is_filtered:
        return Fate(
            status=Status.BLOCKED,
            error_type=ErrorType.CONTENT_FILTER,
            failed_phase=FailedPhase.STREAM,
            http_status=http_status,
        )
    if reading is not None and reading.stream_end is StreamEnd.TRUNCATED:
        return Fate(
            status=Status.ERROR,
            error_type=ErrorType.TRUNCATED,
            failed_phase=FailedPhase.STREAM,
            http_status=http_status,
        )
    error_type, code = errors_of_provider(None, raw_code)
    return Fate(
        status=status_of(error_type),
        error_type=error_type,
        error_code=code,
        failed_phase=FailedPhase.STREAM,
        http_status=http_status,
    )


@lru_cache(maxsize=16)
def _success(http_status: int) -> Fate:
    return Fate(status=Status.SUCCESS, http_status=http_status)


def _phase(exchange: Exchange) -> FailedPhase:
    if exchange.committed_ns is not None:
        return FailedPhase.STREAM
    return FailedPhase.FIRST_BYTE if exchange.attempts else FailedPhase.ADMIT


def _status(exchange: Exchange) -> int | None:
    return exchange.final_attempt.http_status if exchange.final_attempt else None
