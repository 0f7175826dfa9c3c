"""Errors named by whose fault they are, and the closed lists in which a call's fate is told.

A `ProxyError` never carries content: `public_message` is written by us, may name a configuration key
or a header, and never quotes what the client or a provider sent. `web.errors` turns it into the error
envelope of the client's dialect.
"""

from enum import StrEnum
from typing import ClassVar


class Status(StrEnum):
    """How a call ended, for product numbers."""

    SUCCESS = "success"
    ERROR = "error"
    TIMEOUT = "timeout"
    BLOCKED = "blocked"
    VALIDATION_FAILED = "validation_failed"
    CANCELLED = "cancelled"


class FailedPhase(StrEnum):
    """The stage in which a call failed."""

    ADMIT = "admit"
    CONNECT = "connect"
    FIRST_BYTE = "first_byte"
    STREAM = "stream"
    CLIENT = "client"


class ErrorType(StrEnum):
    """What went wrong. Closed: a provider's own words are mapped onto this list or become `OTHER`."""

    # the caller's fault, found by the proxy
    BAD_REQUEST = "bad_request"
    TOO_LARGE = "too_large"
    UNSUPPORTED_ENCODING = "unsupported_encoding"
    FORBIDDEN = "forbidden"
    UNKNOWN_MODEL = "unknown_model"
    BODY_TIMEOUT = "body_timeout"
    # the way to the provider
    UPSTREAM_CONNECT = "upstream_connect"
    UPSTREAM_DNS = "upstream_dns"
    UPSTREAM_TLS = "upstream_tls"
    UPSTREAM_RESET = "upstream_reset"
    UPSTREAM_PROTOCOL = "upstream_protocol"
    TIMEOUT_CONNECT = "timeout_connect"
    TIMEOUT_FIRST_BYTE = "timeout_first_byte"
    TIMEOUT_IDLE = "timeout_idle"
    TIMEOUT_TOTAL = "timeout_total"
    # what the provider answered
    PROVIDER_BAD_REQUEST = "provider_bad_request"
    PROVIDER_AUTHENTICATION = "provider_authentication"
    PROVIDER_PERMISSION = "provider_permission"
    PROVIDER_NOT_FOUND = "provider_not_found"
    PROVIDER_RATE_LIMIT = "provider_rate_limit"
    PROVIDER_OVERLOADED = "provider_overloaded"
    PROVIDER_SERVER_ERROR = "provider_server_error"
    PROVIDER_STREAM_ERROR = "provider_stream_error"
    PROVIDER_REDIRECT = "provider_redirect"
    TRUNCATED = "truncated"
    CONTENT_FILTER = "content_filter"
    # what a check says of a whole reply
    CHECK_FAILED = "check_failed"
    # neither
    CLIENT_DISCONNECT = "client_disconnect"
    INTERRUPTED = "interrupted"
    SHUTDOWN = "shutdown"
    NO_TARGET = "no_target"
    OVERLOADED = "overloaded"
    INTERNAL = "internal"
    OTHER = "other"


class ProxyError(Exception):
    """A failure with a place in the taxonomy. `public_message` is safe to show and says what to do."""

    http_status: ClassVar[int] = 500
    error_type: ClassVar[ErrorType] = ErrorType.INTERNAL

    def __init__(self, public_message: str, *, code: str | None = None) -> None:
        super().__init__(public_message)
        self.public_message = public_message
        self.code = code or self.error_type.value


class RequestError(ProxyError):
    """The caller's fault; never retried."""

    http_status = 400
    error_type = ErrorType.BAD_REQUEST


class BadRequest(RequestError):
    """The request cannot be understood."""


class BodyTimeout(RequestError):
    """The client did not send its body in time."""

    http_status = 408
    error_type = ErrorType.BODY_TIMEOUT


class TooLarge(RequestError):
    """A documented size limit was passed."""

    http_status = 413
    error_type = ErrorType.TOO_LARGE


class UnsupportedEncoding(RequestError):
    """The body's Content-Encoding is unknown or stacked."""

    http_status = 415
    error_type = ErrorType.UNSUPPORTED_ENCODING


class Unauthenticated(RequestError):
    """No key, or one that is not known. Counted in a metric; gives no event."""

    http_status = 401
    error_type = ErrorType.FORBIDDEN


class Forbidden(RequestError):
    """A known key that may not do this."""

    http_status = 403
    error_type = ErrorType.FORBIDDEN


class PromptVersionRequired(Forbidden):
    """A call that names no prompt version, where the configuration demands one."""

    http_status = 400


class Conflict(RequestError):
    """The same name was given to something else."""

    http_status = 409


class UnknownModel(RequestError):
    """The configuration names no target for the model."""

    http_status = 404
    error_type = ErrorType.UNKNOWN_MODEL


class NotFound(RequestError):
    """The path is none of the gateway's."""

    http_status = 404


class UpstreamError(ProxyError):
    """The provider's or the network's fault. `retryable`: nothing was sent that could have run twice."""

    http_status = 502
    error_type = ErrorType.UPSTREAM_RESET
    retryable: ClassVar[bool] = False
    phase: ClassVar[FailedPhase] = FailedPhase.FIRST_BYTE


class UpstreamUnreachable(UpstreamError):
    """No connection was made."""

    error_type = ErrorType.UPSTREAM_CONNECT
    retryable = True
    phase = FailedPhase.CONNECT


class UpstreamDns(UpstreamUnreachable):
    """The host's name did not resolve."""

    error_type = ErrorType.UPSTREAM_DNS


class UpstreamTls(UpstreamUnreachable):
    """The TLS handshake failed; no request byte was sent."""

    error_type = ErrorType.UPSTREAM_TLS


class UpstreamConnectTimeout(UpstreamUnreachable):
    """No connection within `timeouts.connect_s`."""

    http_status = 504
    error_type = ErrorType.TIMEOUT_CONNECT


class UpstreamReset(UpstreamError):
    """The connection broke after the request was sent."""


class UpstreamProtocol(UpstreamError):
    """The provider's reply was not valid HTTP."""

    error_type = ErrorType.UPSTREAM_PROTOCOL


class UpstreamTimeout(UpstreamError):
    """No first byte within `timeouts.first_byte_s`."""

    http_status = 504
    error_type = ErrorType.TIMEOUT_FIRST_BYTE


class UpstreamIdleTimeout(UpstreamError):
    """A reply that had begun fell silent for `timeouts.idle_s`."""

    http_status = 504
    error_type = ErrorType.TIMEOUT_IDLE
    phase = FailedPhase.STREAM


class UpstreamTotalTimeout(UpstreamError):
    """The whole reply took longer than `timeouts.total_s`."""

    http_status = 504
    error_type = ErrorType.TIMEOUT_TOTAL


class Overloaded(ProxyError):
    """The proxy refuses work it could not finish."""

    http_status = 503
    error_type = ErrorType.OVERLOADED
