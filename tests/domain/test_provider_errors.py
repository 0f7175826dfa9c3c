import ast
from pathlib import Path

import pytest

from proxy.domain.errors import ErrorType, Status
from proxy.domain.provider_errors import (
    ERROR_CODES,
    FINISH_REASONS,
    error_code,
    errors_of_provider,
    finish_reason,
    is_content_filter,
    status_of,
)

PROXY = Path(__file__).parents[2] / "proxy"


@pytest.mark.parametrize(
    ("http_status", "raw_code", "error_type", "code"),
    [
        (400, "invalid_request_error", ErrorType.PROVIDER_BAD_REQUEST, "invalid_request_error"),
        (400, "context_length_exceeded", ErrorType.PROVIDER_BAD_REQUEST, "context_length_exceeded"),
        (401, "invalid_api_key", ErrorType.PROVIDER_AUTHENTICATION, "invalid_api_key"),
        (402, None, ErrorType.PROVIDER_PERMISSION, None),
        (403, "PERMISSION_DENIED", ErrorType.PROVIDER_PERMISSION, "permission_denied"),
        (404, "DeploymentNotFound", ErrorType.PROVIDER_NOT_FOUND, "deploymentnotfound"),
        (408, None, ErrorType.PROVIDER_SERVER_ERROR, None),
        (413, "request_too_large", ErrorType.PROVIDER_BAD_REQUEST, "request_too_large"),
        (429, "insufficient_quota", ErrorType.PROVIDER_RATE_LIMIT, "insufficient_quota"),
        (429, "RESOURCE_EXHAUSTED", ErrorType.PROVIDER_RATE_LIMIT, "resource_exhausted"),
        (500, "overloaded_error", ErrorType.PROVIDER_OVERLOADED, "overloaded_error"),
        (500, None, ErrorType.PROVIDER_SERVER_ERROR, None),
        (503, None, ErrorType.PROVIDER_OVERLOADED, None),
        (529, "overloaded_error", ErrorType.PROVIDER_OVERLOADED, "overloaded_error"),
        (302, None, ErrorType.PROVIDER_REDIRECT, None),
        (400, "content_filter", ErrorType.CONTENT_FILTER, "content_filter"),
        (403, "ResponsibleAIPolicyViolation", ErrorType.CONTENT_FILTER, "responsibleaipolicyviolation"),
        (400, "the prompt said: CANARY", ErrorType.PROVIDER_BAD_REQUEST, "other"),
        (200, "rate_limit_error", ErrorType.PROVIDER_RATE_LIMIT, "rate_limit_error"),
        (200, "overloaded_error", ErrorType.PROVIDER_OVERLOADED, "overloaded_error"),
        (None, "CANARY", ErrorType.PROVIDER_STREAM_ERROR, "other"),
        (None, None, ErrorType.PROVIDER_STREAM_ERROR, None),
    ],
)
def test_status_and_code_name_the_error(
    http_status: int | None, raw_code: str | None, error_type: ErrorType, code: str | None
) -> None:
    assert errors_of_provider(http_status, raw_code) == (error_type, code)


@pytest.mark.parametrize(
    ("raw", "word"),
    [("stop", "stop"), ("STOP", "stop"), ("MAX_TOKENS", "max_tokens"), ("CANARY", "other"), ("", None), (None, None)],
)
def test_finish_reasons_are_known_words(raw: str | None, word: str | None) -> None:
    assert finish_reason(raw) == word


def test_codes_are_known_words() -> None:
    assert error_code("Rate_Limit_Exceeded") == "rate_limit_exceeded"
    assert error_code("CANARY") == "other"
    assert error_code("") is None
    assert {word for word in ERROR_CODES | FINISH_REASONS if word != word.lower()} == set()


@pytest.mark.parametrize(
    ("raw", "is_filter"),
    [("content_filter", True), ("SAFETY", True), ("PROHIBITED_CONTENT", True), ("refusal", False), (None, False)],
)
def test_filters_are_told_from_refusals(raw: str | None, is_filter: bool) -> None:
    assert is_content_filter(raw) is is_filter


@pytest.mark.parametrize(
    ("error_type", "status"),
    [
        (ErrorType.CONTENT_FILTER, Status.BLOCKED),
        (ErrorType.CLIENT_DISCONNECT, Status.CANCELLED),
        (ErrorType.TIMEOUT_IDLE, Status.TIMEOUT),
        (ErrorType.BODY_TIMEOUT, Status.TIMEOUT),
        (ErrorType.PROVIDER_RATE_LIMIT, Status.ERROR),
        (ErrorType.INTERRUPTED, Status.ERROR),
    ],
)
def test_each_error_has_one_status(error_type: ErrorType, status: Status) -> None:
    assert status_of(error_type) is status


def codes_in(source: str) -> set[str]:
    """Every literal that is passed as `code=`."""
    return {
        keyword.value.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "code" and isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, str)
    }


def test_every_code_of_the_proxys_own_is_in_the_list() -> None:
    """Of calls, that is: outcome calls and pages are answered by codes that no event has."""
    sources = [path for path in PROXY.rglob("*.py") if not path.stem.startswith(("outcome", "ui"))]
    used = set().union(*(codes_in(path.read_text()) for path in sources))
    assert "duplicate_model" in used
    assert used - ERROR_CODES == set()
