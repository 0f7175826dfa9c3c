"""A provider's own words for what happened, mapped onto closed lists.

Error codes and finish reasons are free text from the network: one host puts a sentence there, another quotes the
prompt. Only words that stand in these lists leave the proxy; everything else is `other`. Spelling is compared in
lower case, because Gemini shouts (`RESOURCE_EXHAUSTED`) and Azure uses camel case (`DeploymentNotFound`).
"""

from proxy.domain.errors import ErrorType, Status

OTHER = "other"

_CODES_BY_TYPE: dict[ErrorType, tuple[str, ...]] = {
    ErrorType.CONTENT_FILTER: (
        "content_filter",
        "content_policy_violation",
        "responsibleaipolicyviolation",
        "moderation_blocked",
        "cyber_policy",
    ),
    ErrorType.PROVIDER_AUTHENTICATION: (
        "authentication_error",
        "invalid_api_key",
        "incorrect_api_key",
        "invalid_authentication",
        "unauthenticated",
        "unauthorized",
        "account_deactivated",
        "api_key_invalid",
    ),
    ErrorType.PROVIDER_PERMISSION: (
        "permission_error",
        "permission_denied",
        "access_denied",
        "forbidden",
        "billing_error",
        "billing_hard_limit_reached",
        "billing_not_active",
        "payment_required",
        "unsupported_country_region_territory",
    ),
    ErrorType.PROVIDER_NOT_FOUND: (
        "not_found",
        "not_found_error",
        "model_not_found",
        "deploymentnotfound",
        "resourcenotfound",
    ),
    ErrorType.PROVIDER_RATE_LIMIT: (
        "rate_limit_error",
        "rate_limit_exceeded",
        "insufficient_quota",
        "resource_exhausted",
        "too_many_requests",
        "quota_exceeded",
        "tokens",
        "requests",
    ),
    ErrorType.PROVIDER_OVERLOADED: (
        "overloaded_error",
        "overloaded",
        "engine_overloaded",
        "model_overloaded",
        "server_overloaded",
        "slow_down",
        "unavailable",
        "service_unavailable",
        "insufficient_system_resource",
    ),
    ErrorType.PROVIDER_BAD_REQUEST: (
        "invalid_request_error",
        "invalid_request",
        "invalid_argument",
        "failed_precondition",
        "out_of_range",
        "bad_request",
        "badrequest",
        "request_too_large",
        "context_length_exceeded",
        "string_above_max_length",
        "array_above_max_length",
        "missing_required_parameter",
        "unsupported_parameter",
        "unsupported_value",
        "unknown_parameter",
        "invalid_parameter",
        "invalid_value",
        "invalid_type",
        "invalid_json",
        "invalid_prompt",
        "invalid_image",
        "invalid_image_format",
        "invalid_image_url",
        "invalid_base64_image",
        "image_too_large",
        "image_too_small",
        "image_parse_error",
        "image_content_policy_violation",
        "invalid_function_parameters",
        "previous_response_not_found",
        "tool_use_failed",
        "json_validate_failed",
        "operationnotsupported",
        "unprocessable_entity_error",
        "vector_store_timeout",
    ),
    ErrorType.PROVIDER_SERVER_ERROR: (
        "api_error",
        "server_error",
        "internal_error",
        "internal_server_error",
        "internalservererror",
        "internal",
        "unknown",
        "aborted",
        "cancelled",
        "deadline_exceeded",
        "timeout_error",
        "timeout",
        "data_loss",
        "unimplemented",
        "bad_gateway",
    ),
}
_TYPE_BY_CODE = {code: error_type for error_type, codes in _CODES_BY_TYPE.items() for code in codes}

_TYPE_BY_STATUS = {
    401: ErrorType.PROVIDER_AUTHENTICATION,
    402: ErrorType.PROVIDER_PERMISSION,
    403: ErrorType.PROVIDER_PERMISSION,
    404: ErrorType.PROVIDER_NOT_FOUND,
    408: ErrorType.PROVIDER_SERVER_ERROR,
    429: ErrorType.PROVIDER_RATE_LIMIT,
    503: ErrorType.PROVIDER_OVERLOADED,
    529: ErrorType.PROVIDER_OVERLOADED,
}
_NAMED_BY_CODE_ALONE = (ErrorType.CONTENT_FILTER, ErrorType.PROVIDER_OVERLOADED)
"""What a status says badly: filters answer 400 or 403, overload comes as 500 too. Else the status is trusted."""

