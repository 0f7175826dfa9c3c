"""The URL table, and the one request handler behind it."""

from collections.abc import Callable

from aiohttp import web

from proxy.domain.endpoints import Dialect
from proxy.domain.errors import BadRequest, ProxyError
from proxy.domain.paths import check_host, parse_target
from proxy.pipeline.services import Services
from proxy.web import ops
from proxy.web.errors import error_response
from proxy.web.gateway import not_found, relay_call
from proxy.web.server import HEADER_BLOCK_BYTES, HeadersTooLarge

OPERATIONS: dict[str, Callable[[web.BaseRequest, ops.Operations], web.Response]] = {
    "/healthz": ops.health,
    "/readyz": ops.ready,
    "/metrics": ops.metrics,
    "/version": ops.version,
}
"""GET and HEAD. Everything below /v1/ and /v1beta/ goes to `gateway.relay_call`; the rest is 404."""


class MethodRefused(BadRequest):
    """A method that a reverse proxy does not serve."""

    http_status = 405


class UpgradeRefused(BadRequest):
    """WebSockets are not relayed; a 426 is what makes Codex fall back to POST and SSE."""

    http_status = 426


class Edge:
    """The one request handler of the server."""

    def __init__(self, services: Services, operations: ops.Operations) -> None:
        self._services = services
        self._operations = operations

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Check the head, then dispatch on the path."""
        try:
            _check_head(request)
            target = parse_target(request.raw_path)
            if target.is_gateway:
                return await relay_call(request, target, self._services)
            operation = OPERATIONS.get(target.raw_path)
            if operation is None:
                raise not_found(target)
            if request.method not in ("GET", "HEAD"):
                raise MethodRefused("Use GET.", code="method_not_allowed")
            return operation(request, self._operations)
        except ProxyError as error:
            response = error_response(error, Dialect.OPENAI)
            response.force_close()
            return response


def _check_head(request: web.BaseRequest) -> None:
    """Refuse what aiohttp's parser lets through and no honest client sends."""
    if request.method in ("CONNECT", "TRACE"):
        raise MethodRefused("This is no tunnel.", code="method_not_allowed")
    if "Upgrade" in request.headers:
        raise UpgradeRefused("The gateway relays no upgraded connections; use POST.", code="upgrade_refused")
    check_host(request.headers.get("Host"))
    if request.version < (1, 1) and "Transfer-Encoding" in request.headers:
        raise BadRequest("HTTP/1.0 has no Transfer-Encoding.", code="malformed_request")
    if sum(len(name) + len(value) + 4 for name, value in request.raw_headers) > HEADER_BLOCK_BYTES:
        raise HeadersTooLarge("The header block is over 32 KiB.", code="headers_too_large")
