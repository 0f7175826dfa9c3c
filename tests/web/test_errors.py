import re

import orjson
import pytest

from proxy.domain import errors
from proxy.domain.endpoints import Dialect
from proxy.domain.errors import (
    BadRequest,
    Forbidden,
    NotFound,
    Overloaded,
    ProxyError,
    TooLarge,
    Unauthenticated,
    UnknownModel,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from proxy.web.errors import envelope, error_response, new_incident_id

EVERY_ERROR = [found for found in vars(errors).values() if isinstance(found, type) and issubclass(found, ProxyError)]


def test_the_openai_envelope_is_what_its_sdks_read() -> None:
    assert envelope(BadRequest("Say it well.", code="bad_json"), Dialect.OPENAI, "inc_1") == {
        "error": {
            "message": "Say it well.",
            "type": "invalid_request_error",
            "param": None,
            "code": "bad_json",
            "incident_id": "inc_1",
        }
    }


def test_the_anthropic_envelope_is_what_its_sdks_read() -> None:
    assert envelope(BadRequest("Say it well.", code="bad_json"), Dialect.ANTHROPIC, "inc_1") == {
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "message": "Say it well.",
            "code": "bad_json",
            "incident_id": "inc_1",
        },
        "request_id": "inc_1",
    }


def test_the_gemini_envelope_is_what_its_sdks_read() -> None:
    assert envelope(BadRequest("Say it well.", code="bad_json"), Dialect.GEMINI, "inc_1") == {
        "error": {
            "code": 400,
            "message": "Say it well.",
            "status": "INVALID_ARGUMENT",
            "details": [
                {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": "bad_json",
                    "domain": "promptlane",
                    "metadata": {"incident_id": "inc_1"},
                }
            ],
        }
    }


@pytest.mark.parametrize(
    ("error", "openai", "anthropic", "gemini"),
    [
        (BadRequest, "invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"),
        (Unauthenticated, "authentication_error", "authentication_error", "UNAUTHENTICATED"),
        (Forbidden, "permission_error", "permission_error", "PERMISSION_DENIED"),
        (NotFound, "not_found_error", "not_found_error", "NOT_FOUND"),
        (UnknownModel, "not_found_error", "not_found_error", "NOT_FOUND"),
        (TooLarge, "invalid_request_error", "request_too_large", "INVALID_ARGUMENT"),
        (ProxyError, "server_error", "api_error", "INTERNAL"),
        (UpstreamUnreachable, "server_error", "api_error", "UNAVAILABLE"),
        (Overloaded, "server_error", "overloaded_error", "UNAVAILABLE"),
        (UpstreamTimeout, "server_error", "timeout_error", "DEADLINE_EXCEEDED"),
    ],
)
def test_each_dialect_has_its_word_for_a_status(
    error: type[ProxyError], openai: str, anthropic: str, gemini: str
) -> None:
    made = error("Text.")
    assert envelope(made, Dialect.OPENAI, "inc_1")["error"]["type"] == openai
    assert envelope(made, Dialect.ANTHROPIC, "inc_1")["error"]["type"] == anthropic
    assert envelope(made, Dialect.GEMINI, "inc_1")["error"]["status"] == gemini


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize("kind", EVERY_ERROR)
def test_every_error_has_a_whole_reply_of_its_status(kind: type[ProxyError], dialect: Dialect) -> None:
    """The text is ours; what caused the error is not told."""
    error = kind("Our text.")
    error.__cause__ = ValueError("CANARY")
    response = error_response(error, dialect)
    assert (response.status, response.content_type) == (kind.http_status, "application/json")
    assert response.headers["Server"] == "promptlane"
    assert isinstance(response.body, bytes)
    assert b"Our text." in response.body
    assert b"CANARY" not in response.body


def test_an_incident_id_is_made_where_none_is_given() -> None:
    bodies = [error_response(BadRequest("Text."), Dialect.OPENAI).body for _ in range(2)]
    first, second = (orjson.loads(body)["error"]["incident_id"] for body in bodies if isinstance(body, bytes))
    assert first != second
    assert re.fullmatch(r"inc_[0-9a-f]{16}", first)
    given = error_response(BadRequest("Text."), Dialect.OPENAI, "inc_given").body
    assert isinstance(given, bytes)
    assert orjson.loads(given)["error"]["incident_id"] == "inc_given"


def test_an_incident_id_is_not_guessed() -> None:
    assert len({new_incident_id() for _ in range(1000)}) == 1000


def test_a_401_says_how_to_authenticate_and_a_503_when_to_return() -> None:
    assert error_response(Unauthenticated("Text."), Dialect.OPENAI).headers["WWW-Authenticate"] == "Bearer"
    assert error_response(Overloaded("Text."), Dialect.OPENAI).headers["Retry-After"] == "1"
    for error in (BadRequest("Text."), UpstreamTimeout("Text.")):
        assert not {"WWW-Authenticate", "Retry-After"} & set(error_response(error, Dialect.OPENAI).headers)


def test_every_incident_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """By whoever made its id: the gateway knows the call and tells more."""
    caplog.set_level("INFO")
    error_response(BadRequest("Text.", code="bad_path"), Dialect.OPENAI, "inc_told")
    assert caplog.records == []
    reply = error_response(BadRequest("Text.", code="bad_path"), Dialect.OPENAI)
    (told,) = (vars(record) for record in caplog.records)
    assert told["incident_id"] == reply.headers["X-Request-Id"]
    assert (told["code"], told["http_status"]) == ("bad_path", 400)
