"""ProxyError → the error envelope of the client's dialect: the one mapping.

Each envelope carries a fixed code, a text of ours and an incident id that also stands in the log.
"""

import logging
import secrets
from dataclasses import asdict
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web

from proxy.domain.endpoints import Dialect
from proxy.domain.errors import BadRequest, ProxyError, Unauthenticated
from proxy.domain.fields import fields_of
from proxy.domain.outcomes import BadOutcome
from proxy.pipeline.services import Reply

log = logging.getLogger(__name__)

_OPENAI_TYPE = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
_ANTHROPIC_TYPE = {**_OPENAI_TYPE, 413: "request_too_large", 504: "timeout_error", 503: "overloaded_error"}
_GEMINI_STATUS = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class MethodRefused(BadRequest):
    """A method that is not served here."""

    http_status = 405


def new_incident_id() -> str:
    """A short random name for one failure."""
    return f"inc_{secrets.token_hex(8)}"


def envelope(error: ProxyError, dialect: Dialect, incident_id: str) -> dict[str, Any]:
    """The JSON body, in the shape that the dialect's SDKs read."""
    status, message = error.http_status, error.public_message
    if dialect is Dialect.ANTHROPIC:
        kind = _ANTHROPIC_TYPE.get(status, "api_error" if status >= 500 else "invalid_request_error")
        detail = {"type": kind, "message": message, "code": error.code, "incident_id": incident_id}
        return {"type": "error", "error": detail, "request_id": incident_id}
    if dialect is Dialect.GEMINI:
        info: dict[str, Any] = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": error.code}
        info |= {"domain": "promptlane", "metadata": {"incident_id": incident_id}}
        name = _GEMINI_STATUS.get(status, "INVALID_ARGUMENT")
        return {"error": {"code": status, "message": message, "status": name, "details": [info]}}
    kind = _OPENAI_TYPE.get(status, "server_error" if status >= 500 else "invalid_request_error")
    told = {"message": message, "type": kind, "param": None, "code": error.code, "incident_id": incident_id}
    if isinstance(error, BadOutcome):
        return {"error": {**told, "fields": [asdict(problem) for problem in error.problems]}}
    return {"error": told}


def error_response(error: ProxyError, dialect: Dialect, incident_id: str | None = None) -> web.Response:
    """A whole reply for an error of the proxy's own. One without an id that was told already is told here."""
    if incident_id is None:
        incident_id = new_incident_id()
        said = {"incident_id": incident_id, "code": error.code, "http_status": error.http_status}
        log.info("request refused", extra=said)
    reply = error_reply(error, dialect, incident_id)
    return web.Response(status=reply.status, body=reply.body, headers=dict(reply.headers))


def error_reply(error: ProxyError, dialect: Dialect, incident_id: str) -> Reply:
    """The same reply as the pipeline's are."""
    fields = [
        ("Content-Type", "application/json"),
        ("Server", "promptlane"),
        ("request-id" if dialect is Dialect.ANTHROPIC else "X-Request-Id", incident_id),
    ]
    if isinstance(error, Unauthenticated):
        fields.append(("WWW-Authenticate", "Bearer"))
    if error.http_status == 503:
        fields.append(("Retry-After", "1"))
    body = orjson.dumps(envelope(error, dialect, incident_id))
    fields.append(("Content-Length", str(len(body))))
    reason = HTTPStatus(error.http_status).phrase
    return Reply(status=error.http_status, reason=reason, headers=fields_of(fields), body=body)
