"""The URL table, and the one request handler behind it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from itertools import chain
from typing import Any, TypeVar

from aiohttp import HttpVersion11, web
from aiohttp.http_parser import RawRequestMessage

from proxy.domain.endpoints import Dialect
from proxy.domain.errors import BadRequest, ProxyError
from proxy.domain.paths import RequestTarget, check_host, parse_target
from proxy.pipeline.outcome import OutcomeServices
from proxy.pipeline.services import RawRequest, Services
from proxy.web import ops, outcomes, ui
from proxy.web.errors import MethodRefused, error_response
from proxy.web.gateway import not_found, raw_request, relay_call
from proxy.web.reply_writer import ReplyWriter
from proxy.web.server import HEADER_BLOCK_BYTES, HeadersTooLarge, message_of, reply_writer, written

OPERATIONS: dict[str, Callable[[web.BaseRequest, ops.Operations], Awaitable[web.Response]]] = {
    "/healthz": ops.health,
    "/readyz": ops.ready,
    "/metrics": ops.metrics,
    "/version": ops.version,
}
"""GET and HEAD. All below /v1/ and /v1beta/ goes to `gateway`, below /analytics/v1/ to `outcomes`, below /ui to `ui`;
the rest is 404."""
T = TypeVar("T")


class UpgradeRefused(BadRequest):
    """WebSockets are not relayed; a 426 is what makes Codex fall back to POST and SSE.

    Another upgrade is an offer that need not be taken up: Java's client offers HTTP/2 on every plain connection.
    """

    http_status = 426


class Edge:
    """The one request handler of the server."""

    def __init__(
        self, services: Services, outcome_services: OutcomeServices, operations: ops.Operations, pages: ui.Ui
    ) -> None:
        self.services = services
        self._outcome_services = outcome_services
        self._operations = operations
        self._ui = pages
        self._running: set[asyncio.Task[Any]] = set()

    @property
    def running(self) -> int:
        """How many calls run now."""
        return len(self._running)

    async def wait_idle(self, limit_s: float) -> bool:
        """Wait until no call runs; False when some still do after the limit."""
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + limit_s
        while self._running:
            left_s = ends_s - loop.time()
            if left_s <= 0:
                return False
            await asyncio.wait(self._running, timeout=left_s)
        return True

    async def cut(self) -> None:
        """Cancel the calls that still run, and wait for their ends to be written."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Check the head, then dispatch on the path."""
        try:
            message = message_of(request)
            _check_head(message)
            target = parse_target(message.path)
            if target.is_gateway:
                return await self._relay(request, target)
            if target.raw_path.startswith(outcomes.PATH):
                return await outcomes.take(request, target, self._outcome_services, self._go_on)
            if ui.is_ours(target):
                return await ui.serve(request, target, self._ui)
            operation = OPERATIONS.get(target.raw_path)
            if operation is None:
                raise not_found(target)
            if request.method not in ("GET", "HEAD"):
                raise MethodRefused("Use GET.", code="method_not_allowed")
            return await operation(request, self._operations)
        except ProxyError as error:
            response = error_response(error, Dialect.OPENAI)
            response.force_close()
            return response

    def _go_on(self, work: Coroutine[Any, Any, T]) -> "asyncio.Future[T]":
        """What is to be finished when its client leaves; the proxy stops after it."""
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return asyncio.shield(task)

    async def _relay(self, request: web.BaseRequest, target: RequestTarget) -> web.StreamResponse:
        writer = reply_writer(request)
        await self.relay(raw_request(request, target, self.services), writer)
        return written(keep_alive=writer.keep_alive)

    async def relay(self, raw: RawRequest, writer: ReplyWriter) -> None:
        """Carry one call; it counts as running."""
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            await relay_call(raw, writer, self.services)
        finally:
            self._running.discard(task)


def _check_head(message: RawRequestMessage) -> None:
    """Refuse what aiohttp's parser lets through and no honest client sends."""
    if message.method in ("CONNECT", "TRACE"):
        raise MethodRefused("This is no tunnel.", code="method_not_allowed")
    headers = message.headers
    if "Upgrade" in headers and "websocket" in headers["Upgrade"].lower():
        raise UpgradeRefused("The gateway relays no upgraded connections; use POST.", code="upgrade_refused")
    check_host(headers.get("Host"))
    if message.version < HttpVersion11 and "Transfer-Encoding" in headers:
        raise BadRequest("HTTP/1.0 has no Transfer-Encoding.", code="malformed_request")
    fields = message.raw_headers
    if sum(map(len, chain.from_iterable(fields))) + 4 * len(fields) > HEADER_BLOCK_BYTES:
        raise HeadersTooLarge("The header block is over 32 KiB.", code="headers_too_large")