PROXY_CODES = frozenset(
    {
        "alias_needs_json", "ambiguous_credentials", "azure_path", "bad_framing", "bad_header", "bad_host", "bad_path",
        "bad_query", "bad_target", "body_too_large", "duplicate_model", "headers_too_large", "invalid_json",
        "malformed_request", "method_not_allowed", "missing_v1", "model_malformed", "model_not_a_string",
        "model_not_allowed", "model_required", "not_an_object", "not_found",
        "prompt_has_no_model", "prompt_no_place", "prompt_variable_missing", "prompt_version_required",
        "prompt_version_unknown", "proxy_key_required", "token_required", "too_deep", "too_many_members",
        "unknown_prompt", "unknown_proxy_key", "unsupported_encoding", "upgrade_refused", "version_twice",
    }
)  # fmt: skip
"""Codes of the proxy's own refusals that are not the name of an `ErrorType`."""
ERROR_CODES = frozenset(_TYPE_BY_CODE) | PROXY_CODES | {error_type.value for error_type in ErrorType} | {OTHER}
"""Every value that `error_code` may have."""

_FILTERED = frozenset(
    {
        "content_filter", "content_filtered", "guardrail_intervened", "safety", "recitation", "blocklist", "spii",
        "prohibited_content", "image_safety", "image_prohibited_content", "image_recitation", "model_armor",
        "jailbreak",
    }
)  # fmt: skip
FINISH_REASONS = _FILTERED | frozenset(
    {
        # OpenAI chat and its kin
        "stop", "length", "tool_calls", "function_call", "error", "eos", "eos_token", "abort",
        "insufficient_system_resource",
        # Responses
        "completed", "incomplete", "failed", "cancelled", "queued", "in_progress", "max_output_tokens", "max_messages",
        "steered",
        # Anthropic
        "end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal", "compaction",
        "model_context_window_exceeded",
        # Gemini (with `stop` and `max_tokens`), Cohere
        "language", "malformed_function_call", "image_other", "no_image", "unexpected_tool_call",
        "too_many_tool_calls", "missing_thought_signature", "malformed_response", "complete",
        OTHER,
    }
)  # fmt: skip
"""Every value that `finish_reason` may have, in lower case."""


_STATUS_BY_TYPE = {
    ErrorType.CONTENT_FILTER: Status.BLOCKED,
    ErrorType.CLIENT_DISCONNECT: Status.CANCELLED,
    ErrorType.TIMEOUT_CONNECT: Status.TIMEOUT,
    ErrorType.TIMEOUT_FIRST_BYTE: Status.TIMEOUT,
    ErrorType.TIMEOUT_IDLE: Status.TIMEOUT,
    ErrorType.TIMEOUT_TOTAL: Status.TIMEOUT,
    ErrorType.BODY_TIMEOUT: Status.TIMEOUT,
}


def errors_of_provider(http_status: int | None, raw_code: str | None) -> tuple[ErrorType, str | None]:
    """What a provider's error is, and its code from the closed list (None where it named none).

    A good status, or None, is for an error inside a reply that had begun: there only the code can tell.
    """
    code = error_code(raw_code)
    named = _TYPE_BY_CODE.get(code or "")
    if named in _NAMED_BY_CODE_ALONE:
        return named, code
    return _type_of_status(http_status) or named or ErrorType.PROVIDER_STREAM_ERROR, code


def _type_of_status(http_status: int | None) -> ErrorType | None:
    if http_status is None or http_status < 300:
        return None
    if found := _TYPE_BY_STATUS.get(http_status):
        return found
    if http_status < 400:
        return ErrorType.PROVIDER_REDIRECT
    return ErrorType.PROVIDER_BAD_REQUEST if http_status < 500 else ErrorType.PROVIDER_SERVER_ERROR


def error_code(raw: str | None) -> str | None:
    """The code as it may leave: a known word in lower case, else `other`; None stays None."""
    return _known(raw, ERROR_CODES) if raw else None


def finish_reason(raw: str | None) -> str | None:
    """The finish reason as it may leave: a known word in lower case, else `other`; None stays None."""
    if raw in FINISH_REASONS:
        return raw
    return _known(raw, FINISH_REASONS) if raw else None


def _known(raw: str, words: frozenset[str]) -> str:
    word = raw.lower()
    return word if word in words else OTHER


def is_content_filter(raw_reason: str | None) -> bool:
    """True where a reply that was good so far was stopped by the provider's filter: the call is then `blocked`."""
    return raw_reason is not None and raw_reason.lower() in _FILTERED


def status_of(error_type: ErrorType) -> Status:
    """The status of a call that ended with this error."""
    return _STATUS_BY_TYPE.get(error_type, Status.ERROR)
